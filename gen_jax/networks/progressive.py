"""Networks that grow while they train (Karras et al. 2018, https://arxiv.org/abs/1710.10196), from the smallest size of networks/conv.py to the whole
image, with family.grow: 7, 14, 28 or 8, 16, 32, 64 pixels. Images of a multiple of 4.

`grown` is how many doublings there are: 1.25 is the second size with a quarter of the third faded in. Images are of the full size throughout: the
decoder repeats pixels and the encoder averages them, so that real images lose what generated ones can't have yet. Without `grown` all are there.
Sizes that are not there yet are computed and weighted by 0, so a small size is no faster: in a branch of `lax.switch`, as in a loop, weight
gradients of convolutions leave XLA:CPU's fast path (experiments/speed/conv.py).
From the paper: pixel normalisation in the decoder; not its equalised learning
rates, nor statistics of the batch.
"""
import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.networks import Parts
from gen_jax.networks.conv import depth_to_space, stages, strided

DEFAULTS = dict(width=16, features=256, dtype='float32')   # width: channels at full size, doubled by each halving


class Encoder(nn.Module):
  grows: int                 # doublings between the smallest and the full size
  width: int
  features: int
  dtype: str

  @nn.compact
  def __call__(self, x, grown=None):
    wide = lambda k: self.width << (self.grows - k)
    conv = lambda h, *args: nn.leaky_relu(nn.Conv(*args, conv_general_dilated=strided, dtype=self.dtype)(h), .2)
    seen = lambda x, k: nn.leaky_relu(nn.Dense(wide(k), name=f'from_image_{k}', dtype=self.dtype)(x), .2)
    h = seen(x, self.grows)
    for k in reversed(range(self.grows)):
      h = conv(conv(h, wide(k + 1), (3, 3)), wide(k), (4, 4), 2)
      if grown is not None:
        x = nn.avg_pool(x, (2, 2), (2, 2))
        h = mixed(seen(x, k), h, grown - k)
    return nn.leaky_relu(nn.Dense(self.features, dtype=self.dtype)(h.reshape(len(h), -1)), .2).astype(jnp.float32)


class Decoder(nn.Module):
  shape: tuple[int, ...]
  channels: int
  grows: int
  width: int
  dtype: str

  @nn.compact
  def __call__(self, z_BxZ, grown=None):
    wide = lambda k: self.width << (self.grows - k)
    conv = lambda x, width: nn.Conv(width, (3, 3), dtype=self.dtype)(x)
    shown = lambda x, k: nn.Dense(self.channels, name=f'to_image_{k}', dtype=self.dtype)(x)
    h, w = (s >> self.grows for s in self.shape[:2])
    x = nn.Dense(h * w * wide(0), dtype=self.dtype)(z_BxZ).reshape(len(z_BxZ), h, w, wide(0))
    x = active(x)
    out = shown(x, 0) if grown is not None or not self.grows else None
    for k in range(1, self.grows + 1):
      x = active(depth_to_space(conv(x, 4 * wide(k))))
      x = active(conv(x, wide(k)))
      if grown is not None:
        out = mixed(out.repeat(2, axis=1).repeat(2, axis=2), shown(x, k), grown - (k - 1))
      elif k == self.grows:
        out = shown(x, k)
    return out.astype(jnp.float32)


def mixed(small, large, part):
  """From the one to the other as part goes from 0 to 1."""
  part = jnp.clip(part, 0, 1)
  return (1 - part) * small + part * large


def active(x):
  """Leaky ReLU, then every position's channels scaled to a mean square of 1 (sec. 4.2)."""
  x = nn.leaky_relu(x, .2)
  return x * jax.lax.rsqrt((x**2).mean(axis=-1, keepdims=True) + 1e-8)


def make(options, spec):
  n = stages(spec.shape)
  return Parts(Encoder(n, options.width, options.features, options.dtype),
               Decoder(spec.shape, spec.shape[-1], n, options.width, options.dtype))
