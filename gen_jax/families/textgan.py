"""Text GANs: a causal network writes, a convolutional one over the text judges. Two games, `family.game`:

seqgan: to write is a policy, whose reward is the discriminator's probability that the whole text is real; what a token is worth is the mean reward of
texts that complete the prefix which ends with it (Yu et al. 2017, https://arxiv.org/abs/1609.05473), less a baseline (Williams 1992).
relgan: tokens are relaxed to weights of them all (`decoding.relaxed`), through which the gradient of a relativistic loss flows, at a temperature
that falls from 1 (Nie et al. 2019, https://openreview.net/forum?id=rJedV3R5tm).

A text goes on from the first token of a real one as far as END, and is compared with real ones so far. Roles: discriminator, model (the generator, of
the name it has as an autoregressive model: `config.init_from` starts it from one).
"""
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from gen_jax import core, decoding, losses, modalities, networks, optimizers
from gen_jax.modalities import text

DEFAULTS = dict(
    game='seqgan',              # or relgan
    rollouts=4,                 # texts that complete each prefix, of seqgan
    temperature=.01,            # at the end of the run, of relgan
    features=64,                # of each layer of the discriminator
)
OF_TOKENS = True
SAMPLE = decoding.DEFAULTS
WINDOWS = (2, 4)                # tokens that a filter sees
KEPT = .9                       # of the baseline, a turn
# In play the policy is the model as it is, whatever config.sample says.
PLAIN = ConfigDict(decoding.DEFAULTS)


class Discriminator(nn.Module):
  """The strongest answer of each filter anywhere in the text, then two layers (Kim 2014, https://arxiv.org/abs/1408.5882)."""
  vocabulary: int
  features: int

  @nn.compact
  def __call__(self, tokens):
    """Logits [B], real or not, of tokens [B, T] or weights of all tokens [B, T, V]."""
    h_BxTxF = networks.mixed(nn.Embed(self.vocabulary, self.features), tokens)
    h_BxF = jnp.concatenate([nn.silu(nn.Conv(self.features, (n,))(h_BxTxF)).max(1) for n in WINDOWS], axis=-1)
    return nn.Dense(1, name='logit')(nn.silu(nn.Dense(self.features)(h_BxF)))[:, 0]


def make(config, spec) -> core.Family:
  o = config.family
  decoding.check(config.sample)
  if not spec.tokenizer:
    raise core.InputError(f'a textgan is of tokens, and {config.data.name} has none')
  if spec.between_turns:
    raise core.InputError('a textgan is of whole texts: leave data.turns out')
  if o.rollouts < 1 or o.features < 1:
    raise core.InputError(f'family.rollouts={o.rollouts} and family.features={o.features} must be at least 1')
  if not 0 < o.temperature <= 1:
    raise core.InputError(f'family.temperature={o.temperature}: must be in (0, 1]')
  length, vocabulary = spec.shape[0], modalities.of(spec).size(spec.tokenizer)
  if length < 3:
    raise core.InputError(f'data.length={length}: a textgan needs a token that is given and two more')
  network, = networks.make(config.network, spec, 'causal')
  G, D = network.clone(vocabulary=vocabulary), Discriminator(vocabulary, o.features)
  never_V = jnp.arange(vocabulary) < text.END

  def init(key, batch):
    tokens_BxL = jnp.zeros((1, length), jnp.int32)
    params = {'discriminator': D.init(core.fold(key, 'discriminator'), tokens_BxL[:, 1:])['params'],
              'model': G.init(core.fold(key, 'model'), tokens_BxL)['params']}
    return params, {'discriminator': {}, 'model': {'baseline': jnp.full(length - 1, .5)} if o.game == 'seqgan' else {}}, {}

  def judge(params, tokens):
    return D.apply({'params': params}, tokens)

  def allowed(logits):
    """The policy's: without the tokens that are never drawn."""
    return jnp.where(never_V.reshape((1,) * (logits.ndim - 1) + (-1,)), -1e9, logits)

  def written(params, keys_N, given_NxL):
    """[N, length]: what is given, and what the generator adds to it."""
    params = jax.lax.stop_gradient(params)
    return decoding.generate(decoding.stepper(G, params), functools.partial(G.empty, len(keys_N)), keys_N, given_NxL, never_V, PLAIN, text.NOTHING,
                             text.END, draw=decoding.inverse)

  def fresh(params, state, batch, keys_B):
    """Texts of the first tokens of real ones, [B, length]."""
    first_BxL = jnp.where(jnp.arange(length)[None] == 0, batch['x'], text.NOTHING)
    return written(params, core.fold(keys_B, 'text'), first_BxL)

  def relaxed(params, state, batch, keys_B):
    """The same with weights of all tokens for each that follows the first, [B, length - 1, V]."""
    temperature = o.temperature**(state.step / config.steps)
    drawn_BxT, soft_BxTxV = decoding.relaxed(decoding.stepper(G, params), functools.partial(G.empty, len(keys_B)), core.fold(keys_B, 'text'),
                                             batch['x'][:, 0], length, never_V, temperature)
    return jnp.where(ended(drawn_BxT)[..., None], jax.nn.one_hot(text.NOTHING, vocabulary)[None, None], soft_BxTxV)

  def both(params, batch, fake):
    """Logits of the real texts and of those in the same form, [B] each."""
    told_BxT = jnp.where(ended(batch['x'][:, 1:]), text.NOTHING, batch['x'][:, 1:])
    told = told_BxT if fake.ndim == 2 else jax.nn.one_hot(told_BxT, vocabulary)
    return jnp.split(judge(params, jnp.concatenate([told, fake])), 2)

  def discriminator_loss(own, state, batch, keys_B, key):
    params = state.params['model']
    fake = fresh(params, state, batch, keys_B)[:, 1:] if o.game == 'seqgan' else relaxed(params, state, batch, keys_B)
    real_B, fake_B = both(own, batch, fake)
    return adversarial.discriminator(real_B, fake_B), core.Aux({'real': real_B, 'fake': fake_B, 'gap': real_B - fake_B})

  def rewards(own, state, x_BxL, keys_B):
    """The discriminator's probabilities that what becomes of each prefix is real, [B, length - 1]; the last is the text itself."""
    B, T, R = len(x_BxL), length - 2, o.rollouts
    prefix_TxL = jnp.arange(length)[None] <= jnp.arange(1, T + 1)[:, None]
    given_BxTxL = jnp.where(prefix_TxL[None], x_BxL[:, None], text.NOTHING)
    keys_BxTR = jax.vmap(lambda key: jax.random.split(key, T * R))(core.fold(keys_B, 'rollouts'))
    ends = written(own, keys_BxTR.reshape(-1), given_BxTxL.repeat(R, axis=1).reshape(-1, length))
    p_N = jax.nn.sigmoid(judge(state.params['discriminator'], jnp.concatenate([ends, x_BxL])[:, 1:]))
    return jnp.concatenate([p_N[:-B].reshape(B, T, R).mean(-1), p_N[-B:, None]], axis=1)

  def policy_loss(own, state, batch, keys_B, key):
    """Of the gradient -sum_t (reward - baseline) grad log p(token t): that of the expected reward, without bias (eq. 7)."""
    x_BxL = fresh(own, state, batch, keys_B)
    reward_BxT = rewards(own, state, x_BxL, keys_B)
    log_p_BxT = -optax.softmax_cross_entropy_with_integer_labels(allowed(G.apply({'params': own}, x_BxL[:, :-1])), x_BxL[:, 1:])
    worth_BxT = (reward_BxT - state.variables['model']['baseline'][None]) * (x_BxL[:, 1:] != text.NOTHING)
    return -(worth_BxT * log_p_BxT).sum(-1), core.Aux({'reward': reward_BxT[:, -1]}, {'baseline': reward_BxT.mean(0)})

  def update(variables, statistics, key):
    # From turns before: a baseline of the texts at hand would bias their own gradient.
    return jax.tree.map(lambda old, new: KEPT * old + (1 - KEPT) * new, variables, statistics)

  def relaxed_loss(own, state, batch, keys_B, key):
    real_B, fake_B = both(state.params['discriminator'], batch, relaxed(own, state, batch, keys_B))
    return adversarial.generator(real_B, fake_B), core.Aux({'fake': fake_B}, {})

  def sample(state, keys_N, condition_N=None):
    """[N, length] tokens that go on from condition_N, [N, P] tokens with NOTHING behind, or from END."""
    goes_on = condition_N is not None and condition_N.ndim == 2   # labels mean nothing to it
    start_NxP = condition_N if goes_on else jnp.full((len(keys_N), 1), text.END)
    return decoding.sample(G, state.averaged('model'), keys_N, start_NxP, length, never_V, config.sample, text.NOTHING, text.END)

  def score(state, batch, keys_B):
    """log p under the generator, as of an autoregressive model."""
    next_BxT = batch['x'][:, 1:]
    return losses.of_text(G.apply({'params': state.averaged('model')}, batch['x'][:, :-1]), next_BxT, next_BxT != text.NOTHING)

  adversarial, model_loss = core.choose('family.game', o.game, {
      'seqgan': (losses.ADVERSARIAL['nonsaturating'], policy_loss), 'relgan': (losses.ADVERSARIAL['relativistic'], relaxed_loss)})
  return core.Family(init, {
      'discriminator': optimizers.role(config.roles.discriminator, config.steps, discriminator_loss),
      'model': optimizers.role(config.roles.model, config.steps, model_loss, update=update),
  }, sample, score)


def ended(tokens_BxT):
  """Whether END lies before a token."""
  end_BxT = tokens_BxT == text.END
  return end_BxT.cumsum(-1) > end_BxT
