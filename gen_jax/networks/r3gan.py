"""As R3GAN (Huang et al. 2024, https://arxiv.org/abs/2501.05441, sec. 4): residual bottlenecks without normalisation, kept stable by their start
(Fixup: Zhang et al. 2019, https://arxiv.org/abs/1901.09321) and, in training, by family.loss=relativistic with family.penalty=r1r2.

A block's 3x3 convolution is an ordinary one on half the channels, where the paper widens twofold and convolves in groups of 16: grouped convolutions
are slow on CPU. Images of a multiple of 4, halved by averages and doubled bilinearly.
"""
import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax.networks import Parts
from gen_jax.networks.conv import stages, strided

DEFAULTS = dict(width=32, blocks=1, dtype='float32')   # width: channels at full size, doubled by each halving; blocks: of each size


class Block(nn.Module):
  """1x1, 3x3, 1x1; starts as the identity, for its last kernel is 0."""
  depth: int                 # blocks of the network: the more, the smaller each one's other kernels start (Fixup, m = 3 layers a block)
  dtype: str

  @nn.compact
  def __call__(self, x):
    start = nn.initializers.variance_scaling(2 / 1.04 * self.depth**-.5, 'fan_in', 'normal')
    narrow = max(1, x.shape[-1] // 2)
    h = nn.leaky_relu(nn.Dense(narrow, kernel_init=start, dtype=self.dtype)(x), .2)
    h = nn.leaky_relu(nn.Conv(narrow, (3, 3), conv_general_dilated=strided, kernel_init=start, dtype=self.dtype)(h), .2)
    return x + nn.Dense(x.shape[-1], kernel_init=nn.initializers.zeros, dtype=self.dtype)(h)


class Encoder(nn.Module):
  """[B, H, W, C] -> [B, F], F = width << stages: each channel of the smallest map times a learned map of its own."""
  stages: int
  width: int
  blocks: int
  dtype: str

  @nn.compact
  def __call__(self, x):
    depth = (self.stages + 1) * self.blocks
    for i in range(self.stages + 1):
      x = nn.Dense(self.width << i, dtype=self.dtype)(nn.avg_pool(x, (2, 2), (2, 2)) if i else x)
      for _ in range(self.blocks):
        x = Block(depth, self.dtype)(x)
    basis = self.param('basis', nn.initializers.normal((x.shape[1] * x.shape[2])**-.5), x.shape[1:])
    return jnp.einsum('bhwc,hwc->bc', x.astype(jnp.float32), basis)


class Decoder(nn.Module):
  """[B, Z] -> [B, H, W, channels]: learned maps weighted by z, then up."""
  shape: tuple[int, ...]
  channels: int
  stages: int
  width: int
  blocks: int
  dtype: str

  @nn.compact
  def __call__(self, z_BxZ):
    depth = (self.stages + 1) * self.blocks
    h, w, c = *(s >> self.stages for s in self.shape[:2]), self.width << self.stages
    basis = self.param('basis', nn.initializers.normal(1.), (h, w, c))
    x = nn.Dense(c, dtype=self.dtype)(z_BxZ)[:, None, None] * basis.astype(self.dtype)[None]
    for i in reversed(range(self.stages + 1)):
      for _ in range(self.blocks):
        x = Block(depth, self.dtype)(x)
      if i:
        x = nn.Dense(self.width << (i - 1), dtype=self.dtype)(x)
        x = jax.image.resize(x, (len(x), 2 * x.shape[1], 2 * x.shape[2], x.shape[3]), 'bilinear')
    return nn.Dense(self.channels, dtype=self.dtype)(x).astype(jnp.float32)


def make(options, spec):
  n = stages(spec.shape)
  shared = dict(stages=n, width=options.width, blocks=options.blocks, dtype=options.dtype)
  return Parts(Encoder(**shared), Decoder(spec.shape, spec.shape[-1], **shared))
