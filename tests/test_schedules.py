"""Schedules are inverted by their inverse, predictions by each other."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import schedules

T = jnp.linspace(0, 1, 101)
of_each_schedule = pytest.mark.parametrize('name', schedules.SCHEDULES)
of_each_objective = pytest.mark.parametrize('name', schedules.OBJECTIVES)


@of_each_schedule
def test_time_inverts_the_level_and_noise_rises(name):
  schedule = schedules.SCHEDULES[name]
  alpha, sigma = schedule.path(T)
  level = jnp.log(sigma / alpha)
  assert np.isfinite(level).all() and (np.diff(level) > 0).all() and level[0] < -4.5 and level[-1] > 4.3
  # Where float32 can tell: near its ends a path has levels closer than its rounding.
  np.testing.assert_allclose(schedule.time(level), T, atol=2e-4)


@pytest.mark.parametrize('name', ['linear', 'cosine'])
def test_variance_is_preserved(name):
  alpha, sigma = schedules.SCHEDULES[name].path(T)
  np.testing.assert_allclose(alpha**2 + sigma**2, 1, atol=1e-6)


@of_each_schedule
def test_drawn_times_rise_with_the_uniform_number_and_stay_inside(name):
  t = schedules.SCHEDULES[name].draw(T)
  assert (np.diff(t) >= 0).all() and t[0] >= 0 and t[-1] <= 1


def test_edm_trains_at_log_normal_noise():
  u = (jnp.arange(10_000) + .5) / 10_000
  log_sigma = jnp.log(schedules.SCHEDULES['edm'].path(schedules.SCHEDULES['edm'].draw(u))[1])
  np.testing.assert_allclose([log_sigma.mean(), log_sigma.std()], [-1.2, 1.2], atol=.01)


@of_each_objective
@pytest.mark.parametrize('schedule', schedules.SCHEDULES)
def test_every_prediction_gives_x_and_noise_back(name, schedule):
  x, e = np.random.default_rng(0).standard_normal((2, 101)).astype(np.float32)
  alpha, sigma = schedules.SCHEDULES[schedule].path(T)
  a, b = schedules.OBJECTIVES[name](alpha, sigma, .5)
  found = schedules.solve(alpha * x + sigma * e, a * x + b * e, alpha, sigma, a, b)
  # What is the difference of large numbers is known as well as they are: x among much noise, noise where there is little.
  for value, wanted, scale in zip(found, (x, e), (sigma / alpha, alpha / sigma)):
    np.testing.assert_allclose((value - wanted) / (1 + scale), 0, atol=2e-6)


@of_each_objective
def test_the_best_prediction_on_gaussian_data_is_the_posterior_mean(name):
  """Of x ~ N(m, v): by the regression of what is predicted on x_t."""
  m, v = .3, .7
  alpha, sigma = schedules.SCHEDULES['cosine'].path(jnp.linspace(.05, .95, 19))
  a, b = schedules.OBJECTIVES[name](alpha, sigma, .5)
  variance = alpha**2 * v + sigma**2
  gain = (a * alpha * v + b * sigma) / variance
  for x_t in (-1., 0., 2.):
    best = a * m + gain * (x_t - alpha * m)
    clean, _ = schedules.solve(x_t, best, alpha, sigma, a, b)
    np.testing.assert_allclose(clean, m + alpha * v / variance * (x_t - alpha * m), rtol=1e-4, atol=1e-5)


def test_edm_predicts_with_unit_variance():
  v = .5**2
  alpha, sigma = schedules.SCHEDULES['edm'].path(T)
  a, b = schedules.OBJECTIVES['edm'](alpha, sigma, .5)
  np.testing.assert_allclose(a**2 * v + b**2, 1, rtol=1e-5)
  np.testing.assert_allclose((a * alpha * v + b * sigma) / (alpha**2 * v + sigma**2), 0, atol=1e-5)   # nothing to gain from x_t itself


def test_weights_are_those_of_print():
  sigma, deviation = np.array([.02, .3, 1., 40.]), .5
  found = {name: schedules.WEIGHTS[name](1 / sigma**2, None, deviation) for name in ('edm', 'min_snr')}
  np.testing.assert_allclose(found['edm'], (sigma**2 + deviation**2) / (sigma * deviation)**2, rtol=1e-6)
  np.testing.assert_allclose(found['min_snr'], [5., 5., 1., 1 / 1600], rtol=1e-6)


@pytest.mark.parametrize('name', ['cosine', 'linear', 'rectified'])
def test_the_bounds_weight_integrates_the_signal_to_noise_ratio(name):
  """Of an error as large as the noise, half the integral of d(snr) / snr: how far the level rises."""
  ratio = lambda t: jnp.divide(*schedules.SCHEDULES[name].path(t))
  u = jnp.linspace(0, 1, 400_001)
  fall = -jax.vmap(jax.grad(lambda u: ratio(u)**2))(u)
  found = jnp.trapezoid(schedules.WEIGHTS['bound'](None, fall, None) / ratio(u)**2, u)
  np.testing.assert_allclose(found, jnp.log(ratio(jnp.zeros(()))) - jnp.log(ratio(jnp.ones(()))), rtol=2e-3)
