"""Residual networks without normalisation in the encoder (Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, app. F), with optional
self-attention at the second smallest size (SAGAN, Zhang et al. 2019, https://arxiv.org/abs/1805.08318). Images of a multiple of 4."""
import flax.linen as nn
import jax.numpy as jnp

from gen_jax.networks import Parts
from gen_jax.networks.conv import depth_to_space, group_count, stages

DEFAULTS = dict(width=32, features=256, attention=False, dtype='float32')


class Block(nn.Module):
  width: int
  resample: str              # down, up, or none
  norm: bool
  dtype: str

  @nn.compact
  def __call__(self, x):
    conv = lambda width, size: nn.Conv(width, (size, size), dtype=self.dtype)
    norm = lambda x: nn.GroupNorm(group_count(x.shape[-1]), dtype=self.dtype)(x) if self.norm else x
    wide = 4 * self.width if self.resample == 'up' else self.width
    up = depth_to_space if self.resample == 'up' else lambda x: x
    down = (lambda x: nn.avg_pool(x, (2, 2), (2, 2))) if self.resample == 'down' else lambda x: x
    h = up(conv(wide, 3)(nn.relu(norm(x))))
    h = down(conv(self.width, 3)(nn.relu(norm(h))))
    same = self.resample == 'none' and x.shape[-1] == self.width
    return h + (x if same else up(conv(wide, 1)(down(x))))


class Attention(nn.Module):
  """Every position looks at every other; starts as the identity (gain 0)."""
  dtype: str

  @nn.compact
  def __call__(self, x):
    b, h, w, c = x.shape
    q, k, v = (nn.Dense(n, use_bias=False, dtype=self.dtype)(x.reshape(b, h * w, c)) for n in (c // 8 or 1, c // 8 or 1, c))
    weight_BxLxL = nn.softmax((q @ k.swapaxes(1, 2)).astype(jnp.float32) / q.shape[-1]**.5).astype(v.dtype)
    y = weight_BxLxL @ v
    return x + self.param('gain', nn.initializers.zeros, ()) * y.reshape(x.shape)


class Encoder(nn.Module):
  stages: int
  width: int
  features: int
  attention: bool
  dtype: str

  @nn.compact
  def __call__(self, x):
    x = nn.Conv(self.width, (3, 3), dtype=self.dtype)(x)
    for i in range(self.stages):
      x = Block(self.width << i, 'down', False, self.dtype)(x)
      if self.attention and i == max(0, self.stages - 2):
        x = Attention(self.dtype)(x)
    x = nn.relu(Block(self.width << max(0, self.stages - 1), 'none', False, self.dtype)(x))
    h_BxF = nn.leaky_relu(nn.Dense(self.features, dtype=self.dtype)(x.reshape(len(x), -1)), .2)
    return h_BxF.astype(jnp.float32)


class Decoder(nn.Module):
  shape: tuple[int, ...]
  channels: int
  stages: int
  width: int
  attention: bool
  dtype: str

  @nn.compact
  def __call__(self, z_BxZ):
    h, w = (s >> self.stages for s in self.shape[:2])
    width = (self.width << self.stages) // 2
    x = nn.Dense(h * w * width, dtype=self.dtype)(z_BxZ).reshape(len(z_BxZ), h, w, width)
    for i in range(self.stages):
      if self.attention and i == min(1, self.stages - 1):
        x = Attention(self.dtype)(x)
      x = Block(width >> (i + 1), 'up', True, self.dtype)(x)
    x = nn.relu(nn.GroupNorm(group_count(x.shape[-1]), dtype=self.dtype)(x))
    return nn.Conv(self.channels, (3, 3), dtype=self.dtype)(x).astype(jnp.float32)


def make(options, spec):
  n = stages(spec.shape)
  return Parts(Encoder(n, options.width, options.features, options.attention, options.dtype),
               Decoder(spec.shape, spec.shape[-1], n, options.width, options.attention, options.dtype))
