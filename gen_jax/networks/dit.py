"""The diffusion transformer with adaLN-zero (Peebles and Xie 2023, https://arxiv.org/abs/2212.09748). Images whose sides divide by `patch`."""
import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import core
from gen_jax.networks import Context, Parts, dot_general
from gen_jax.networks.conv import depth_to_space
from gen_jax.networks.unet import space_to_depth

DEFAULTS = dict(width=128, layers=6, head=32, patch=4, dtype='float32')


def positions(h: int, w: int, size: int):
  """Sines and cosines of a patch's row and column, [h * w, size]: a quarter of them each."""
  frequencies_F = 1e4**-jnp.linspace(0., 1., size // 4, endpoint=False)
  rows, columns = (jnp.arange(n)[:, None] * frequencies_F[None] for n in (h, w))
  waves = lambda angle: jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)
  shape = (h, w, size // 2)
  both = jnp.concatenate([jnp.broadcast_to(waves(rows)[:, None], shape), jnp.broadcast_to(waves(columns)[None], shape)], axis=-1)
  return both.reshape(h * w, size)


class Block(nn.Module):
  head: int                  # channels of each head
  dtype: str

  @nn.compact
  def __call__(self, x_BxLxD, context_BxD):
    b, length, d = x_BxLxD.shape
    dense = lambda n, **more: nn.Dense(n, dtype=self.dtype, dot_general=dot_general, **more)
    norm = nn.LayerNorm(use_scale=False, use_bias=False, epsilon=1e-6, dtype=self.dtype)
    modulation = dense(6 * d, kernel_init=nn.initializers.zeros)(context_BxD)[:, None]
    shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = jnp.split(modulation, 6, axis=-1)
    qkv = dense(3 * d)(norm(x_BxLxD) * (1 + scale) + shift).reshape(b, length, max(1, d // self.head), -1)
    y_BxLxD = jax.nn.dot_product_attention(*jnp.split(qkv, 3, axis=-1)).reshape(b, length, d)
    x_BxLxD += gate * dense(d)(y_BxLxD)
    h = nn.gelu(dense(4 * d)(norm(x_BxLxD) * (1 + scale_mlp) + shift_mlp))
    return x_BxLxD + gate_mlp * dense(d)(h)


class Denoiser(nn.Module):
  channels: int
  width: int
  layers: int
  head: int
  patch: int
  dtype: str

  @nn.compact
  def __call__(self, x_B, level_B, condition_BxE=None):
    dense = lambda n, **more: nn.Dense(n, dtype=self.dtype, **more)
    context_BxD = Context(self.width, self.dtype)(level_B, condition_BxE)
    patches = space_to_depth(x_B, self.patch)
    b, h, w, _ = patches.shape
    x_BxLxD = dense(self.width)(patches.reshape(b, h * w, -1)) + positions(h, w, self.width)[None]
    for _ in range(self.layers):
      x_BxLxD = Block(self.head, self.dtype)(x_BxLxD, context_BxD)
    shift, scale = jnp.split(dense(2 * self.width, kernel_init=nn.initializers.zeros)(context_BxD)[:, None], 2, axis=-1)
    x_BxLxD = nn.LayerNorm(use_scale=False, use_bias=False, epsilon=1e-6, dtype=self.dtype)(x_BxLxD) * (1 + scale) + shift
    out = dense(self.channels * self.patch**2, kernel_init=nn.initializers.zeros)(x_BxLxD)
    return depth_to_space(out.reshape(b, h, w, -1), self.patch).astype(jnp.float32)


def make(options, spec):
  if len(spec.shape) != 3 or any(side % options.patch for side in spec.shape[:2]):
    raise core.InputError(f'this transformer makes images whose sides are multiples of network.patch={options.patch}, not {tuple(spec.shape)}')
  if options.width % 4 or options.width > options.head and options.width % options.head:
    raise core.InputError(f'network.width={options.width} is no multiple of 4 and of network.head={options.head}')
  return Parts(denoiser=Denoiser(spec.shape[-1], options.width, options.layers, options.head, options.patch, options.dtype))
