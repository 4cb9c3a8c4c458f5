"""Sequences that an LSTM of random weights makes: data whose every probability is known (Yu et al. 2017, https://arxiv.org/abs/1609.05473, sec. 5.1).

Embeddings, weights and biases are N(0, 1), embeddings and hidden state of 32 numbers. A token is a number below `vocabulary`, written as such; END
begins a sequence and is never drawn, so that all are of one length. Examples are iid, and the i-th is the same in a set of any size.
"""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import tokenizers
from ml_collections import ConfigDict

from gen_jax import core, data, decoding
from gen_jax.modalities import text

DEFAULTS = dict(
    oracle=0,                   # whose weights
    vocabulary=5000,
    length=20,                  # tokens of a sequence, without END before them
    size=10_000,                # training examples; validation and test have a fifth each
)
WIDTH = 32
AT_ONCE = 1000                  # sequences, each with the probabilities of all tokens
FIRST = text.END + 1            # the token that is 0


def make(options, split) -> data.Source:
  """uint16 [n, 1 + length]; no condition. Raises InputError for sizes that can't be."""
  o = options
  if not 1 <= o.vocabulary <= 2**16 - FIRST or min(o.length, o.size) < 1:
    raise core.InputError(f'data.vocabulary={o.vocabulary} must be in [1, {2**16 - FIRST}], data.length={o.length} and data.size={o.size} at least 1')
  n = o.size if split == 'train' else max(1, o.size // 5)
  key = core.fold(core.fold(jax.random.key(o.oracle), 'examples'), split)
  w = weights(o)
  x = np.concatenate([sample(w, core.per_example(key, np.arange(i, i + AT_ONCE)), o.length) for i in range(0, n, AT_ONCE)])[:n]
  return data.from_arrays(x.astype(np.uint16), None, data.Spec((1 + o.length,), bounded=False, modality='text', tokenizer=numbers(o.vocabulary)))


def numbers(size: int) -> str:
  """A tokenizer of the numbers below size, with spaces between them."""
  vocabulary = {token: i for i, token in enumerate((*text.SPECIAL, *map(str, range(size))))}
  made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, text.SPECIAL[text.UNKNOWN]))
  made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
  return made.to_str()


def weights(options) -> dict:
  """The oracle's: the first embedding is END's."""
  key, V = core.fold(jax.random.key(options.oracle), 'weights'), options.vocabulary
  shapes = {'embed': (1 + V, WIDTH), 'kernel': (2 * WIDTH, 4 * WIDTH), 'bias': (4 * WIDTH,), 'out': (WIDTH, V), 'out_bias': (V,)}
  return {name: jax.random.normal(core.fold(key, name), shape) for name, shape in shapes.items()}


def step(w, x_B, carry):
  """(Logits of the next number [B, V], the state after the tokens x_B); all zeros before the first."""
  c_BxF, h_BxF = carry
  given_BxF = jnp.concatenate([w['embed'][jnp.maximum(x_B - text.END, 0)], h_BxF], axis=-1)
  i, f, o, g = jnp.split(given_BxF @ w['kernel'] + w['bias'][None], 4, axis=-1)
  c_BxF = jax.nn.sigmoid(f) * c_BxF + jax.nn.sigmoid(i) * jnp.tanh(g)
  h_BxF = jax.nn.sigmoid(o) * jnp.tanh(c_BxF)
  return h_BxF @ w['out'] + w['out_bias'][None], (c_BxF, h_BxF)


@functools.partial(jax.jit, static_argnames='length')
def sample(w, keys_N, length: int):
  """int32 [N, 1 + length]"""
  n, V = len(keys_N), len(w['out_bias'])

  def one(tokens_Nx1, carry):
    logits_NxV, carry = step(w, tokens_Nx1[:, 0], carry)
    return jnp.pad(logits_NxV, ((0, 0), (FIRST, 0)))[:, None], carry
  given_NxL = jnp.full((n, 1 + length), text.NOTHING).at[:, 0].set(text.END)
  return decoding.generate(one, lambda length: (jnp.zeros((n, WIDTH)),) * 2, keys_N, given_NxL, jnp.arange(FIRST + V) < FIRST,
                           ConfigDict(decoding.DEFAULTS), text.NOTHING, draw=decoding.inverse)


def log_prob(w, x_BxL):
  """log p in nats, [B], exact: -inf of what the oracle can't make, with another token than END at its start or anything but numbers behind it."""
  def told(carry, pair):
    given_B, next_B = pair
    logits_BxV, carry = step(w, given_B, carry)
    log_p_B = jnp.take_along_axis(jax.nn.log_softmax(logits_BxV), jnp.maximum(next_B - FIRST, 0)[:, None], axis=1)[:, 0]
    return carry, jnp.where(next_B < FIRST, -jnp.inf, log_p_B)
  x_LxB = jnp.asarray(x_BxL, jnp.int32).T
  _, log_p_LxB = jax.lax.scan(told, (jnp.zeros((x_LxB.shape[1], WIDTH)),) * 2, (x_LxB[:-1], x_LxB[1:]))
  return jnp.where(x_LxB[0] == text.END, log_p_LxB.sum(0), -jnp.inf)
