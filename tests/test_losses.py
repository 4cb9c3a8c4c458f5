"""Losses against values worked out by hand, probabilities against their sum, and what the two players agree on."""
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gen_jax import losses

softplus = lambda x: math.log1p(math.exp(x))
# At real = 2, fake = -1 (and what the generator sees of them).
BY_HAND = {
    'minimax': (softplus(-2) + softplus(-1), -softplus(-1)),
    'nonsaturating': (softplus(-2) + softplus(-1), softplus(1)),
    'least_squares': (1., 2.),
    'wasserstein': (-3., 1.),
    'hinge': (0., 1.),
    'relativistic': (softplus(-3), softplus(3)),
}


@pytest.mark.parametrize('name', losses.ADVERSARIAL)
def test_adversarial_losses_by_hand(name):
  loss, (discriminator, generator) = losses.ADVERSARIAL[name], BY_HAND[name]
  real, fake = jnp.array(2.), jnp.array(-1.)
  np.testing.assert_allclose(loss.discriminator(real, fake), discriminator, rtol=1e-6)
  np.testing.assert_allclose(loss.generator(real if loss.paired else None, fake), generator, rtol=1e-6)


@pytest.mark.parametrize('name', losses.ADVERSARIAL)
def test_the_players_pull_apart(name):
  """The discriminator wants real up and fake down; the generator wants fake up."""
  loss, real, fake = losses.ADVERSARIAL[name], jnp.array(.3), jnp.array(.2)
  up, down = jax.grad(loss.discriminator, (0, 1))(real, fake)
  assert up < 0 < down
  assert jax.grad(lambda fake: loss.generator(real, fake))(fake) < 0


# Two Gaussians N(+-1, 1): the log density ratio is 2x. E over both by quadrature.
X = np.linspace(-12, 12, 4001)
P, Q = (np.exp(-.5 * (X - m)**2) / math.sqrt(2 * math.pi) * (X[1] - X[0]) for m in (1, -1))


def expected(loss, logit):
  """The discriminator's loss where real ~ N(1, 1) and fake ~ N(-1, 1) independently of each other, for losses that add."""
  return (P * loss.discriminator(logit, jnp.float32(-jnp.inf))).sum() + (Q * loss.discriminator(jnp.float32(jnp.inf), logit)).sum()


@pytest.mark.parametrize('name', ['minimax', 'nonsaturating'])
def test_the_best_discriminator_is_the_log_density_ratio(name):
  """Goodfellow et al. 2014, proposition 1: among a x + b + c x^2, and its loss is 2 log 2 - 2 JSD."""
  loss = losses.ADVERSARIAL[name]
  objective = lambda w: expected(loss, w[0] * X + w[1] + w[2] * X**2)
  np.testing.assert_allclose(jax.grad(objective)(jnp.array([2., 0., 0.])), 0, atol=2e-6)
  newton = jax.jit(lambda w: w - jnp.linalg.solve(jax.hessian(objective)(w) + 1e-9 * jnp.eye(3), jax.grad(objective)(w)))
  w = jnp.zeros(3)
  for _ in range(12):
    w = newton(w)
  np.testing.assert_allclose(w, [2, 0, 0], atol=1e-3)
  divergence = .5 * (P * np.log(2 * P / (P + Q))).sum() + .5 * (Q * np.log(2 * Q / (P + Q))).sum()
  np.testing.assert_allclose(objective(w), 2 * math.log(2) - 2 * divergence, rtol=1e-5)


def test_minimax_and_nonsaturating_share_the_fixed_point():
  """Where real and generated are alike, the best logit is 0, and there both generators' slopes vanish in expectation of d logit."""
  for name in ('minimax', 'nonsaturating'):
    slope = jax.grad(losses.ADVERSARIAL[name].discriminator, (0, 1))(0., 0.)
    assert slope[0] + slope[1] == 0
  slopes = [float(jax.grad(lambda fake, name=name: losses.ADVERSARIAL[name].generator(None, fake))(x)) for name in ('minimax', 'nonsaturating')
            for x in (0., -8.)]
  np.testing.assert_allclose(slopes, [-.5, -1 / (1 + math.exp(8)), -.5, -1 / (1 + math.exp(-8))], rtol=1e-5)   # the same, but for the saturation


def test_least_squares_wants_p_over_p_plus_q():
  loss, p, q = losses.ADVERSARIAL['least_squares'], .7, .2
  best = p / (p + q)
  np.testing.assert_allclose(jax.grad(lambda d: p * loss.discriminator(d, 0.) + q * loss.discriminator(1., d))(best), 0, atol=1e-6)


def test_cross_entropy_is_optax():
  logits = jax.random.normal(jax.random.key(0), (5, 7))
  labels = jnp.array([0, 6, 3, 3, 1])
  np.testing.assert_allclose(losses.cross_entropy(logits, labels), optax.softmax_cross_entropy_with_integer_labels(logits, labels), rtol=1e-6)
  log_p = jax.nn.log_softmax(logits)
  by_hand = -.9 * log_p[jnp.arange(5), labels] - .1 * log_p.mean(-1)
  np.testing.assert_allclose(losses.cross_entropy(logits, labels, .1), by_hand, rtol=1e-5)


def test_smoothed_labels_are_best_met_by_their_own_distribution():
  log_p = jnp.log(jnp.full((1, 4), .05).at[0, 2].set(.85))   # 1 - .2 + .2 / 4
  slope = jax.grad(lambda logits: losses.cross_entropy(logits, jnp.array([2]), .2)[0])(log_p)
  np.testing.assert_allclose(slope, 0, atol=1e-6)


LEVELS = (2 * np.arange(256, dtype=np.float32) / 255 - 1)[:, None]   # [256, 1]: every value that a pixel takes, as data.normalise makes them


def test_the_discretised_logistic_sums_to_one():
  means, log_scales = [-1e4, -3., -1., -.5, 0., 1 / 255, .3, 1., 5., 1e6], [-50., -5., -2., 0., 2., 9., 200.]
  out = jnp.array([[mean, log_scale] for mean in means for log_scale in log_scales])
  f = jax.value_and_grad(lambda out, x: losses.logistic(out[None], x[None])[0])
  log_p, slope = jax.jit(jax.vmap(jax.vmap(f, (None, 0)), (0, None)))(out, LEVELS)   # [70, 256] and [70, 256, 2]
  assert jnp.isfinite(log_p).all() and jnp.isfinite(slope).all()
  # x is rounded to 6e-8, and the steepest slope is 1,100.
  np.testing.assert_allclose(np.exp(np.float64(log_p)).sum(-1), 1, atol=2e-5)


def test_the_discretised_logistic_is_a_difference_of_sigmoids():
  sigmoid = lambda x: 1 / (1 + math.exp(-x))
  mean, scale, x = .1, math.exp(-1.), np.float64(LEVELS[140, 0])
  wanted = math.log(sigmoid((x + 1 / 255 - mean) / scale) - sigmoid((x - 1 / 255 - mean) / scale))
  np.testing.assert_allclose(losses.logistic(jnp.array([[mean, 1.]]), LEVELS[140:141])[0], wanted, rtol=1e-5)


def test_bernoulli_sums_to_one():
  logits = jnp.array([-30., -2., 0., .7])
  images = 2. * ((np.arange(16)[:, None] >> np.arange(4)) & 1) - 1
  log_p = losses.bernoulli(jnp.broadcast_to(logits, (16, 4)), images)
  np.testing.assert_allclose(jnp.exp(log_p).sum(), 1, atol=1e-6)
  np.testing.assert_allclose(log_p[8], jnp.log(jax.nn.sigmoid(jnp.array([30., 2., 0., .7]))).sum(), rtol=1e-6)


def test_gaussians_integrate_to_one():
  x = np.linspace(-8, 8, 20001, dtype=np.float32)[:, None]
  for log_p in (losses.gaussian(jnp.full_like(x, .3), x), losses.gaussian_learned(jnp.broadcast_to(jnp.array([.3, -1.]), (20001, 2)), x)):
    np.testing.assert_allclose(jnp.exp(log_p).sum() * (x[1, 0] - x[0, 0]), 1, rtol=1e-3)
  z = jax.random.normal(jax.random.key(0), (5, 3))
  np.testing.assert_allclose(losses.standard_normal(z), jax.scipy.stats.norm.logpdf(z).sum(-1), rtol=1e-5)
  np.testing.assert_allclose(losses.gaussian(jnp.zeros((5, 3)), z, 0.), losses.standard_normal(z), rtol=1e-5)


@pytest.mark.parametrize('name', losses.LIKELIHOODS)
def test_a_likelihood_is_of_one_example_and_its_mean_fits_x(name):
  likelihood = losses.LIKELIHOODS[name]
  out = jax.random.normal(jax.random.key(0), (3, 4, 4, 2 * likelihood.outputs))
  x = jnp.clip(jax.random.normal(jax.random.key(1), (3, 4, 4, 2)), -1, 1)
  log_p = likelihood.log_prob(out, x)
  assert log_p.shape == (3,) and likelihood.mean(out).shape == x.shape
  np.testing.assert_allclose(log_p[1], likelihood.log_prob(out[1:2], x[1:2])[0], rtol=1e-6)


@pytest.mark.parametrize('mean, log_scale', [(0., 0.), (1.5, -1.), (-2., .5)])
def test_kl_is_its_integral(mean, log_scale):
  scale = math.exp(log_scale)
  z = np.linspace(mean - 12 * scale, mean + 12 * scale, 20001)
  q = np.exp(-.5 * ((z - mean) / scale)**2) / scale / math.sqrt(2 * math.pi)
  log_ratio = -.5 * ((z - mean) / scale)**2 - log_scale + .5 * z**2
  found = losses.kl_to_standard_normal(jnp.full((1, 3), mean), jnp.full((1, 3), log_scale))
  np.testing.assert_allclose(found, 3 * (q * log_ratio).sum() * (z[1] - z[0]), atol=1e-4)
