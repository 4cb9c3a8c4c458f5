"""The U-Net of diffusion models (Ho et al. 2020, https://arxiv.org/abs/2006.11239) with adaptive normalisation (Dhariwal and Nichol 2021,
https://arxiv.org/abs/2105.05233) and attention at its smallest size. Images whose sides divide by patch * 2^(stages - 1).

What halves and doubles a side is a rearrangement of pixels between two 1x1 convolutions, and `patch` does the same at both ends (Hoogeboom et al.
2023, https://arxiv.org/abs/2301.11093, sec. 3.2): at full size convolutions of few channels cost most and do least.
"""
import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import core
from gen_jax.networks import Context, Parts
from gen_jax.networks.conv import depth_to_space, group_count

DEFAULTS = dict(
    width=32,                   # channels at the first stage, doubled by each further one
    stages=2,
    blocks=1,                   # a stage and direction
    patch=2,
    head=32,
    attention=True,
    # For likelihoods: pixels also as sines and cosines of one and of two of 256 levels, from which a little noise can be told (Kingma et al. 2021,
    # https://arxiv.org/abs/2107.00630, app. C). In step with the levels where the noise is little and family.deviation is 1.
    fourier=False,
    dtype='float32',
)


def space_to_depth(x_BxHxWxC, n=2):
  """[B, H, W, C] -> [B, H/n, W/n, n^2 C]; the inverse of depth_to_space."""
  b, h, w, c = x_BxHxWxC.shape
  return x_BxHxWxC.reshape(b, h // n, n, w // n, n, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h // n, w // n, n * n * c)


class Block(nn.Module):
  width: int
  dtype: str

  @nn.compact
  def __call__(self, x, context_BxF):
    conv = lambda size, **more: nn.Conv(self.width, (size, size), dtype=self.dtype, **more)
    h = conv(3)(nn.silu(nn.GroupNorm(group_count(x.shape[-1]), dtype=self.dtype)(x)))
    scale, shift = jnp.split(nn.Dense(2 * self.width, dtype=self.dtype)(context_BxF)[:, None, None], 2, axis=-1)
    h = nn.GroupNorm(group_count(self.width), dtype=self.dtype)(h) * (1 + scale) + shift
    h = conv(3, kernel_init=nn.initializers.zeros)(nn.silu(h))
    return h + (x if x.shape[-1] == self.width else conv(1)(x))


class Attention(nn.Module):
  head: int                  # channels of each head
  dtype: str

  @nn.compact
  def __call__(self, x):
    b, h, w, c = x.shape
    heads = max(1, c // self.head)
    y = nn.GroupNorm(group_count(c), dtype=self.dtype)(x).reshape(b, h * w, c)
    q, k, v = jnp.split(nn.Dense(3 * c, dtype=self.dtype)(y).reshape(b, h * w, heads, 3 * c // heads), 3, axis=-1)
    y = jax.nn.dot_product_attention(q, k, v).reshape(b, h * w, c)
    return x + nn.Dense(c, dtype=self.dtype, kernel_init=nn.initializers.zeros)(y).reshape(x.shape)


class Denoiser(nn.Module):
  channels: int
  width: int
  stages: int
  blocks: int
  patch: int
  head: int
  attention: bool
  fourier: bool
  dtype: str

  @nn.compact
  def __call__(self, x_B, level_B, condition_BxE=None):
    context_BxF = Context(4 * self.width, self.dtype)(level_B, condition_BxE)
    point = lambda n: nn.Conv(n, (1, 1), dtype=self.dtype)
    if self.fourier:
      x_B = jnp.concatenate([x_B, *(wave(255 * jnp.pi / levels * x_B) for levels in (1, 2) for wave in (jnp.sin, jnp.cos))], axis=-1)
    h, skips = nn.Conv(self.width, (3, 3), dtype=self.dtype)(space_to_depth(x_B, self.patch)), []
    for stage in range(self.stages):
      width = self.width << stage
      if stage:
        h = point(width)(space_to_depth(h))
      for _ in range(self.blocks):
        h = Block(width, self.dtype)(h, context_BxF)
        skips.append(h)
    if self.attention:
      h = Attention(self.head, self.dtype)(h)
    h = Block(width, self.dtype)(h, context_BxF)
    for stage in reversed(range(self.stages)):
      width = self.width << stage
      for _ in range(self.blocks):
        h = Block(width, self.dtype)(jnp.concatenate([h, skips.pop()], axis=-1), context_BxF)
      if stage:
        h = depth_to_space(point(2 * width)(h))
    h = nn.silu(nn.GroupNorm(group_count(self.width), dtype=self.dtype)(h))
    h = nn.Conv(self.channels * self.patch**2, (3, 3), dtype=self.dtype, kernel_init=nn.initializers.zeros)(h)
    return depth_to_space(h, self.patch).astype(jnp.float32)


def make(options, spec):
  factor = options.patch << (options.stages - 1)
  if len(spec.shape) != 3 or any(side % factor for side in spec.shape[:2]):
    raise core.InputError(f'this U-Net makes images whose sides are multiples of {factor} (network.patch, network.stages), not {tuple(spec.shape)}')
  if (deepest := options.width << (options.stages - 1)) > options.head and deepest % options.head:
    raise core.InputError(f'network.width={options.width} does not divide into heads of network.head={options.head}')
  return Parts(denoiser=Denoiser(spec.shape[-1], options.width, options.stages, options.blocks, options.patch, options.head, options.attention,
                                 options.fourier, options.dtype))
