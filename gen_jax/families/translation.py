"""Image-to-image translation: from batch['condition'] to batch['x'], two images of one shape in [-1, 1].

With cycle=0 from pairs (pix2pix, Isola et al. 2017, https://arxiv.org/abs/1611.07004): the generator is to be near the truth, and the pair of what it
was given and what it made to pass for a real one. With cycle > 0 from two sets of images in which nothing shows what belongs together (CycleGAN, Zhu
et al. 2017, https://arxiv.org/abs/1703.10593): a second generator goes back, and both ways in turn lead to where one began. Discriminators judge
patches. Generators draw nothing: neither pix2pix's dropout nor CycleGAN's history of generated images is here. Roles: discriminator, generator; each
holds one network a way in its tree.
"""
import flax.linen as nn
import jax.numpy as jnp

from gen_jax import core, image_similarity, losses, networks, optimizers
from gen_jax.networks.conv import group_count, strided

DEFAULTS = dict(
    loss='least_squares',       # losses.ADVERSARIAL, those of one image
    l1=100.,                    # of pairs: weight of the mean absolute difference to the truth
    cycle=0.,                   # weight of the mean absolute difference to where a cycle began (10 in the paper); 0: learn from pairs
    identity=5.,                # with cycle: weight of what a generator changes in an image that is as it should be
    discriminator_width=64,     # channels after the first halving
)

ENDS = {'forward': ('condition', 'x'), 'backward': ('x', 'condition')}
BACK = {'forward': 'backward', 'backward': 'forward'}


class Discriminator(nn.Module):
  """x_BxHxWxC -> the logits of overlapping patches of 22x22 pixels, [B, P]."""
  width: int

  @nn.compact
  def __call__(self, x_B):
    for i in range(3):
      x_B = nn.Conv(self.width << i, (4, 4), 2, conv_general_dilated=strided)(x_B)
      # Smooth, where PatchGAN has leaky ReLU: of so many places some lie at its kink, and their gradients would depend on rounding.
      x_B = nn.silu(nn.GroupNorm(group_count(self.width << i))(x_B) if i else x_B)
    return nn.Conv(1, (1, 1))(x_B).reshape(len(x_B), -1)


def make(config, spec) -> core.Family:
  """Raises InputError for data that is no pairs of images, weights below 0, an unknown loss and a network without denoiser."""
  o = config.family
  if not (spec.paired and spec.bounded and len(spec.shape) == 3):
    raise core.InputError(f'translation is of pairs of images in [-1, 1], which {config.data.name} is not: emoji with data.other is, without codec')
  if min(o.l1, o.cycle, o.identity, o.discriminator_width - 1) < 0:
    raise core.InputError('family.l1, cycle and identity are at least 0, discriminator_width at least 1')
  if config.data.get('unpaired') and not o.cycle:
    raise core.InputError('family.cycle=0 learns from pairs, and data.unpaired=True mixes them: family.cycle=10 learns from images of both alone')
  adversarial = core.choose('family.loss', o.loss, {name: loss for name, loss in losses.ADVERSARIAL.items() if not loss.paired})
  net, = networks.make(config.network, spec, 'denoiser')
  D = Discriminator(o.discriminator_width)
  ways = tuple(ENDS) if o.cycle else ('forward',)

  # What denoisers are is networks from image to image. Of one level of noise always, its embedding is a constant, and what it scales and shifts by
  # become parameters as any other normalisation has.
  def translate(params, way, x_B):
    return jnp.tanh(net.apply({'params': params[way]}, x_B, jnp.zeros(len(x_B)), None))

  def judge(params, way, source_B, target_B):
    """[B, P]. Without pairs it can't be asked whether the two belong together."""
    return D.apply({'params': params[way]}, target_B if o.cycle else jnp.concatenate([source_B, target_B], axis=-1))

  def init(key, batch):
    x_B = batch['x']
    seen_B = x_B if o.cycle else jnp.concatenate([x_B, x_B], axis=-1)
    params = {'discriminator': {way: D.init(core.fold(key, f'discriminator {way}'), seen_B)['params'] for way in ways},
              'generator': {way: net.init(core.fold(key, f'generator {way}'), x_B, jnp.zeros(len(x_B)), None)['params'] for way in ways}}
    return params, {'discriminator': {}, 'generator': {}}, {}

  def discriminator_loss(own, state, batch, keys_B, key):
    loss_B, metrics = 0., {}
    for way in ways:
      source_B, target_B = (batch[end] for end in ENDS[way])
      real_BxP = judge(own, way, source_B, target_B)
      fake_BxP = judge(own, way, source_B, translate(state.params['generator'], way, source_B))
      loss_B += adversarial.discriminator(real_BxP, fake_BxP).mean(-1)
      metrics |= {f'{way}_real': real_BxP.mean(-1), f'{way}_fake': fake_BxP.mean(-1)}
    return loss_B, core.Aux(metrics)

  def generator_loss(own, state, batch, keys_B, key):
    loss_B, metrics = 0., {}
    for way in ways:
      source_B, target_B = (batch[end] for end in ENDS[way])
      made_B = translate(own, way, source_B)
      fake_BxP = judge(state.params['discriminator'], way, source_B, made_B)
      loss_B += adversarial.generator(None, fake_BxP).mean(-1)
      metrics[f'{way}_fake'] = fake_BxP.mean(-1)
      if o.cycle:
        metrics[f'{way}_cycle'] = distance(translate(own, BACK[way], made_B), source_B)
        metrics[f'{way}_identity'] = distance(translate(own, way, target_B), target_B)
        loss_B += o.cycle * metrics[f'{way}_cycle'] + o.identity * metrics[f'{way}_identity']
      else:
        metrics[f'{way}_l1'] = distance(made_B, target_B)
        loss_B += o.l1 * metrics[f'{way}_l1']
    return loss_B, core.Aux(metrics)

  def sample(state, keys_N, condition_N):
    return translate(state.averaged('generator'), 'forward', condition_N)

  def score(state, batch, keys_B):
    """Of translations against the truth."""
    return similarity(translate(state.averaged('generator'), 'forward', batch['condition']), batch['x'])

  return core.Family(init, {
      'discriminator': optimizers.role(config.roles.discriminator, config.steps, discriminator_loss),
      'generator': optimizers.role(config.roles.generator, config.steps, generator_loss),
  }, sample, score)


def distance(a_B, b_B):
  """The mean absolute difference of a pixel's channel, [B]."""
  return jnp.abs(a_B - b_B).mean((1, 2, 3))


def similarity(a_B, b_B) -> dict:
  """Of images in [-1, 1], [B] each: the peak signal-to-noise ratio in dB (at most 96), SSIM, and the mean absolute difference. Raises InputError for
  sides under 11."""
  error_B = ((a_B - b_B)**2).mean((1, 2, 3))
  return {'psnr': -10 * jnp.log10(jnp.maximum(error_B, 1e-9) / 4), 'ssim': image_similarity.ssim(a_B + 1, b_B + 1, data_range=2.),
          'l1': distance(a_B, b_B)}
