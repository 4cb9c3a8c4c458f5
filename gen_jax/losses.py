"""Losses as pure functions of one example's numbers, broadcasting over batches; tables of them by name."""
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

softplus = jax.nn.softplus


class Adversarial(NamedTuple):
  """What the two players minimise, from the discriminator's outputs (logits, no sigmoid) on a real and a generated example."""
  discriminator: Callable
  generator: Callable
  paired: bool = False       # the generator's loss reads the real output too


ADVERSARIAL = {
    # Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, eq. 1 and the non-saturating variant below it.
    'minimax': Adversarial(lambda real, fake: softplus(-real) + softplus(fake), lambda real, fake: -softplus(fake)),
    'nonsaturating': Adversarial(lambda real, fake: softplus(-real) + softplus(fake), lambda real, fake: softplus(-fake)),
    # Mao et al. 2017, https://arxiv.org/abs/1611.04076, eq. 9.
    'least_squares': Adversarial(lambda real, fake: .5 * ((real - 1)**2 + fake**2), lambda real, fake: .5 * (fake - 1)**2),
    # Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875.
    'wasserstein': Adversarial(lambda real, fake: fake - real, lambda real, fake: -fake),
    # Lim and Ye 2017, https://arxiv.org/abs/1705.02894.
    'hinge': Adversarial(lambda real, fake: jax.nn.relu(1 - real) + jax.nn.relu(1 + fake), lambda real, fake: -fake),
    # Relativistic pairing: Jolicoeur-Martineau 2018, https://arxiv.org/abs/1807.00734, as in Huang et al. 2024, https://arxiv.org/abs/2501.05441.
    'relativistic': Adversarial(lambda real, fake: softplus(fake - real), lambda real, fake: softplus(real - fake), paired=True),
}


def cross_entropy(logits_BxC, labels_B, smoothing=0.):
  """In nats, [B]; the label keeps 1 - smoothing of its mass and the rest is spread over all classes (Szegedy et al. 2016)."""
  target_BxC = optax.smooth_labels(jax.nn.one_hot(labels_B, logits_BxC.shape[-1]), smoothing)
  return optax.softmax_cross_entropy(logits_BxC, target_BxC)


def of_text(logits_BxLxV, next_BxL, there_BxL):
  """How well the tokens that are there are told: {'log_likelihood': their log p together, in nats, 'tokens': how many there are}, [B] each."""
  nats_BxL = optax.softmax_cross_entropy_with_integer_labels(logits_BxLxV, next_BxL) * there_BxL
  return {'log_likelihood': -nats_BxL.sum(-1), 'tokens': there_BxL.sum(-1)}


# Log-likelihoods log p(x | decoder's output), summed over the axes of an example; x in [-1, 1]. `channels` outputs a value of x, the last axis.

class Likelihood(NamedTuple):
  log_prob: Callable         # (out_B.., x_B..) -> [B] nats
  mean: Callable             # out -> x in [-1, 1]
  outputs: int = 1           # channels of out for each channel of x


def _sum(x):
  return x.reshape(len(x), -1).sum(-1)


def bernoulli(logits, x):
  """x is taken as the probability of a white pixel, (x + 1) / 2; exact for binary x, the cross-entropy of the tutorials for grey."""
  return _sum((x + 1) / 2 * logits - softplus(logits))


LOG_TENTH = math.log(.1)


def gaussian(mean, x, log_scale=LOG_TENTH):
  """A density over R^D: its log may be positive."""
  return _sum(-.5 * ((x - mean) / jnp.exp(log_scale))**2 - log_scale - .5 * math.log(2 * math.pi))


def gaussian_learned(out, x):
  """The second half of the channels is the log standard deviation, kept above e^-4 (a grey level is e^-4.8)."""
  mean, log_scale = jnp.split(out, 2, axis=-1)
  return gaussian(mean, x, -4 + softplus(log_scale + 4))


def logistic(out, x, levels=256):
  """A probability over `levels` equally spaced values of [-1, 1] (PixelCNN++, Salimans et al. 2017, https://arxiv.org/abs/1701.05517, eq. 2).

  The second half of the channels is the log scale (of e^-2 at 0), kept in [-7, 7].
  """
  mean, log_scale = jnp.split(out, 2, axis=-1)
  steepness = jnp.exp(-jnp.clip(log_scale - 2, -7, 7))
  edge = 1 / (levels - 1)
  centre, half = (x - mean) * steepness, edge * steepness
  upper, lower = centre + half, centre - half
  # log(sigmoid(upper) - sigmoid(lower)) = log sigmoid(upper) + log sigmoid(-lower) + log(1 - e^(lower - upper)), stable in both tails.
  inside = jax.nn.log_sigmoid(upper) + jax.nn.log_sigmoid(-lower) + jnp.log(-jnp.expm1(-2 * half))
  log_p = jnp.where(x < -1 + edge, jax.nn.log_sigmoid(upper), jnp.where(x > 1 - edge, jax.nn.log_sigmoid(-lower), inside))
  return _sum(log_p)


def pixels(x, seen, deviation, levels8: bool):
  """E log p(x | seen) in nats, [B], where seen = x + deviation * normal noise, one draw of it: of x's 256 levels in [-1, 1], or of a density (its
  mean, without a draw). For deviations of at most two levels or so."""
  if not levels8:
    return jnp.full(len(x), -.5 * math.prod(x.shape[1:]) * (jnp.log(2 * math.pi * deviation**2) + 1))
  level = jnp.round((x + 1) * 127.5)[..., None] + jnp.arange(-16, 17).reshape((1,) * x.ndim + (33,))
  log_p = jnp.where((level >= 0) & (level <= 255), -.5 * ((seen[..., None] - (level / 127.5 - 1)) / deviation)**2, -jnp.inf)
  return _sum(log_p[..., 16] - jax.nn.logsumexp(log_p, axis=-1))


LIKELIHOODS = {
    'bernoulli': Likelihood(bernoulli, lambda out: 2 * jax.nn.sigmoid(out) - 1),
    'gaussian': Likelihood(gaussian, lambda out: out),
    'gaussian_learned': Likelihood(gaussian_learned, lambda out: jnp.split(out, 2, axis=-1)[0], outputs=2),
    'logistic': Likelihood(logistic, lambda out: jnp.split(out, 2, axis=-1)[0], outputs=2),
}


def kl_to_standard_normal(mean_BxZ, log_scale_BxZ):
  """KL(N(mean, exp(log_scale)^2) || N(0, 1)) in nats, [B] (Kingma and Welling 2014, https://arxiv.org/abs/1312.6114, app. B)."""
  return .5 * (mean_BxZ**2 + jnp.exp(2 * log_scale_BxZ) - 1 - 2 * log_scale_BxZ).sum(-1)


def standard_normal(z):
  """log N(z; 0, 1) in nats, summed over the last axis."""
  return -.5 * (z**2 + math.log(2 * math.pi)).sum(-1)
