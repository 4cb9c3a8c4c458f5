"""Generative adversarial networks: any loss, penalty, conditioning and network together.

Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661. Class-conditional by concatenation (Mirza and Osindero 2014,
https://arxiv.org/abs/1411.1784), by projection (Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637) or with an auxiliary classifier
(Odena et al. 2017, https://arxiv.org/abs/1610.09585). Augmentation adapts to how sure the discriminator is of real images (ADA: Karras et al. 2020,
https://arxiv.org/abs/2006.06676), and networks that can may grow while they train (Karras et al. 2018, https://arxiv.org/abs/1710.10196).
Roles: discriminator, generator.
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
    adaptive=0.,                # ADA's target of the mean sign of real logits (.6 in the paper); 0: every augmentation, always
    grow=0,                     # steps over which the networks grow from their smallest size to the full one; 0: full from the start
    latent=64,
    start=0.,                   # standard deviation of all kernels at the start (.02 in DCGAN); 0: as the network has them
)

CONDITIONS = ('none', 'concat', 'projection', 'classifier')
# Losses whose optimal discriminator is positive where real images are likelier than generated ones: only there has a logit's sign a meaning.
SIGNED = ('minimax', 'nonsaturating', 'hinge')
# Real images in which ADA's probability can go from 0 to 1. The paper's 500,000 are a fiftieth of its runs of 25 million; runs here see about 80,000,
# and a fiftieth of them would be 50 turns, too few for the sign's own noise to average out. So it is an eighth.
ADA_IMAGES = 10_000


class Generator(nn.Module):
  decoder: nn.Module
  classes: int               # 0: unconditional
  bounded: bool

  @nn.compact
  def __call__(self, z_BxZ, condition_B, *grown):
    x_B = self.decoder(append_label(z_BxZ, condition_B, self.classes), *grown)
    return jnp.tanh(x_B) if self.bounded else x_B


class Discriminator(nn.Module):
  encoder: nn.Module
  classes: int
  condition: str

  @nn.compact
  def __call__(self, x_B, condition_B, *grown):
    """Logits: real or not [B], and the classes [B, classes] or None."""
    h_BxF = self.encoder(append_label(x_B, condition_B, self.classes if self.condition == 'concat' else 0), *grown)
    logit_B = nn.Dense(1)(h_BxF)[:, 0]
    if self.condition == 'projection':
      logit_B += (nn.Embed(self.classes, h_BxF.shape[-1])(condition_B) * h_BxF).sum(-1)
    return logit_B, nn.Dense(self.classes)(h_BxF) if self.condition == 'classifier' else None


def make(config, spec) -> core.Family:
  o = config.family
  adversarial = core.choose('family.loss', o.loss, losses.ADVERSARIAL)
  penalty = core.choose('family.penalty', o.penalty, penalties.PENALTIES)
  augments = [core.choose('family.augment', name, augment.DIFFERENTIABLE) for name in filter(None, o.augment.split(','))]
  core.choose('family.condition', o.condition, CONDITIONS)
  if o.condition != 'none' and not spec.classes:
    raise core.InputError(f'family.condition={o.condition!r} needs labels, and {config.data.name} has none: use none')
  if augments and len(spec.shape) != 3:
    raise core.InputError(f'family.augment={o.augment!r} is for images, not {spec.shape}')
  if augment.rotation in augments and spec.shape[0] != spec.shape[1]:
    raise core.InputError(f'family.augment={o.augment!r} turns square images, not {spec.shape}')
  if not 0 <= o.start < float('inf'):
    raise core.InputError(f'family.start={o.start} is no standard deviation')
  if not 0 <= o.adaptive < 1:
    raise core.InputError(f'family.adaptive={o.adaptive} is not in [0, 1)')
  if o.adaptive and (not augments or o.loss not in SIGNED):
    raise core.InputError(f'family.adaptive needs family.augment, and a family.loss of {", ".join(SIGNED)}')
  encoder, decoder = networks.make(config.network, spec, 'encoder', 'decoder')
  if min(o.clip_weights, o.penalty_weight, o.class_weight) < 0:
    raise core.InputError('family.clip_weights, penalty_weight and class_weight: at least 0')
  if o.grow > config.steps:
    raise core.InputError(f'family.grow={o.grow} is more than steps={config.steps}: the networks would end before they are grown')
  if o.grow and not getattr(decoder, 'grows', 0):
    raise core.InputError(f'network {config.network.name} does not grow to {spec.shape}: network progressive does, above 8 pixels')
  classes = spec.classes if o.condition != 'none' else 0
  G, D = Generator(decoder, classes, spec.bounded), Discriminator(encoder, classes, o.condition)

  def init(key, batch):
    x_B, condition_B = batch['x'], batch.get('condition')
    params = {'discriminator': D.init(core.fold(key, 'discriminator'), x_B, condition_B, *grown(0))['params'],
              'generator': G.init(core.fold(key, 'generator'), jnp.zeros((len(x_B), o.latent)), condition_B, *grown(0))['params']}
    if o.start:
      params = started(params, core.fold(key, 'start'))
    variables = {'spectral': penalties.spectral_init(params['discriminator'], core.fold(key, 'spectral'))} if o.spectral else {}
    if o.adaptive:
      variables['probability'] = jnp.zeros(())
    return params, {'discriminator': variables, 'generator': {}}, {}

  def started(params, key):
    """Every kernel drawn anew, whatever the network started it with; all else as it is."""
    return jax.tree_util.tree_map_with_path(
        lambda path, x: o.start * jax.random.normal(core.fold(key, jax.tree_util.keystr(path)), x.shape) if path[-1].key == 'kernel' else x, params)

  def grown(step):
    """What networks that grow take beside their input: each size is trained alone for half its time, then the next one fades in."""
    if not o.grow:
      return ()
    sizes = step * (decoder.grows / o.grow)
    return (jnp.minimum(jnp.floor(sizes) + jnp.clip(2 * (sizes % 1) - 1, 0, 1), decoder.grows),)

  def latents(keys_B):
    return core.normal(core.fold(keys_B, 'latent'), (o.latent,))

  def generate(params, state, z_BxZ, condition_B):
    return G.apply({'params': params}, z_BxZ, condition_B, *grown(state.step))

  def discriminate(params, state):
    """The discriminator as a function of images, and the spectral vectors after it."""
    params, u = penalties.spectral(params, state.variables['discriminator']['spectral']) if o.spectral else (params, None)
    return lambda x_B, condition_B: D.apply({'params': params}, x_B, condition_B, *grown(state.step)), u

  def augmented(x_B, state, keys_B):
    """Every image by draws of its own."""
    for f in augments:
      changed_B = jax.vmap(f)(x_B, core.fold(keys_B, f.__name__))
      if o.adaptive:
        probability = state.variables['discriminator']['probability']
        chosen_B = jax.vmap(jax.random.bernoulli, (0, None))(core.fold(keys_B, f'whether {f.__name__}'), probability)
        changed_B = jnp.where(chosen_B[:, None, None, None], changed_B, x_B)
      x_B = changed_B
    return x_B

  def discriminator_loss(own, state, batch, keys_B, key):
    condition_B = batch.get('condition')
    real = augmented(batch['x'], state, core.fold(keys_B, 'real'))
    fake = augmented(generate(state.params['generator'], state, latents(keys_B), condition_B), state, core.fold(keys_B, 'fake'))
    judge, u = discriminate(own, state)
    (real_B, real_BxC), (fake_B, fake_BxC) = judge(real, condition_B), judge(fake, condition_B)
    penalty_B = penalty(lambda x_B: judge(x_B, condition_B)[0], real, fake, keys_B)
    loss_B = adversarial.discriminator(real_B, fake_B) + o.penalty_weight * penalty_B
    metrics, statistics = {'real': real_B, 'fake': fake_B, 'gap': real_B - fake_B}, {}
    if o.spectral:
      statistics['spectral'] = u
    if o.adaptive:
      statistics['sign'] = jnp.sign(real_B).mean()
      metrics['probability'] = jnp.broadcast_to(state.variables['discriminator']['probability'], real_B.shape)
    if penalty is not penalties.none:
      metrics['penalty'] = penalty_B
    if o.condition == 'classifier':
      loss_B += o.class_weight * (losses.cross_entropy(real_BxC, condition_B) + losses.cross_entropy(fake_BxC, condition_B))
      metrics['accuracy'] = (real_BxC.argmax(-1) == condition_B).astype(jnp.float32)
    return loss_B, core.Aux(metrics, statistics)

  def update(variables, statistics, key):
    new = {'spectral': statistics['spectral']} if o.spectral else {}
    if o.adaptive:
      step = jnp.sign(statistics['sign'] - o.adaptive) * (config.batch_size / ADA_IMAGES)
      new['probability'] = jnp.clip(variables['probability'] + step, 0, 1)
    return new

  def generator_loss(own, state, batch, keys_B, key):
    condition_B = batch.get('condition')
    judge, _ = discriminate(state.params['discriminator'], state)
    fake_B, fake_BxC = judge(augmented(generate(own, state, latents(keys_B), condition_B), state, core.fold(keys_B, 'fake')), condition_B)
    real_B = judge(augmented(batch['x'], state, core.fold(keys_B, 'real')), condition_B)[0] if adversarial.paired else None
    loss_B = adversarial.generator(real_B, fake_B)
    metrics = {'fake': fake_B}
    if o.condition == 'classifier':
      loss_B += o.class_weight * losses.cross_entropy(fake_BxC, condition_B)
      metrics['accuracy'] = (fake_BxC.argmax(-1) == condition_B).astype(jnp.float32)
    return loss_B, core.Aux(metrics)

  def prior(state, keys_N):
    return latents(keys_N)

  def decode(state, z_NxZ, condition_N=None):
    return generate(state.averaged('generator'), state, z_NxZ, condition_N)

  def sample(state, keys_N, condition_N=None):
    return decode(state, prior(state, keys_N), condition_N)

  def score(state, batch, keys_B):
    """The discriminator's logit: its gap between training and held-out examples is what it has learnt by heart."""
    judge, _ = discriminate(state.params['discriminator'], state)
    return {'discriminator': judge(batch['x'], batch.get('condition'))[0]}

  after = penalties.clipped_weights(o.clip_weights) if o.clip_weights else None
  return core.Family(init, {
      'discriminator': optimizers.role(config.roles.discriminator, config.steps, discriminator_loss, after, update=update),
      'generator': optimizers.role(config.roles.generator, config.steps, generator_loss),
  }, sample, score, prior=prior, decode=decode)
