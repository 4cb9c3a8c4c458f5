"""DCGAN-like (Radford et al. 2016, https://arxiv.org/abs/1511.06434): strided convolutions down, pixel shuffles up, any size that is a multiple of 4.

Upsampling is a 3x3 convolution and a depth-to-space rearrangement (Shi et al. 2016, https://arxiv.org/abs/1609.05158), which spans what a 4x4
transposed convolution of stride 2 does: the weight gradient of `nn.ConvTranspose` takes 5 to 20 times longer on CPU (experiments/speed/conv.py).
GroupNorm takes BatchNorm's place, so that an example's output does not depend on its batch.
"""
import flax.linen as nn
import jax.numpy as jnp

from gen_jax import core

DEFAULTS = dict(width=32, features=256, dtype='float32')


def stages(shape) -> int:
  """How often an image is halved: while it is longer than 8 and even. Raises InputError for what is not an image of a multiple of 4."""
  if len(shape) != 3 or any(s % 4 or s < 4 for s in shape[:2]):
    raise core.InputError(f'this network makes images whose sides are multiples of 4, not {tuple(shape)}; network mlp takes any shape')
  h, w, n = *shape[:2], 0
  while max(h, w) > 8 and h % 2 == 0 and w % 2 == 0:
    h, w, n = h // 2, w // 2, n + 1
  return n


def depth_to_space(x_BxHxWxC):
  """[B, H, W, 4C] -> [B, 2H, 2W, C]."""
  b, h, w, c = x_BxHxWxC.shape
  return x_BxHxWxC.reshape(b, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, c // 4)


class Encoder(nn.Module):
  stages: int
  width: int                 # channels after the first halving, doubled by each further one
  features: int
  dtype: str

  @nn.compact
  def __call__(self, x_BxHxWxC):
    h = x_BxHxWxC
    for i in range(self.stages):
      h = nn.leaky_relu(nn.Conv(self.width << i, (4, 4), 2, dtype=self.dtype)(h), .2)
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
  return (Encoder(n, options.width, options.features, options.dtype),
          Decoder(spec.shape, spec.shape[-1], n, options.width, options.dtype))
