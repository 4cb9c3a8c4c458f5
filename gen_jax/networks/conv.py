"""DCGAN-like (Radford et al. 2016, https://arxiv.org/abs/1511.06434): strided convolutions down, pixel shuffles up, any size that is a multiple of 4.

Upsampling is a 3x3 convolution and a depth-to-space rearrangement (Shi et al. 2016, https://arxiv.org/abs/1609.05158), which spans what a 4x4
transposed convolution of stride 2 does: the weight gradient of `nn.ConvTranspose` takes 5 to 20 times longer on CPU (experiments/speed/conv.py).
GroupNorm takes BatchNorm's place, so that an example's output does not depend on its batch.
"""
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import core
from gen_jax.networks import Parts

DEFAULTS = dict(width=32, features=256, dtype='float32')


def stages(shape) -> int:
  """How often an image is halved: while it is longer than 8 and even. Raises InputError for what is not an image of a multiple of 4."""
  if len(shape) != 3 or any(s % 4 or s < 4 for s in shape[:2]):
    raise core.InputError(f'this network makes images whose sides are multiples of 4, not {tuple(shape)}; network mlp takes any shape')
  h, w, n = *shape[:2], 0
  while max(h, w) > 8 and h % 2 == 0 and w % 2 == 0:
    h, w, n = h // 2, w // 2, n + 1
  return n


def depth_to_space(x_BxHxWxC, n=2):
  """[B, H, W, n^2 C] -> [B, nH, nW, C]."""
  b, h, w, c = x_BxHxWxC.shape
  return x_BxHxWxC.reshape(b, h, w, n, n, c // n**2).transpose(0, 1, 3, 2, 4, 5).reshape(b, n * h, n * w, c // n**2)


# A convolution is bilinear in x and w, and so are its two transposes: the derivatives of each are the other two. JAX's own second derivatives of a
# strided one become dilated convolutions that XLA:CPU runs outside its fast paths; a step with R1 takes twice as long with them
# (experiments/speed). In reverse mode only: `jax.jvp` of these raises.

def _native(x, w, strides):
  return jax.lax.conv_general_dilated(x, w, strides, 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x, w, strides):
  """x_BxHxWxC * w_HxWxCxF with SAME padding, fast to differentiate twice."""
  return _native(x, w, strides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _to_x(y, w, x, strides):
  return jax.vjp(lambda x: _native(x, w, strides), x)[1](y)[0]   # x for its shape alone


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _to_w(x, y, w, strides):
  return jax.vjp(lambda w: _native(x, w, strides), w)[1](y)[0]   # w for its shape alone


convolve.defvjp(lambda x, w, strides: (convolve(x, w, strides), (x, w)),
                lambda strides, r, y: (_to_x(y, r[1], r[0], strides), _to_w(r[0], y, r[1], strides)))
_to_x.defvjp(lambda y, w, x, strides: (_to_x(y, w, x, strides), (y, w, x)),
             lambda strides, r, u: (convolve(u, r[1], strides), _to_w(u, r[0], r[1], strides), jnp.zeros_like(r[2])))
_to_w.defvjp(lambda x, y, w, strides: (_to_w(x, y, w, strides), (x, y, w)),
             lambda strides, r, v: (_to_x(r[1], v, r[0], strides), convolve(r[0], v, strides), jnp.zeros_like(r[2])))


def strided(x, w, strides, padding, **_):
  """For `nn.Conv(conv_general_dilated=...)`."""
  return convolve(x, w, tuple(strides))


class Encoder(nn.Module):
  stages: int
  width: int                 # channels after the first halving, doubled by each further one
  features: int
  dtype: str

  @nn.compact
  def __call__(self, x_BxHxWxC):
    h = x_BxHxWxC
    for i in range(self.stages):
      h = nn.leaky_relu(nn.Conv(self.width << i, (4, 4), 2, conv_general_dilated=strided, dtype=self.dtype)(h), .2)
    h_BxF = nn.leaky_relu(nn.Dense(self.features, dtype=self.dtype)(h.reshape(len(h), -1)), .2)
    return h_BxF.astype(jnp.float32)


class Decoder(nn.Module):
  shape: tuple[int, ...]
  channels: int
  stages: int
  width: int                 # channels at full size is half of it, doubled by each halving
  dtype: str

  @nn.compact
  def __call__(self, z_BxZ):
    h, w = (s >> self.stages for s in self.shape[:2])
    width = (self.width << self.stages) // 2
    x = nn.Dense(h * w * width, dtype=self.dtype)(z_BxZ).reshape(len(z_BxZ), h, w, width)
    x = nn.relu(nn.GroupNorm(group_count(width), dtype=self.dtype)(x))
    for _ in range(self.stages):
      width //= 2
      x = depth_to_space(nn.Conv(4 * width, (3, 3), dtype=self.dtype)(x))
      x = nn.relu(nn.GroupNorm(group_count(width), dtype=self.dtype)(x))
    return nn.Conv(self.channels, (3, 3), dtype=self.dtype)(x).astype(jnp.float32)


def group_count(channels: int) -> int:
  """At most 8 groups that divide the channels."""
  return max(g for g in range(1, 9) if channels % g == 0)


def make(options, spec):
  n = stages(spec.shape)
  return Parts(Encoder(n, options.width, options.features, options.dtype),
               Decoder(spec.shape, spec.shape[-1], n, options.width, options.dtype))
