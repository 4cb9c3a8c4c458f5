"""Generative adversarial networks: any loss, penalty, conditioning and network together.

Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661. Class-conditional by concatenation (Mirza and Osindero 2014,
https://arxiv.org/abs/1411.1784), by projection (Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637) or with an auxiliary classifier
(Odena et al. 2017, https://arxiv.org/abs/1610.09585). Roles: discriminator, generator.
"""
import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import augment, core, losses, networks, optimizers, penalties
from gen_jax.networks import append_label

DEFAULTS = dict(
    loss='nonsaturating',       # losses.ADVERSARIAL
    penalty='none',             # penalties.PENALTIES
    penalty_weight=1.,
    spectral=False,             # spectral normalisation of the discriminator
    clip_weights=0.,            # the discriminator's parameters stay in +-this; 0: free
    condition='none',           # none, concat, projection, classifier
    class_weight=1.,            # of the auxiliary classifier's cross-entropy
    augment='',                 # of real and generated alike: names of augment.DIFFERENTIABLE, with commas
    latent=64,
)

CONDITIONS = ('none', 'concat', 'projection', 'classifier')


class Generator(nn.Module):
  decoder: nn.Module
  classes: int               # 0: unconditional
  bounded: bool

  @nn.compact
  def __call__(self, z_BxZ, condition_B):
    x_B = self.decoder(append_label(z_BxZ, condition_B, self.classes))
    return jnp.tanh(x_B) if self.bounded else x_B


class Discriminator(nn.Module):
  encoder: nn.Module
  classes: int
  condition: str

  @nn.compact
  def __call__(self, x_B, condition_B):
    """Logits: real or not [B], and the classes [B, classes] or None."""
    h_BxF = self.encoder(append_label(x_B, condition_B, self.classes if self.condition == 'concat' else 0))
    logit_B = nn.Dense(1)(h_BxF)[:, 0]
    if self.condition == 'projection':
      logit_B += (nn.Embed(self.classes, h_BxF.shape[-1])(condition_B) * h_BxF).sum(-1)
    return logit_B, nn.Dense(self.classes)(h_BxF) if self.condition == 'classifier' else None


def make(config, spec) -> core.Family:
  o = config.family
  adversarial = optimizers.choose('family.loss', o.loss, losses.ADVERSARIAL)
  penalty = optimizers.choose('family.penalty', o.penalty, penalties.PENALTIES)
  augments = [optimizers.choose('family.augment', name, augment.DIFFERENTIABLE) for name in filter(None, o.augment.split(','))]
  if o.condition not in CONDITIONS:
    raise core.InputError(f'family.condition={o.condition!r}: there are {", ".join(CONDITIONS)}')
  if o.condition != 'none' and not spec.classes:
    raise core.InputError(f'family.condition={o.condition!r} needs labels, and {config.data.name} has none: use none')
  if augments and len(spec.shape) != 3:
    raise core.InputError(f'family.augment={o.augment!r} is for images, not {spec.shape}')
  encoder, decoder = networks.make(config.network, spec, 'encoder', 'decoder')
  classes = spec.classes if o.condition != 'none' else 0
  G, D = Generator(decoder, classes, spec.bounded), Discriminator(encoder, classes, o.condition)

  def init(key, batch):
    x_B, condition_B = batch['x'], batch.get('condition')
    params = {'discriminator': D.init(core.fold(key, 'discriminator'), x_B, condition_B)['params'],
              'generator': G.init(core.fold(key, 'generator'), jnp.zeros((len(x_B), o.latent)), condition_B)['params']}
    u = penalties.spectral_init(params['discriminator'], core.fold(key, 'spectral')) if o.spectral else {}
    return params, {'discriminator': u, 'generator': {}}, {}

  def latents(keys_B):
    return jax.vmap(lambda key: jax.random.normal(key, (o.latent,)))(core.fold(keys_B, 'latent'))

  def generate(params, keys_B, condition_B):
    return G.apply({'params': params}, latents(keys_B), condition_B)

  def discriminate(params, u):
    """The discriminator as a function of images, and the spectral vectors after it."""
    params, u = penalties.spectral(params, u) if o.spectral else (params, u)
    return lambda x_B, condition_B: D.apply({'params': params}, x_B, condition_B), u

  def augmented(x_B, keys_B):
    for f in augments:
      x_B = jax.vmap(f)(x_B, core.fold(keys_B, f.__name__))
    return x_B

  def discriminator_loss(own, state, batch, keys_B, key):
    condition_B = batch.get('condition')
    # Each image has an augmentation of its own.
    real = augmented(batch['x'], core.fold(keys_B, 'real'))
    fake = augmented(generate(state.params['generator'], keys_B, condition_B), core.fold(keys_B, 'fake'))
    judge, u = discriminate(own, state.variables['discriminator'])
    (real_B, real_BxC), (fake_B, fake_BxC) = judge(real, condition_B), judge(fake, condition_B)
    penalty_B = penalty(lambda x_B: judge(x_B, condition_B)[0], real, fake, keys_B)
    loss_B = adversarial.discriminator(real_B, fake_B) + o.penalty_weight * penalty_B
    metrics = {'real': real_B, 'fake': fake_B, 'gap': real_B - fake_B}
    if penalty is not penalties.none:
      metrics['penalty'] = penalty_B
    if o.condition == 'classifier':
      loss_B += o.class_weight * (losses.cross_entropy(real_BxC, condition_B) + losses.cross_entropy(fake_BxC, condition_B))
      metrics['accuracy'] = (real_BxC.argmax(-1) == condition_B).astype(jnp.float32)
    return loss_B, core.Aux(metrics, statistics=u)

  def generator_loss(own, state, batch, keys_B, key):
    condition_B = batch.get('condition')
    judge, _ = discriminate(state.params['discriminator'], state.variables['discriminator'])
    fake_B, fake_BxC = judge(augmented(generate(own, keys_B, condition_B), core.fold(keys_B, 'fake')), condition_B)
    real_B = judge(augmented(batch['x'], core.fold(keys_B, 'real')), condition_B)[0] if adversarial.paired else None
    loss_B = adversarial.generator(real_B, fake_B)
    metrics = {'fake': fake_B}
    if o.condition == 'classifier':
      loss_B += o.class_weight * losses.cross_entropy(fake_BxC, condition_B)
      metrics['accuracy'] = (fake_BxC.argmax(-1) == condition_B).astype(jnp.float32)
    return loss_B, core.Aux(metrics)

  def prior(state, keys_N):
    return latents(keys_N)

  def decode(state, z_NxZ, condition_N=None):
    return G.apply({'params': state.averaged('generator')}, z_NxZ, condition_N)

  def sample(state, keys_N, condition_N=None):
    return decode(state, prior(state, keys_N), condition_N)

  def score(state, batch, keys_B):
    """The discriminator's logit: its gap between training and held-out examples is what it has learnt by heart."""
    judge, _ = discriminate(state.params['discriminator'], state.variables['discriminator'])
    return {'discriminator': judge(batch['x'], batch.get('condition'))[0]}

  after = penalties.clipped_weights(o.clip_weights) if o.clip_weights else None
  keep = lambda variables, statistics, key: statistics   # the spectral vectors are the discriminator's only variables
  return core.Family(init, {
      'discriminator': optimizers.role(config.roles.discriminator, config.steps, discriminator_loss, after, update=keep),
      'generator': optimizers.role(config.roles.generator, config.steps, generator_loss),
  }, sample, score, prior=prior, decode=decode)
