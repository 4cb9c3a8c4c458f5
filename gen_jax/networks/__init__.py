"""flax.linen modules without losses: one file a network, `make(options, spec) -> Parts`, of which a network has some.

Families put heads on them. Parameters are float32, `dtype` is what is computed in, and what leaves a network is float32.
"""
import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import core
from gen_jax.modalities import text


class Parts(NamedTuple):
  """None: the network has no such part."""
  encoder: nn.Module | None = None     # x_BxHxWxC or x_BxD -> h_BxF, or [B, h, w, F]
  decoder: nn.Module | None = None     # z_BxZ, or [B, h, w, Z] -> x, before any squashing; its field `channels` says how many C are made
  denoiser: nn.Module | None = None    # (x_B, level_B, condition_BxE or None) -> as x, with `channels`; level_B is log(sigma / alpha) of x's noise,
                                       # at most the schedule's `told`
  causal: nn.Module | None = None      # (tokens_BxL, ...) -> logits [B, L, vocabulary], each of what comes before; with a cache (transformer).
                                       # Tokens may be weights of them all, [B, L, vocabulary] (`mixed`)
  maps: bool = False                   # whether encoder and decoder are of maps [B, h, w, F], not of vectors


def make(options, spec, *parts: str, maps: bool = False) -> list[nn.Module]:
  """These parts of the network that options names, for a data.Spec; maps: whether the family takes maps for vectors.

  Raises InputError where it lacks one, or makes maps for a family that takes none.
  """
  core.choose('network.dtype', options.dtype, ('float32', 'bfloat16'))
  made = core.module('networks', options.name).make(options, spec)
  if made.maps and not maps:
    raise core.InputError(f'network {options.name} makes maps, which the family vqvae takes; for one vector an example take conv, resnet or mlp')
  for part in parts:
    if getattr(made, part) is None:
      raise core.InputError(f'network {options.name} has no {part}')
  return [getattr(made, part) for part in parts]


def append_label(x_B, condition_B, classes: int):
  """x with a one-hot label as further channels: planes behind an image, numbers behind a vector. classes = 0: x as it is."""
  if not classes:
    return x_B
  planes = jax.nn.one_hot(condition_B, classes, dtype=x_B.dtype).reshape(len(x_B), *[1] * (x_B.ndim - 2), classes)
  return jnp.concatenate([x_B, jnp.broadcast_to(planes, (*x_B.shape[:-1], classes))], axis=-1)


@jax.custom_vjp
def _product(x_NxF, w_FxG):
  return x_NxF @ w_FxG


def _product_transposed(given, d_NxG):
  x_NxF, w_FxG = given
  # As (d^T x)^T, not x^T d: there XLA on CPU computes what follows the product in training, such as GELU's derivative, along the wrong axis, and a
  # transformer's MLP takes twice as long (experiments/speed/dense.py).
  return d_NxG @ w_FxG.T, jax.lax.dot_general(d_NxG, x_NxF, (((0,), (0,)), ((), ()))).T


_product.defvjp(lambda x, w: (_product(x, w), (x, w)), _product_transposed)


def dot_general(x, w, dimensions, precision=None, **more):
  """For flax's Dense and DenseGeneral, on sequences: the last axes of x with the first of w, differentiated in the form that is fast on CPU."""
  k = len(dimensions[0][0])
  size = math.prod(w.shape[:k])
  return _product(x.reshape(-1, size), w.reshape(size, -1)).reshape(*x.shape[:-k], *w.shape[k:])


def drop(h_B, keys_B, name: str, rate: float):
  """Dropout keyed by example (Srivastava et al. 2014); without keys, or at rate 0, nothing."""
  if keys_B is None or not rate:
    return h_B
  kept_B = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, h_B.shape[1:]))(core.fold(keys_B, name))
  return jnp.where(kept_B, h_B / (1 - rate), 0)


def mixed(embed: nn.Embed, tokens):
  """[B, L, F]: the embeddings of tokens [B, L], or of weights of all tokens [B, L, V] their mixture: of one-hot ones, the same."""
  return embed(tokens) if tokens.ndim == 2 else tokens.astype(embed.dtype) @ embed.embedding.astype(embed.dtype)


def embed(level_B, size: int):
  """Of a noise level log(sigma / alpha), within +-7 or so: cosines and sines of geometric frequencies, [B, size] for an even size."""
  frequencies_F = jnp.geomspace(.2, 20., size // 2)
  angle_BxF = level_B[:, None] * frequencies_F[None]
  return jnp.concatenate([jnp.cos(angle_BxF), jnp.sin(angle_BxF)], axis=-1)


class Context(nn.Module):
  """Of a noise level and a condition [B, E] or None, what adapts a denoiser's layers, [B, size] for an even size."""
  size: int
  dtype: str

  @nn.compact
  def __call__(self, level_B, condition_BxE):
    dense = lambda: nn.Dense(self.size, dtype=self.dtype)
    h_BxF = dense()(embed(level_B, self.size))
    if condition_BxE is not None:
      h_BxF += dense()(condition_BxE)
    return nn.silu(dense()(nn.silu(h_BxF)))


class Caption(nn.Module):
  """[B, L] numbers of words (modalities.text) -> [B, 128]: the sum of what each one means where it stands, over the root of how many; 0 of none.

  Training captions have every word of the vocabulary and no other, so that of an unknown one nothing was learnt: it counts as none.
  """
  words: int

  @nn.compact
  def __call__(self, words_BxL):
    there_BxLx1 = (words_BxL >= text.FIRST)[..., None]
    place_LxE = self.param('place', nn.initializers.normal(.02), (words_BxL.shape[1], 128))
    h_BxLxE = nn.Embed(self.words + text.FIRST, 128)(words_BxL) + place_LxE[None]
    h_BxLxE = nn.Dense(128)(nn.silu(nn.Dense(256)(h_BxLxE)))
    return (h_BxLxE * there_BxLx1).sum(1) / jnp.sqrt(jnp.maximum(1, there_BxLx1.sum(1)))
