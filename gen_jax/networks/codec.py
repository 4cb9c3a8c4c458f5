"""Residual convolutions around a small map, as in VQ-VAE (van den Oord et al. 2017, https://arxiv.org/abs/1711.00937, sec. 4.1): strided convolutions
down by `factor`, pixel shuffles up (networks/conv.py says why), residual blocks at the smallest size, GroupNorm. Images of a multiple of `factor`."""
import flax.linen as nn
import jax.numpy as jnp

from gen_jax import core
from gen_jax.networks import Parts
from gen_jax.networks.conv import depth_to_space, group_count, strided

DEFAULTS = dict(width=64, blocks=2, factor=4, dtype='float32')

FACTORS = {2: 1, 4: 2, 8: 3}   # and how often they halve


class Block(nn.Module):
  dtype: str

  @nn.compact
  def __call__(self, x):
    conv = lambda x, size: nn.Conv(x.shape[-1], (size, size), dtype=self.dtype)(active(x, self.dtype))
    return x + conv(conv(x, 3), 1)


class Encoder(nn.Module):
  """x_BxHxWxC -> [B, H / factor, W / factor, width]."""
  width: int                 # channels at the smallest size, halved by each doubling
  blocks: int
  stages: int
  dtype: str

  @nn.compact
  def __call__(self, x):
    for i in reversed(range(self.stages)):
      x = nn.Conv(max(1, self.width >> i), (4, 4), 2, conv_general_dilated=strided, dtype=self.dtype)(x)
      x = nn.silu(x) if i else x
    for _ in range(self.blocks):
      x = Block(self.dtype)(x)
    return active(x, self.dtype).astype(jnp.float32)


class Decoder(nn.Module):
  """[B, h, w, Z] -> [B, factor * h, factor * w, channels]."""
  channels: int
  width: int
  blocks: int
  stages: int
  dtype: str

  @nn.compact
  def __call__(self, z):
    conv = lambda x, width: nn.Conv(width, (3, 3), dtype=self.dtype)(x)
    x = conv(z, self.width)
    for _ in range(self.blocks):
      x = Block(self.dtype)(x)
    for i in range(1, self.stages + 1):
      x = depth_to_space(conv(active(x, self.dtype), 4 * max(1, self.width >> i)))
    return conv(active(x, self.dtype), self.channels).astype(jnp.float32)


def active(x, dtype):
  return nn.silu(nn.GroupNorm(group_count(x.shape[-1]), dtype=dtype)(x))


def make(options, spec):
  stages = core.choose('network.factor', options.factor, FACTORS)
  if len(spec.shape) != 3 or any(side % options.factor or not side for side in spec.shape[:2]):
    raise core.InputError(f'this network makes images whose sides are multiples of network.factor={options.factor}, not {tuple(spec.shape)}')
  shared = dict(width=options.width, blocks=options.blocks, stages=stages, dtype=options.dtype)
  return Parts(Encoder(**shared), Decoder(spec.shape[-1], **shared), maps=True)
