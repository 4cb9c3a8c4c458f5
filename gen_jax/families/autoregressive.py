"""Autoregressive models: each token's distribution given those before it, so that the likelihood is exact.

Of text and of music the tokens are their modality's. Of images they are the pixels' levels, row by row (van den Oord et al. 2016,
https://arxiv.org/abs/1601.06759), after one that says where an image begins, and of which class. The first token is given, never told.
"""
import math

import jax
import jax.numpy as jnp
import optax

from gen_jax import core, decoding, losses, modalities, networks, optimizers
from gen_jax.modalities import text

DEFAULTS = dict(
    smoothing=0.,               # of the labels
    documents=False,            # no document of a window sees another: END begins one
    binarize='',                # pixels of two levels instead of 256: 'dynamic' draws them afresh each step, 'threshold' cuts at grey
    condition=False,            # on the labels of images
)
SAMPLE = decoding.DEFAULTS


def make(config, spec) -> core.Family:
  o, sampling = config.family, config.sample
  decoding.check(sampling)
  if o.binarize not in ('', 'dynamic', 'threshold'):
    raise core.InputError(f"family.binarize={o.binarize!r}: '', dynamic or threshold")
  if not 0 <= o.smoothing < 1:
    raise core.InputError(f'family.smoothing={o.smoothing}: must be in [0, 1)')
  if spec.tokenizer:
    if o.binarize or o.condition:
      raise core.InputError('family.binarize and family.condition are for images')
    length, levels, vocabulary = spec.shape[0], 0, modalities.of(spec).size(spec.tokenizer)
  elif not spec.bounded:
    raise core.InputError(f'an autoregressive model is of text or of images, and {config.data.name} is neither')
  else:
    if o.documents or o.smoothing:
      raise core.InputError('family.documents and family.smoothing are for text')
    if o.condition and not spec.classes:
      raise core.InputError(f'family.condition needs labels, and {config.data.name} has none')
    if sampling.tokens:
      raise core.InputError('sample.tokens is for text')
    levels = 2 if o.binarize else 256
    length, vocabulary = 1 + math.prod(spec.shape), levels + (spec.classes if o.condition else 1)
  network, = networks.make(config.network, spec, 'causal')
  network = network.clone(vocabulary=vocabulary)
  never_V = jnp.arange(vocabulary) >= levels if levels else jnp.arange(vocabulary) < text.END

  def first(condition_N, n):
    """The token that begins an image."""
    return jnp.full((n, 1), levels) + (condition_N[:, None] if o.condition and condition_N is not None else 0)

  def tokens(batch, keys_B):
    """[B, length]"""
    x = batch['x']
    if spec.tokenizer:
      return x
    if o.binarize == 'dynamic':
      x = jax.vmap(lambda x, key: jax.random.bernoulli(key, (x + 1) / 2))(x, core.fold(keys_B, 'binarize'))
    x = x > 0 if o.binarize == 'threshold' else x if o.binarize else jnp.rint((x + 1) * 127.5)
    return jnp.concatenate([first(batch.get('condition'), len(x)), x.reshape(len(x), -1).astype(jnp.int32)], axis=1)

  def init(key, batch):
    tokens_BxL = jnp.zeros((1, length), jnp.int32)
    return {'model': network.init(core.fold(key, 'model'), tokens_BxL)['params']}, {'model': {}}, {}

  def of_levels(logits_BxLxV):
    """Or images would share their probability with what begins them; text may hold tokens that are UNKNOWN."""
    return jnp.where(never_V[None, None], -1e9, logits_BxLxV) if levels else logits_BxLxV

  def told(params, tokens_BxL, keys_B=None):
    """(Logits of the tokens after the first [B, L - 1, V], those tokens, whether they are any)."""
    given_BxL, next_BxL = tokens_BxL[:, :-1], tokens_BxL[:, 1:]
    document_BxL = (given_BxL == text.END).cumsum(-1) if o.documents else None
    logits_BxLxV = network.apply({'params': params}, given_BxL, document_BxL, None if keys_B is None else core.fold(keys_B, 'dropout'))
    return of_levels(logits_BxLxV), next_BxL, next_BxL != text.NOTHING if spec.tokenizer else jnp.ones_like(next_BxL, bool)

  def loss(own, state, batch, keys_B, key):
    logits_BxLxV, next_BxL, there_BxL = told(own, tokens(batch, keys_B), keys_B)
    count_B = there_BxL.sum(-1).astype(jnp.float32)
    mean = lambda a_BxL: (a_BxL * there_BxL).sum(-1) / jnp.maximum(count_B, 1)
    if o.smoothing:
      nats_BxL = losses.cross_entropy(logits_BxLxV, next_BxL, o.smoothing)
    else:
      nats_BxL = optax.softmax_cross_entropy_with_integer_labels(logits_BxLxV, next_BxL)
    return mean(nats_BxL), core.Aux({'accuracy': mean(logits_BxLxV.argmax(-1) == next_BxL)}, weight_B=count_B)

  def score(state, batch, keys_B):
    """log p of the tokens after the first, in nats, and the mean a token, or bits per dimension of an image's 256 levels."""
    logits_BxLxV, next_BxL, there_BxL = told(state.averaged('model'), tokens(batch, keys_B))
    if spec.tokenizer:
      return losses.of_text(logits_BxLxV, next_BxL, there_BxL)
    nats_BxL = optax.softmax_cross_entropy_with_integer_labels(logits_BxLxV, next_BxL)
    found = {f'log_likelihood_{o.binarize or "8bit"}': -nats_BxL.sum(-1)}
    return found if o.binarize else {**found, 'bits_per_dim_8bit': nats_BxL.mean(-1) / math.log(2)}

  def sample(state, keys_N, condition_N=None):
    """x_N; of text, [N, L] tokens that go on from condition_N, [N, P] tokens with NOTHING behind, or from END."""
    n = len(keys_N)
    start_NxP = first(condition_N, n) if levels else jnp.full((n, 1), text.END) if condition_N is None else condition_N
    nothing, end = (-1, None) if levels else (text.NOTHING, text.END)
    x_NxL = decoding.sample(network, state.averaged('model'), keys_N, start_NxP, length, never_V, sampling, nothing, end, of_levels)
    return x_NxL[:, 1:].reshape(n, *spec.shape).astype(jnp.float32) * (2 / (levels - 1)) - 1 if levels else x_NxL

  return core.Family(init, {'model': optimizers.role(config.roles.model, config.steps, loss)}, sample, score)
