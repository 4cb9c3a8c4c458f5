"""Recurrent networks over tokens: LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014, https://arxiv.org/abs/1406.1078) layers."""
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import core
from gen_jax.networks import Parts, drop, mixed

DEFAULTS = dict(width=256, layers=1, cell='lstm', dropout=0., dtype='float32')
CELLS = {'lstm': nn.OptimizedLSTMCell, 'gru': nn.GRUCell}


class Step(nn.Module):
  cell: str
  width: int
  dtype: str

  @nn.compact
  def __call__(self, carry, given):
    x_BxF, fresh_B = given
    carry = jax.tree.map(lambda c_BxF: jnp.where(fresh_B[:, None], 0, c_BxF), carry)
    return CELLS[self.cell](self.width, dtype=self.dtype)(carry, x_BxF)


class Recurrent(nn.Module):
  width: int
  layers: int
  cell: str
  dropout: float
  dtype: str
  vocabulary: int = 1

  @nn.compact
  def __call__(self, tokens_BxL, document_BxL=None, keys_B=None, cache: Any = None):
    """As a transformer's (networks.transformer): logits [B, L, vocabulary], with a cache (logits, cache)."""
    B, L = tokens_BxL.shape[:2]
    fresh_BxL = jnp.zeros((B, L), bool) if document_BxL is None else jnp.diff(document_BxL, axis=1, prepend=document_BxL[:, :1]) != 0
    before = self.empty(B, L) if cache is None else cache
    scan = nn.scan(Step, variable_broadcast='params', split_rngs={'params': False}, in_axes=1, out_axes=1)
    embed = nn.Embed(self.vocabulary, self.width, dtype=self.dtype)
    h_BxLxF, after = drop(mixed(embed, tokens_BxL), keys_B, 'embed', self.dropout), []
    for i, carry in enumerate(before):
      carry, h_BxLxF = scan(self.cell, self.width, self.dtype)(carry, (h_BxLxF, fresh_BxL))
      after.append(carry)
      h_BxLxF = drop(h_BxLxF, keys_B, f'layer_{i}', self.dropout)
    logits_BxLxV = nn.Dense(self.vocabulary, dtype=self.dtype)(h_BxLxF).astype(jnp.float32)
    return logits_BxLxV if cache is None else (logits_BxLxV, after)

  def empty(self, n: int, length: int):
    """The cache of n sequences: of any length."""
    zero = jnp.zeros((n, self.width), self.dtype)
    return [(zero, zero) if self.cell == 'lstm' else zero] * self.layers


def make(options, spec):
  o = options
  core.choose('network.cell', o.cell, CELLS)
  if not 0 <= o.dropout < 1:
    raise core.InputError(f'network.dropout={o.dropout}: must be in [0, 1)')
  return Parts(causal=Recurrent(o.width, o.layers, o.cell, o.dropout, o.dtype))
