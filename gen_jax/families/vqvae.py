"""Codecs: autoencoders whose latents, a vector or a map of them, are what a second stage learns (transforms.latent).

quantizer 'vq': the nearest of a codebook that follows the latents (VQ-VAE, van den Oord et al. 2017, https://arxiv.org/abs/1711.00937, app. A);
'fsq': each channel rounded to its levels (Mentzer et al. 2023, https://arxiv.org/abs/2309.15505); 'kl': none, but Gaussian latents with a small KL
term (Rombach et al. 2022, https://arxiv.org/abs/2112.10752). With adversarial_weight reconstructions also play against a discriminator, patch by
patch where the network's encoder gives a map (VQ-GAN, Esser et al. 2021, https://arxiv.org/abs/2012.09841). Roles: model, and discriminator where it
plays.
"""
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax import core, losses, networks, optimizers

DEFAULTS = dict(
    quantizer='vq',             # vq, fsq, kl
    likelihood='gaussian',      # losses.LIKELIHOODS
    latent=8,                   # channels; fsq has one a level
    codes=256,                  # of vq
    commitment=.25,             # of vq: weight of the latents' squared distance to their codes
    levels='8,5,5,5',           # of fsq, a channel each
    kl_weight=.01,              # of kl; 1 is the evidence lower bound
    adversarial_weight=0.,      # nats of reconstruction that one of the discriminator's logit is worth
)

QUANTIZERS = ('vq', 'fsq', 'kl')
MEMORY = .99   # of the codebook and the latents' moments, per turn
DEAD = .1      # a code used less than this part of the average begins anew

hinge = losses.ADVERSARIAL['hinge']


class Codec(nn.Module):
  encoder: nn.Module
  decoder: nn.Module
  latent: int
  outputs: int               # of the head for each channel of the latent

  def setup(self):
    self.head = nn.Dense(self.latent * self.outputs)

  def encode(self, x_B):
    return self.head(self.encoder(x_B))

  def decode(self, z_BxZ):
    return self.decoder(z_BxZ)

  def __call__(self, x_B):
    return self.decode(self.encode(x_B)[..., :self.latent])


class Discriminator(nn.Module):
  encoder: nn.Module

  @nn.compact
  def __call__(self, x_B):
    """Logits of each patch, [B, P]; of the whole where the encoder gives one vector an example."""
    return nn.Dense(1)(self.encoder(x_B)).reshape(len(x_B), -1)


def make(config, spec) -> core.Family:
  """In shapes, Z are the latent's channels, and ...xZ is BxZ or BxhxwxZ as the network's encoder has it. Raises InputError for options out of range
  or that do not go together, and for a network without encoder or decoder."""
  o = config.family
  likelihood = core.choose('family.likelihood', o.likelihood, losses.LIKELIHOODS)
  vq, fsq, kl = (core.choose('family.quantizer', o.quantizer, QUANTIZERS) == name for name in QUANTIZERS)
  if not spec.bounded and o.likelihood not in ('gaussian', 'gaussian_learned'):
    raise core.InputError(f'family.likelihood={o.likelihood!r} is for x in [-1, 1], and {config.data.name} is unbounded: use gaussian')
  sizes = o.levels.replace(' ', '').split(',')
  if fsq and not all(size.isdigit() and int(size) > 1 for size in sizes):
    raise core.InputError(f"family.levels={o.levels!r}: numbers of at least 2, with commas, as '8,5,5,5'")
  if vq and o.codes < 2:
    raise core.InputError(f'family.codes={o.codes}: one code says nothing, at least 2')
  if min(o.commitment, o.kl_weight, o.adversarial_weight) < 0:
    raise core.InputError('family.commitment, kl_weight and adversarial_weight are at least 0')
  if o.adversarial_weight and 'discriminator' not in config.roles:
    raise core.InputError('family.adversarial_weight needs a discriminator in config.roles')
  encoder, decoder = networks.make(config.network, spec, 'encoder', 'decoder', maps=True)
  decoder = decoder.clone(channels=spec.shape[-1] * likelihood.outputs)
  latent = len(sizes) if fsq else o.latent
  many = [int(size) for size in sizes] if fsq else [o.codes]
  gaps, places, codes = np.array(many) - 1, np.cumprod([1, *many[:-1]]), math.prod(many)
  net, D = Codec(encoder, decoder, latent, 2 if kl else 1), Discriminator(encoder)
  pixels = {'bernoulli': '_grey', 'logistic': '_8bit'}.get(o.likelihood, '')

  def init(key, batch):
    params = {'model': net.init(core.fold(key, 'model'), batch['x'])['params']}
    variables = {'model': {'mean': jnp.zeros(latent), 'second': jnp.ones(latent)}}
    if vq:
      # At the brink of death: what the first batch does not use begins anew among what it does, and the rest forgets its start at once.
      count_K = jnp.full(o.codes, DEAD / o.codes)
      variables['model'] |= {'count': count_K, 'sum': count_K[:, None] * jax.random.normal(core.fold(key, 'codes'), (o.codes, latent))}
    if o.adversarial_weight:
      params['discriminator'] = D.init(core.fold(key, 'discriminator'), batch['x'])['params']
      variables['discriminator'] = {}
    return params, variables, {}

  def encode(params, x_B):
    """(z, its log standard deviation), [...xZ] each; no deviation but of kl."""
    z = net.apply({'params': params}, x_B, method='encode')
    return jnp.split(z, 2, axis=-1) if kl else (jnp.tanh(z) if fsq else z, None)

  def decode(params, z):
    return net.apply({'params': params}, z, method='decode')

  def nearest(variables, z_NxZ):
    """(codes [K, Z], the index of each latent's code [N])."""
    codes_KxZ = variables['sum'] / variables['count'][:, None]
    return codes_KxZ, ((codes_KxZ**2).sum(-1)[None] - 2 * z_NxZ @ codes_KxZ.T).argmin(-1)

  def quantise(variables, z):
    """The nearest value that the decoder is trained on, [...xZ]."""
    if vq:
      codes_KxZ, k_N = nearest(variables, z.reshape(-1, latent))
      return codes_KxZ[k_N].reshape(z.shape)
    if fsq:   # evenly spaced over [-1, 1]; Mentzer et al. shift an even number of levels by half a one, so that 0 is among them
      return 2 * jnp.round((jnp.clip(z, -1, 1) + 1) / 2 * wide(gaps, z)) / wide(gaps, z) - 1
    return z

  def total(v):
    return v.reshape(len(v), -1).sum(-1)

  def taken(variables, z, log_scale, keys_B):
    """What the decoder is trained on: a draw, or the quantised z with the gradient of z (straight through)."""
    if kl:
      return z + jnp.exp(log_scale) * core.normal(core.fold(keys_B, 'posterior'), z.shape[1:])
    return z + jax.lax.stop_gradient(quantise(variables, z) - z)

  def shown(out):
    x = likelihood.mean(out)   # a Gaussian's mean may lie outside
    return jnp.clip(x, -1, 1) if spec.bounded else x

  def judge(params, x_B):
    return D.apply({'params': params}, x_B)

  def loss(own, state, batch, keys_B, key):
    x_B, variables = batch['x'], state.variables['model']
    z, log_scale = encode(own, x_B)
    out = decode(own, taken(variables, z, log_scale, keys_B))
    reconstruction_B, z_NxZ = likelihood.log_prob(out, x_B), z.reshape(-1, latent)
    loss_B, metrics = -reconstruction_B, {'reconstruction': reconstruction_B}
    statistics = {'mean': z_NxZ.mean(0), 'second': (z_NxZ**2).mean(0)}
    if vq:
      codes_KxZ, k_N = nearest(variables, z_NxZ)
      used_NxK, share_K = jax.nn.one_hot(k_N, o.codes), variables['count'] / variables['count'].sum()
      statistics |= {'count': used_NxK.mean(0), 'sum': used_NxK.T @ z_NxZ / len(z_NxZ)}
      metrics['commitment'] = total((z - codes_KxZ[k_N].reshape(z.shape))**2)
      metrics['perplexity'] = jnp.full(len(x_B), jnp.exp(jax.scipy.special.entr(share_K).sum()))   # of the running counts: a batch has too few
      loss_B += o.commitment * metrics['commitment']
    if kl:
      metrics['kl'] = total(losses.kl_to_standard_normal(z, log_scale))
      loss_B += o.kl_weight * metrics['kl']
    if o.adversarial_weight:
      metrics['fake'] = judge(state.params['discriminator'], shown(out)).mean(-1)
      loss_B += o.adversarial_weight * hinge.generator(None, metrics['fake'])
    return loss_B, core.Aux(metrics, statistics)

  def discriminator_loss(own, state, batch, keys_B, key):
    """The hinge loss of each patch, as PatchGAN's (Isola et al. 2017, https://arxiv.org/abs/1611.07004)."""
    model, variables = state.params['model'], state.variables['model']
    fake = shown(decode(model, taken(variables, *encode(model, batch['x']), keys_B)))
    real_BxP, fake_BxP = judge(own, batch['x']), judge(own, fake)
    return hinge.discriminator(real_BxP, fake_BxP).mean(-1), core.Aux({'real': real_BxP.mean(-1), 'fake': fake_BxP.mean(-1)})

  def update(variables, found, key):
    """Moving averages. A dead code restarts beside one that is much used and takes half of its count, as Linde, Buzo and Gray (1980) split codes:
    it needs no latents, which are not at hand here, and goes where there are many."""
    variables = jax.tree.map(lambda old, new: MEMORY * old + (1 - MEMORY) * new, variables, found)
    if not vq:
      return variables
    count_K = variables['count']
    codes_KxZ = variables['sum'] / count_K[:, None]
    dead_K, rich_K = count_K < DEAD / o.codes, count_K > 2 * DEAD / o.codes
    # Drawn by their counts without replacement (Gumbel); by rank, equal counts would be told apart by their rounding.
    drawn_K = jnp.where(rich_K, jnp.log(count_K) + jax.random.gumbel(core.fold(key, 'giver'), (o.codes,)), -jnp.inf)
    rank_K = jnp.cumsum(dead_K) - 1
    giver_K, moved_K = jnp.argsort(-drawn_K)[rank_K], dead_K & (rank_K < rich_K.sum())
    beside_KxZ = .01 * deviation(variables)[None] * jax.random.normal(core.fold(key, 'beside'), codes_KxZ.shape)
    codes_KxZ = jnp.where(moved_K[:, None], codes_KxZ[giver_K] + beside_KxZ, codes_KxZ)
    gives_K = jnp.zeros(o.codes).at[giver_K].max(moved_K.astype(jnp.float32))
    count_K = jnp.where(moved_K, count_K[giver_K] / 2, count_K * (1 - gives_K / 2))
    return {**variables, 'count': count_K, 'sum': count_K[:, None] * codes_KxZ}

  def deviation(variables):
    """Of the latents, [Z]."""
    return jnp.sqrt(jnp.maximum(variables['second'] - variables['mean']**2, 1e-8))

  def wide(v_Z, z):
    """To be broadcast against z."""
    return v_Z.reshape((1,) * (z.ndim - 1) + (-1,))

  def encoded(state, x_B):
    """The latents before they are quantised, of mean 0 and deviation 1 in each channel over the training set, [...xZ]."""
    v, (z, _) = state.variables['model'], encode(state.averaged('model'), x_B)
    return (z - wide(v['mean'], z)) / wide(deviation(v), z)

  def decoded(state, z, condition=None):
    """x in [-1, 1] where the data is bounded, of what `encoded` gives or a second stage makes of it: quantised first."""
    v = state.variables['model']
    z = z * wide(deviation(v), z) + wide(v['mean'], z)
    return shown(decode(state.averaged('model'), quantise(v, z)))

  def numbers(state, x_B):
    """[B, ..., 1]: of each latent, the number of its code as a level in [-1, 1]."""
    z, _ = encode(state.averaged('model'), x_B)
    if vq:
      k = nearest(state.variables['model'], z.reshape(-1, latent))[1].reshape(z.shape[:-1])
    else:   # the first channel counts least
      k = (jnp.round((jnp.clip(z, -1, 1) + 1) / 2 * wide(gaps, z)) * wide(places, z)).sum(-1)
    return (2 * k / (codes - 1) - 1)[..., None].astype(jnp.float32)

  def numbered(state, levels, condition=None):
    """x of what `numbers` gives."""
    v, k = state.variables['model'], jnp.rint((levels[..., 0] + 1) * ((codes - 1) / 2)).astype(jnp.int32)
    if vq:
      z = (v['sum'] / v['count'][:, None])[k]
    else:
      z = 2 * (k[..., None] // wide(places, k[..., None]) % wide(gaps + 1, k[..., None])) / wide(gaps, k[..., None]) - 1
    return shown(decode(state.averaged('model'), z))

  def output(state, x_B):
    params = state.averaged('model')
    return decode(params, quantise(state.variables['model'], encode(params, x_B)[0]))

  def score(state, batch, keys_B):
    """log p(x | the code of x) in nats, named by what x is (families/vae.py), and the peak signal-to-noise ratio in dB of a range of 2."""
    x_B, out = batch['x'], output(state, batch['x'])
    found = {f'reconstruction{pixels}': likelihood.log_prob(out, x_B)}
    if spec.bounded:
      error_B = total((shown(out) - x_B)**2) / math.prod(spec.shape)
      found['psnr'] = -10 * jnp.log10(jnp.maximum(error_B, 1e-9) / 4)
    return found

  def reconstruct(state, batch, keys_B):
    return shown(output(state, batch['x']))

  roles = {'model': optimizers.role(config.roles.model, config.steps, loss, update=update)}
  if o.adversarial_weight:
    roles['discriminator'] = optimizers.role(config.roles.discriminator, config.steps, discriminator_loss)
  return core.Family(init, roles, score=score, reconstruct=reconstruct, decode=decoded, encode=encoded,
                     codes=None if kl else core.Codes(codes, numbers, numbered))
