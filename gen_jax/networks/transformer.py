"""A decoder-only transformer (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762) over tokens, in one of two styles.

gpt2: LayerNorm first, learned positions, GELU (Radford et al. 2019; without its biases). llama: RMSNorm first, rotary positions (Su et al. 2021,
https://arxiv.org/abs/2104.09864), SwiGLU (Shazeer 2020, https://arxiv.org/abs/2002.05202). Both with grouped queries (Ainslie et al. 2023,
https://arxiv.org/abs/2305.13245) and the output tied to the embedding.
"""
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import core
from gen_jax.modalities import text
from gen_jax.networks import Parts, dot_general, drop, mixed

DEFAULTS = dict(
    width=128,
    layers=4,
    heads=4,
    groups=0,                   # heads of keys and values, each shared by heads / groups queries; 0: as many as heads
    style='llama',
    dropout=0.,
    remat=False,                # layers are computed again in the backward pass instead of kept
    dtype='float32',
)
INIT = nn.initializers.normal(.02)


class Norm(nn.Module):
  style: str
  dtype: str

  @nn.compact
  def __call__(self, h):
    if self.style == 'llama':
      return nn.RMSNorm(epsilon=1e-5, dtype=self.dtype)(h)
    return nn.LayerNorm(epsilon=1e-5, use_bias=False, dtype=self.dtype)(h)


def rotated(x_BxLxHxD, place_BxL):
  """Pairs of channels turned by an angle that grows with the place: a product of two depends on how far apart they are alone."""
  half = x_BxLxHxD.shape[-1] // 2
  angle_BxLx1xD = place_BxL[..., None, None] * 1e4**-(jnp.arange(half) / half)[None, None, None]
  cos, sin = jnp.cos(angle_BxLx1xD), jnp.sin(angle_BxLx1xD)
  a, b = x_BxLxHxD[..., :half], x_BxLxHxD[..., half:]
  return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1).astype(x_BxLxHxD.dtype)


def attention(q_BxLxHxD, k_BxGxMxD, v_BxGxMxD, mask_BxLxM):
  """[B, L, H, D]; queries h of H share the keys and values h * G // H. On CPU its gradient is faster than jax.nn.dot_product_attention's."""
  B, L, H, D = q_BxLxHxD.shape
  G = k_BxGxMxD.shape[1]
  q_BxGxRxLxD = (q_BxLxHxD * D**-.5).reshape(B, L, G, H // G, D).transpose(0, 2, 3, 1, 4)
  logits = jnp.einsum('bgrld,bgmd->bgrlm', q_BxGxRxLxD, k_BxGxMxD).astype(jnp.float32)
  weights = jax.nn.softmax(jnp.where(mask_BxLxM[:, None, None], logits, -1e30), axis=-1).astype(q_BxLxHxD.dtype)
  return jnp.einsum('bgrlm,bgmd->bgrld', weights, v_BxGxMxD).transpose(0, 3, 1, 2, 4).reshape(B, L, H, D)


class Layer(nn.Module):
  heads: int
  groups: int
  depth: int                 # layers in all: what adds to the residual stream starts smaller by the root of twice as many
  style: str
  dropout: float
  dtype: str

  @nn.compact
  def __call__(self, h_BxLxF, place_BxL, mask_BxLxM, keys_B=None, cache=None, at=None):
    """cache: (keys, values), [B, G, M, D] each, of which those from `at` on are written here. Returns (h, the cache)."""
    width = h_BxLxF.shape[-1]

    def dense(size, axis=-1, std=.02, **k):
      return nn.DenseGeneral(size, axis, use_bias=False, kernel_init=nn.initializers.normal(std), dtype=self.dtype, dot_general=dot_general,
                             **k)
    last = .02 / (2 * self.depth)**.5
    x_BxLxF = Norm(self.style, self.dtype)(h_BxLxF)
    size = width // self.heads
    q, k, v = jnp.split(dense((self.heads + 2 * self.groups, size), name='query_key_value')(x_BxLxF), [self.heads, self.heads + self.groups], axis=2)
    if self.style == 'llama':
      q, k = rotated(q, place_BxL), rotated(k, place_BxL)
    k, v = (a.transpose(0, 2, 1, 3) for a in (k, v))
    if cache is not None:
      k, v = cache = tuple(jax.lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), at, axis=2) for old, new in zip(cache, (k, v)))
    a_BxLxHxD = attention(q, k, v, mask_BxLxM)
    h_BxLxF += drop(dense(width, (-2, -1), last, name='attended')(a_BxLxHxD), keys_B, 'attended', self.dropout)
    x_BxLxF = Norm(self.style, self.dtype)(h_BxLxF)
    if self.style == 'llama':   # of three matrices, as many parameters as of two of 4 times the width
      inner = -(-8 * width // 24) * 8
      gate, x_BxLxF = jnp.split(dense(2 * inner, name='in')(x_BxLxF), 2, axis=-1)
      x_BxLxF *= nn.silu(gate)
    else:
      x_BxLxF = nn.gelu(dense(4 * width, name='in')(x_BxLxF))
    return h_BxLxF + drop(dense(width, std=last, name='out')(x_BxLxF), keys_B, 'out', self.dropout), cache


class Transformer(nn.Module):
  length: int                # the longest sequence
  width: int
  layers: int
  heads: int
  groups: int
  style: str
  dropout: float
  remat: bool
  dtype: str
  vocabulary: int = 1
  pooled: bool = False       # instead of logits, the mean of what is at the tokens that there are, [B, width]: an encoder

  @nn.compact
  def __call__(self, tokens_BxL, document_BxL=None, keys_B=None, cache: Any = None):
    """Logits [B, L, vocabulary]; with a cache (`empty`), of tokens that follow those in it, and (logits, cache).

    tokens_BxL: or weights of all tokens, [B, L, vocabulary] (`mixed`). document_BxL: a number each document of the sequence; none sees another.
    keys_B: for dropout; None: there is none.
    """
    B, L = tokens_BxL.shape[:2]
    at = 0 if cache is None else cache['length']
    place_BxL = jnp.broadcast_to(at + jnp.arange(L), (B, L))
    if cache is None:
      mask_BxLxM = jnp.tril(jnp.ones((L, L), bool))[None]
      if document_BxL is not None:
        same_BxLxM = document_BxL[:, :, None] == document_BxL[:, None]
        mask_BxLxM &= same_BxLxM
        place_BxL -= same_BxLxM.argmax(-1)   # where its document begins
    else:
      M = cache['layers'][0][0].shape[2]
      mask_BxLxM = (jnp.arange(M)[None, None] <= place_BxL[:, :, None])
    mask_BxLxM = jnp.broadcast_to(mask_BxLxM, (B, *mask_BxLxM.shape[1:]))
    embed = nn.Embed(self.vocabulary, self.width, embedding_init=INIT, dtype=self.dtype, name='embed')
    h_BxLxF = mixed(embed, tokens_BxL)
    if self.style == 'gpt2':
      h_BxLxF += self.param('place', INIT, (self.length, self.width))[place_BxL].astype(h_BxLxF.dtype)
    h_BxLxF = drop(h_BxLxF, keys_B, 'embed', self.dropout)
    make, kept = nn.remat(Layer) if self.remat else Layer, []
    for i in range(self.layers):
      layer = make(self.heads, self.groups, self.layers, self.style, self.dropout, self.dtype, name=f'layer_{i}')
      keys = None if keys_B is None else core.fold(keys_B, i)
      h_BxLxF, one = layer(h_BxLxF, place_BxL, mask_BxLxM, keys, None if cache is None else cache['layers'][i], at)
      kept.append(one)
    h_BxLxF = Norm(self.style, self.dtype)(h_BxLxF)
    if self.pooled:
      there_BxLx1 = (tokens_BxL != text.NOTHING)[..., None]
      return ((h_BxLxF * there_BxLx1).sum(1) / jnp.maximum(1, there_BxLx1.sum(1))).astype(jnp.float32)
    logits_BxLxV = embed.attend(h_BxLxF).astype(jnp.float32)
    return logits_BxLxV if cache is None else (logits_BxLxV, {'layers': kept, 'length': at + L})

  def empty(self, n: int, length: int):
    """The cache of n sequences that may become so long."""
    one = jnp.zeros((n, self.groups, length, self.width // self.heads), self.dtype)
    return {'layers': [(one, one)] * self.layers, 'length': jnp.zeros((), jnp.int32)}


def make(options, spec):
  o = options
  groups = o.groups or o.heads
  core.choose('network.style', o.style, ('gpt2', 'llama'))
  if o.width % (2 * o.heads) or o.heads % groups:
    raise core.InputError(f'network.width={o.width} must be a multiple of twice heads={o.heads}, and heads of groups={groups}')
  if not 0 <= o.dropout < 1:
    raise core.InputError(f'network.dropout={o.dropout}: must be in [0, 1)')
  length = 1 + math.prod(spec.shape)   # an image's first token says where it begins
  causal = Transformer(length, o.width, o.layers, o.heads, groups, o.style, o.dropout, o.remat, o.dtype)
  # Of images an encoder would see levels that are no tokens.
  return Parts(causal=causal, encoder=causal.clone(pooled=True) if spec.tokenizer else None)
