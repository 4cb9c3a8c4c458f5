"""Autoregressive models: each token's distribution given those before it, so that the likelihood is exact.

Of text and of music the tokens are their modality's. Of images they are the pixels' levels, row by row (van den Oord et al. 2016,
https://arxiv.org/abs/1601.06759), after one that says where an image begins; in the space of a vqvae, its codes (van den Oord et al. 2017,
https://arxiv.org/abs/1711.00937). The first token is given, never told, and may say the class; nor is told what a dialogue's every second turn
answers.
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
    condition=False,            # on labels: the first token, one more a class, says which
)
SAMPLE = decoding.DEFAULTS
OF_CODES = True
OF_TOKENS = True


def make(config, spec) -> core.Family:
  o, sampling = config.family, config.sample
  decoding.check(sampling)
  if o.binarize not in ('', 'dynamic', 'threshold'):
    raise core.InputError(f"family.binarize={o.binarize!r}: '', dynamic or threshold")
  if not 0 <= o.smoothing < 1:
    raise core.InputError(f'family.smoothing={o.smoothing}: must be in [0, 1)')
  if o.condition and not spec.classes:
    raise core.InputError(f'family.condition needs labels, and {config.data.name} has none')
  if spec.tokenizer:
    if o.binarize:
      raise core.InputError('family.binarize is for images')
    length, levels = spec.shape[0], 0
    known = modalities.of(spec).size(spec.tokenizer)
  elif not spec.bounded:
    raise core.InputError(f'an autoregressive model is of text or of images, and {config.data.name} is neither')
  else:
    if o.documents or o.smoothing:
      raise core.InputError('family.documents and family.smoothing are for text')
    if sampling.tokens:
      raise core.InputError('sample.tokens is for text')
    if o.binarize and spec.codes:
      raise core.InputError('family.binarize is for images, not for the codes of a codec')
    length, levels = 1 + math.prod(spec.shape), 2 if o.binarize else spec.codes or 256
    known = levels
  vocabulary = known + (spec.classes if o.condition else levels > 0)
  network, = networks.make(config.network, spec, 'causal')
  network = network.clone(vocabulary=vocabulary)
  never_V = (jnp.arange(vocabulary) >= known) | (jnp.arange(vocabulary) < (0 if levels else text.END))

  def first(condition_N, n):
    """The token that begins an example, [n, 1]."""
    if o.condition and condition_N is not None:
      return known + condition_N[:, None]
    return jnp.full((n, 1), levels or text.END)

  def tokens(batch, keys_B):
    """[B, length]"""
    x = batch['x']
    if spec.tokenizer:
      return jnp.concatenate([first(batch['condition'], len(x)), x[:, 1:]], axis=1) if o.condition else x
    if o.binarize == 'dynamic':
      x = jax.vmap(lambda x, key: jax.random.bernoulli(key, (x + 1) / 2))(x, core.fold(keys_B, 'binarize'))
    x = x > 0 if o.binarize == 'threshold' else x if o.binarize else jnp.rint((x + 1) * ((levels - 1) / 2))
    return jnp.concatenate([first(batch.get('condition'), len(x)), x.reshape(len(x), -1).astype(jnp.int32)], axis=1)

  def init(key, batch):
    tokens_BxL = jnp.zeros((1, length), jnp.int32)
    return {'model': network.init(core.fold(key, 'model'), tokens_BxL)['params']}, {'model': {}}, {}

  def of_known(logits_BxLxV):
    """Or they would share their probability with what begins them. Text may hold tokens that are UNKNOWN."""
    return jnp.where(jnp.arange(vocabulary)[None, None] >= known, -1e9, logits_BxLxV) if vocabulary > known else logits_BxLxV

  def told(params, tokens_BxL, keys_B=None):
    """(Logits of the tokens after the first [B, L - 1, V], those tokens, whether they are any)."""
    given_BxL, next_BxL = tokens_BxL[:, :-1], tokens_BxL[:, 1:]
    document_BxL = (given_BxL == text.END).cumsum(-1) if o.documents else None
    logits_BxLxV = network.apply({'params': params}, given_BxL, document_BxL, None if keys_B is None else core.fold(keys_B, 'dropout'))
    there_BxL = next_BxL != text.NOTHING if spec.tokenizer else jnp.ones_like(next_BxL, bool)
    if spec.between_turns:
      there_BxL &= (given_BxL == spec.between_turns).cumsum(-1) % 2 == 1
    return of_known(logits_BxLxV), next_BxL, there_BxL

  def loss(own, state, batch, keys_B, key):
    logits_BxLxV, next_BxL, there_BxL = told(own, tokens(batch, keys_B), keys_B)
    count_B = there_BxL.sum(-1).astype(jnp.float32)
    mean = lambda a_BxL: (a_BxL * there_BxL).sum(-1) / jnp.maximum(count_B, 1)
    if o.smoothing:
      nats_BxL = losses.cross_entropy(logits_BxLxV[..., :known], next_BxL, o.smoothing)
    else:
      nats_BxL = optax.softmax_cross_entropy_with_integer_labels(logits_BxLxV, next_BxL)
    return mean(nats_BxL), core.Aux({'accuracy': mean(logits_BxLxV.argmax(-1) == next_BxL)}, weight_B=count_B)

  def score(state, batch, keys_B):
    """log p of the tokens after the first, in nats, and how many, or bits per dimension of an image's 256 levels."""
    logits_BxLxV, next_BxL, there_BxL = told(state.averaged('model'), tokens(batch, keys_B))
    if spec.tokenizer:
      return losses.of_text(logits_BxLxV, next_BxL, there_BxL)
    nats_BxL = optax.softmax_cross_entropy_with_integer_labels(logits_BxLxV, next_BxL)
    found = {f'log_likelihood_{o.binarize or ("codes" if spec.codes else "8bit")}': -nats_BxL.sum(-1)}
    return found if o.binarize or spec.codes else {**found, 'bits_per_dim_8bit': nats_BxL.mean(-1) / math.log(2)}

  def sample(state, keys_N, condition_N=None):
    """x_N; of text, [N, L] tokens that go on from condition_N, [N, P] tokens with NOTHING behind, or begin, of the classes condition_N [N] if the
    family is conditional."""
    n = len(keys_N)
    goes_on = condition_N is not None and condition_N.ndim == 2
    start_NxP = condition_N if goes_on else first(condition_N, n)
    nothing, end = (-1, None) if levels else (text.NOTHING, text.END)
    x_NxL = decoding.sample(network, state.averaged('model'), keys_N, start_NxP, length, never_V, sampling, nothing, end, of_known)
    if levels:
      return x_NxL[:, 1:].reshape(n, *spec.shape).astype(jnp.float32) * (2 / (levels - 1)) - 1
    if spec.between_turns and goes_on:   # after an answer comes what was never told
      turn_NxL = x_NxL == spec.between_turns
      answer_NxL = (turn_NxL.cumsum(-1) - turn_NxL) % 2 == 1
      given_NxL = jnp.pad(start_NxP != text.NOTHING, ((0, 0), (0, length - start_NxP.shape[1])))
      x_NxL = jnp.where((given_NxL | answer_NxL).cumprod(-1) > 0, x_NxL, text.NOTHING)
    return x_NxL if goes_on or not o.condition else x_NxL.at[:, 0].set(text.END)   # what data begin with

  return core.Family(init, {'model': optimizers.role(config.roles.model, config.steps, loss)}, sample, score)
