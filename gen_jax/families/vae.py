"""Autoencoders: plain, denoising (Vincent et al. 2008) and variational (Kingma and Welling 2014, https://arxiv.org/abs/1312.6114).

Also beta-VAE (Higgins et al. 2017) with warm-up, the conditional VAE (Sohn et al. 2015) and the importance-weighted bound (Burda et al. 2016,
https://arxiv.org/abs/1509.00519). A deterministic autoencoder samples from a normal distribution fitted to its latents, as regularised
autoencoders do (Ghosh et al. 2020, https://arxiv.org/abs/1903.12436), or from a mixture of them; a variational one may have a mixture as its learned
prior (compared by Tomczak and Welling 2018, https://arxiv.org/abs/1705.07120, sec. 4). Roles: model, and prior where there is a mixture.
"""
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import core, losses, networks, optimizers
from gen_jax.networks import append_label

DEFAULTS = dict(
    likelihood='bernoulli',     # losses.LIKELIHOODS
    posterior='gaussian',       # gaussian, deterministic (an autoencoder)
    latent=16,
    beta=1.,                    # weight of the KL term; 1 is the evidence lower bound
    beta_warmup=0,              # steps over which beta rises from 0
    importance_samples=1,       # k > 1 trains the importance-weighted bound
    score_samples=64,           # k of the bound that `score` reports
    noise=0.,                   # standard deviation of Gaussian noise on what the encoder sees
    binarize='',                # pixels for the bernoulli likelihood: 'dynamic' draws them afresh each step, 'threshold' cuts at grey, '' leaves grey
    condition=False,            # on labels
    mixture=0,                  # K > 0: a second role fits K Gaussians to the latents, and they are the prior
)

MEMORY = .99   # of the moments of a deterministic autoencoder's latents, per turn


class Autoencoder(nn.Module):
  encoder: nn.Module
  decoder: nn.Module
  latent: int
  classes: int               # 0: unconditional

  def setup(self):
    self.head = nn.Dense(2 * self.latent)

  def encode(self, x_B, condition_B):
    """Mean and log standard deviation of the posterior, [B, latent] each."""
    return jnp.split(self.head(self.encoder(append_label(x_B, condition_B, self.classes))), 2, axis=-1)

  def decode(self, z_BxZ, condition_B):
    return self.decoder(append_label(z_BxZ, condition_B, self.classes))

  def __call__(self, x_B, condition_B):
    return self.decode(self.encode(x_B, condition_B)[0], condition_B)


def make(config, spec) -> core.Family:
  o = config.family
  likelihood = core.choose('family.likelihood', o.likelihood, losses.LIKELIHOODS)
  core.choose('family.posterior', o.posterior, ('gaussian', 'deterministic'))
  if o.condition and not spec.classes:
    raise core.InputError(f'family.condition needs labels, and {config.data.name} has none')
  if not spec.bounded and o.likelihood not in ('gaussian', 'gaussian_learned'):
    raise core.InputError(f'family.likelihood={o.likelihood!r} is for x in [-1, 1], and {config.data.name} is unbounded: use gaussian')
  if o.binarize not in ('', 'dynamic', 'threshold') or o.binarize and o.likelihood != 'bernoulli':
    raise core.InputError(f"family.binarize={o.binarize!r}: '', or dynamic or threshold with the bernoulli likelihood")
  if o.importance_samples > 1 and o.posterior == 'deterministic':
    raise core.InputError('family.importance_samples > 1 needs the gaussian posterior')
  if o.importance_samples > 1 and (o.beta != 1 or o.beta_warmup):
    raise core.InputError('family.importance_samples > 1 is a bound without a KL term for family.beta and family.beta_warmup to weigh')
  if min(o.beta, o.noise) < 0:
    raise core.InputError(f'family.beta={o.beta}, family.noise={o.noise}: at least 0')
  if o.posterior == 'deterministic' and (o.beta != 1 or o.beta_warmup):
    raise core.InputError('family.beta and family.beta_warmup weigh a KL term, which an autoencoder has not')
  deterministic = o.posterior == 'deterministic'
  pixels = {'bernoulli': f'_{o.binarize or "grey"}', 'logistic': '_8bit'}.get(o.likelihood, '')
  if o.mixture and o.condition:
    raise core.InputError('family.mixture is of the latents of a model without a condition')
  encoder, decoder = networks.make(config.network, spec, 'encoder', 'decoder')
  decoder = decoder.clone(channels=spec.shape[-1] * likelihood.outputs)
  net = Autoencoder(encoder, decoder, o.latent, spec.classes if o.condition else 0)

  def init(key, batch):
    params = net.init(core.fold(key, 'model'), batch['x'], batch.get('condition'))['params']
    moments = {'mean': jnp.zeros(o.latent), 'second': jnp.eye(o.latent)}   # of the standard normal, soon forgotten
    params, variables = {'model': params}, {'model': moments if deterministic else {}}
    if o.mixture:
      # A variational posterior begins near the standard normal, and so does its prior.
      spread = 1. if deterministic else .3
      params['prior'] = {'logit': jnp.zeros(o.mixture), 'mean': spread * jax.random.normal(core.fold(key, 'prior'), (o.mixture, o.latent)),
                         'precision': jnp.zeros((o.mixture, o.latent, o.latent))}
      variables['prior'] = {}
    return params, variables, {}

  def encode(params, x_B, condition_B):
    return net.apply({'params': params}, x_B, condition_B, method='encode')

  def decode(params, z_BxZ, condition_B):
    return net.apply({'params': params}, z_BxZ, condition_B, method='decode')

  def observed(batch, keys_B):
    """x as the likelihood sees it."""
    if not o.binarize:
      return batch['x']
    if o.binarize == 'threshold':
      return jnp.where(batch['x'] > 0, 1., -1.)
    return jax.vmap(lambda x, key: jnp.where(jax.random.bernoulli(key, (x + 1) / 2), 1., -1.))(batch['x'], core.fold(keys_B, 'binarize'))

  def noised(x_B, keys_B):
    if not o.noise:
      return x_B
    return jax.vmap(lambda x, key: x + o.noise * jax.random.normal(key, x.shape))(x_B, core.fold(keys_B, 'noise'))

  def draw(mean_BxZ, log_scale_BxZ, keys_B):
    e_BxZ = core.normal(keys_B, (o.latent,))
    return mean_BxZ + jnp.exp(log_scale_BxZ) * e_BxZ

  def log_ratio(own, z_BxZ, mean_BxZ, log_scale_BxZ):
    """log q(z | x) / p(z), [B]; own: of the prior."""
    log_q_B = losses.standard_normal((z_BxZ - mean_BxZ) * jnp.exp(-log_scale_BxZ)) - log_scale_BxZ.sum(-1)
    return log_q_B - (log_mixture(own, z_BxZ) if o.mixture else losses.standard_normal(z_BxZ))

  def divergence(own, z_BxZ, mean_BxZ, log_scale_BxZ):
    """KL(q(z | x) || p(z)), [B]: of a mixture, at the z that was drawn."""
    return log_ratio(own, z_BxZ, mean_BxZ, log_scale_BxZ) if o.mixture else losses.kl_to_standard_normal(mean_BxZ, log_scale_BxZ)

  def log_weight(params, own, x_B, condition_B, mean_BxZ, log_scale_BxZ, keys_B):
    """log p(x, z) / q(z | x) for one z from q, [B]; own: of the prior."""
    z_BxZ = draw(mean_BxZ, log_scale_BxZ, keys_B)
    return likelihood.log_prob(decode(params, z_BxZ, condition_B), x_B) - log_ratio(own, z_BxZ, mean_BxZ, log_scale_BxZ)

  def loss(own, state, batch, keys_B, key):
    x_B, condition_B = observed(batch, keys_B), batch.get('condition')
    mean_BxZ, log_scale_BxZ = encode(own, noised(x_B, keys_B), condition_B)
    if deterministic:
      reconstruction_B = likelihood.log_prob(decode(own, mean_BxZ, condition_B), x_B)
      return -reconstruction_B, core.Aux({'reconstruction': reconstruction_B}, statistics={
          'mean': mean_BxZ.mean(0), 'second': mean_BxZ.T @ mean_BxZ / len(mean_BxZ)})
    mixture = state.params.get('prior')
    z_BxZ = draw(mean_BxZ, log_scale_BxZ, core.fold(keys_B, 0))
    kl_B = divergence(mixture, z_BxZ, mean_BxZ, log_scale_BxZ)
    if o.importance_samples > 1:
      # One batch of K * B rows: K batches of B take minutes to compile where K is 50.
      keys_KxB = jax.vmap(lambda i: core.fold(keys_B, i))(jnp.arange(o.importance_samples))
      tiled = jax.tree.map(lambda a: jnp.tile(a, (o.importance_samples, *[1] * (a.ndim - 1))), (x_B, condition_B, mean_BxZ, log_scale_BxZ))
      log_w_KxB = log_weight(own, mixture, *tiled, keys_KxB.reshape(-1)).reshape(keys_KxB.shape)
      bound_B = jax.nn.logsumexp(log_w_KxB, axis=0) - jnp.log(o.importance_samples)
      return -bound_B, core.Aux({'iwae': bound_B, 'elbo': log_w_KxB.mean(0), 'kl': kl_B})
    reconstruction_B = likelihood.log_prob(decode(own, z_BxZ, condition_B), x_B)
    beta = o.beta * jnp.minimum(1., (state.step + 1) / max(1, o.beta_warmup))
    return beta * kl_B - reconstruction_B, core.Aux({'elbo': reconstruction_B - kl_B, 'reconstruction': reconstruction_B, 'kl': kl_B})

  def update(moments, found, key):
    if not deterministic:
      return moments
    return jax.tree.map(lambda old, new: MEMORY * old + (1 - MEMORY) * new, moments, found)

  def fitted(state):
    """Mean and covariance of a deterministic autoencoder's latents."""
    mean, second = state.variables['model']['mean'], state.variables['model']['second']
    return mean, second - jnp.outer(mean, mean) + 1e-4 * jnp.eye(o.latent)

  def factors(own):
    """Of the components' precisions P P^T, [K, Z, Z]: lower triangular, positive on the diagonal, 1 at the start."""
    raw = own['precision']
    return jnp.tril(raw, -1) + jnp.eye(o.latent)[None] * jnp.exp(raw)

  def scale(state):
    """(mean, standard deviation) [Z] that standardise the latents for the mixture: a deterministic encoder's move while it learns."""
    if not deterministic:
      return jnp.zeros(o.latent), jnp.ones(o.latent)
    mean, covariance = fitted(state)
    return mean, jnp.sqrt(jnp.diag(covariance))

  def log_mixture(own, w_BxZ):
    """Log-density at standardised latents, [B]."""
    P_KxZxZ = factors(own)
    u_BxKxZ = jnp.einsum('bz,kzy->bky', w_BxZ, P_KxZxZ) - jnp.einsum('kz,kzy->ky', own['mean'], P_KxZxZ)[None]
    log_c_K = jax.nn.log_softmax(own['logit']) + jnp.log(jnp.diagonal(P_KxZxZ, axis1=1, axis2=2)).sum(-1)
    return jax.nn.logsumexp(losses.standard_normal(u_BxKxZ) + log_c_K[None], axis=-1)

  def prior_loss(own, state, batch, keys_B, key):
    """-log of the mixture at the latents of a batch."""
    mean_BxZ, log_scale_BxZ = encode(state.params['model'], noised(observed(batch, keys_B), keys_B), batch.get('condition'))
    z_BxZ = mean_BxZ if deterministic else draw(mean_BxZ, log_scale_BxZ, core.fold(keys_B, 0))
    mean, deviation = scale(state)
    return -log_mixture(own, (z_BxZ - mean[None]) / deviation[None]), core.Aux({})

  def prior(state, keys_N):
    z_NxZ = core.normal(core.fold(keys_N, 'latent'), (o.latent,))
    if o.mixture:
      own = state.averaged('prior')
      k_N = jax.vmap(lambda key: jax.random.categorical(key, own['logit']))(core.fold(keys_N, 'component'))
      w_NxZ = own['mean'][k_N] + jax.vmap(lambda P, z: jax.scipy.linalg.solve_triangular(P.T, z))(factors(own)[k_N], z_NxZ)
      mean, deviation = scale(state)
      return mean[None] + w_NxZ * deviation[None]
    if not deterministic:
      return z_NxZ
    mean, covariance = fitted(state)
    return mean[None] + z_NxZ @ jnp.linalg.cholesky(covariance).T

  def shown(out):
    x = likelihood.mean(out)   # a Gaussian's mean may lie outside
    return jnp.clip(x, -1, 1) if spec.bounded else x

  def mean(state, z_NxZ, condition_N=None):
    """Of the likelihood."""
    return shown(decode(state.averaged('model'), z_NxZ, condition_N))

  def encoded(state, x_B):
    """The posterior's mean."""
    return encode(state.averaged('model'), x_B, None)[0]

  def sample(state, keys_N, condition_N=None):
    return mean(state, prior(state, keys_N), condition_N)

  def score(state, batch, keys_B):
    """Bounds on log p(x) in nats, named by what x is (no density compares with a probability, nor grey pixels with binary ones), and in bits per
    dimension where x has 256 levels; or the reconstruction's log-likelihood of an autoencoder."""
    params, condition_B = state.averaged('model'), batch.get('condition')
    mixture = state.averaged('prior') if o.mixture else None
    x_B = observed(batch, keys_B)
    mean_BxZ, log_scale_BxZ = encode(params, x_B, condition_B)
    if deterministic:
      return {f'reconstruction{pixels}': likelihood.log_prob(decode(params, mean_BxZ, condition_B), x_B)}
    # A loop, for memory; nothing is differentiated here, so it is fast on CPU too.
    log_w_KxB = jax.lax.map(lambda i: log_weight(params, mixture, x_B, condition_B, mean_BxZ, log_scale_BxZ, core.fold(keys_B, i)),
                            jnp.arange(o.score_samples))
    bounds = {'elbo': log_w_KxB.mean(0), f'iwae_{o.score_samples}': jax.nn.logsumexp(log_w_KxB, axis=0) - jnp.log(o.score_samples)}
    found = {f'{name}{pixels}': value for name, value in bounds.items()}
    if o.likelihood == 'logistic':
      found |= {f'bits_per_dim_{name}{pixels}': -value / (math.log(2) * math.prod(spec.shape)) for name, value in bounds.items()}
    z_BxZ = draw(mean_BxZ, log_scale_BxZ, core.fold(keys_B, 0))
    return {**found, 'kl': divergence(mixture, z_BxZ, mean_BxZ, log_scale_BxZ)}

  def reconstruct(state, batch, keys_B):
    params, condition_B = state.averaged('model'), batch.get('condition')
    mean_BxZ, _ = encode(params, noised(observed(batch, keys_B), keys_B), condition_B)
    return shown(decode(params, mean_BxZ, condition_B))

  roles = {'model': optimizers.role(config.roles.model, config.steps, loss, update=update)}
  if o.mixture:
    roles['prior'] = optimizers.role(config.roles.prior, config.steps, prior_loss)
  return core.Family(init, roles, sample, score, reconstruct, prior, mean, None if o.condition else encoded)
