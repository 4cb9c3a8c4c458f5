"""Samplers on Gaussian data, where the clean x, the flow and every moment are known."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import core, samplers, schedules

MEAN, VARIANCE = .4, .3
ORDER = {'euler': 1, 'heun': 2, 'midpoint': 2, 'dpm2m': 2}


def clean(schedule):
  def predict(x, t):
    alpha, sigma = schedule.path(t)
    return MEAN + alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2) * (x - alpha * MEAN)
  return predict


def run(schedule, name, steps, x, eta=0., churn=0.):
  keys = core.per_example(jax.random.key(0), jnp.arange(len(x)))
  return samplers.run(clean(schedule), schedule, x, keys, dict(sampler=name, steps=steps, eta=eta, churn=churn))


def flow(schedule, x):
  """Where the ODE ends, from noise x at t = 1."""
  (alpha, sigma), (alpha0, sigma0) = schedule.path(jnp.ones(())), schedule.path(jnp.zeros(()))
  spread = lambda s: jnp.sqrt(VARIANCE + s**2)
  return MEAN + (x / alpha - MEAN) * spread(sigma0 / alpha0) / spread(sigma / alpha)


@pytest.mark.parametrize('schedule', ['cosine', 'rectified', 'edm'])   # linear's sigma rises like a root at 0, where no method keeps its order
@pytest.mark.parametrize('name', ORDER)
def test_order_of_convergence(name, schedule):
  schedule = schedules.SCHEDULES[schedule]
  x = schedule.path(jnp.ones(()))[1] * jnp.array([[-1.2], [.3], [1.5]])
  with jax.enable_x64(True):
    x = jnp.asarray(x, jnp.float64)
    errors = [float(jnp.abs(run(schedule, name, n, x) - flow(schedule, x)).max()) for n in (80, 160)]
  assert errors[1] < .02 / 20**(ORDER[name] - 1), errors
  assert abs(np.log2(errors[0] / errors[1]) - ORDER[name]) < .45, errors


@pytest.mark.parametrize('name, more', [('ddpm', {}), ('ddim', dict(eta=.5)), ('heun', dict(churn=20.)), ('euler', {}), ('dpm2m', {}),
                                        ('midpoint', {})])
@pytest.mark.parametrize('schedule', ['cosine', 'edm'])
def test_moments(name, more, schedule):
  schedule = schedules.SCHEDULES[schedule]
  x = schedule.path(jnp.ones(()))[1] * jax.random.normal(jax.random.key(1), (20_000, 1))
  found = run(schedule, name, 300, x, **more)
  np.testing.assert_allclose(found.mean(), MEAN, atol=.02)
  np.testing.assert_allclose(found.var(), VARIANCE, rtol=.06)
  assert abs(float(((found - found.mean())**3).mean())) / VARIANCE**1.5 < .1


def test_ddpm_is_the_true_posterior():
  """On data that is one point, each ancestral step draws x at the next time from q(x_to | x_t, x_0) exactly, whose marginal is q(x_to | x_0)."""
  schedule = schedules.SCHEDULES['cosine']
  keys = core.per_example(jax.random.key(2), jnp.arange(20_000))
  x0, t, to = .7, .6, .35
  (alpha, sigma), (alpha_to, sigma_to) = schedule.path(t), schedule.path(to)
  x = alpha * x0 + sigma * jax.random.normal(jax.random.key(3), (20_000, 1))
  found, _ = samplers.ddpm(lambda x, t: jnp.full_like(x, x0), schedule, x, None, t, to, keys, {})
  np.testing.assert_allclose([found.mean(), found.std()], [alpha_to * x0, sigma_to], atol=.01)
  covariance = np.cov(np.concatenate([x, found], axis=1).T)[0, 1]   # of x_t and x_to: alpha / alpha_to sigma_to^2
  np.testing.assert_allclose(covariance, alpha / alpha_to * sigma_to**2, atol=.01)


def test_consistency_noises_the_clean_x_afresh():
  schedule = schedules.SCHEDULES['edm']
  keys = core.per_example(jax.random.key(0), jnp.arange(20_000))
  found, _ = samplers.consistency(lambda x, t: jnp.full_like(x, .5), schedule, jnp.ones((20_000, 1)), None, 1., .5, keys, {})
  np.testing.assert_allclose([found.mean() - .5, found.std()], [0, schedule.path(.5)[1]], atol=.05)


@pytest.mark.parametrize('name', samplers.SAMPLERS)
def test_one_step_is_the_clean_x_at_the_start(name):
  schedule, x = schedules.SCHEDULES['cosine'], jnp.array([[1.], [-2.]])
  np.testing.assert_array_equal(run(schedule, name, 1, x), clean(schedule)(x, 1.))


@pytest.mark.parametrize('name', samplers.SAMPLERS)
def test_evaluations(name):
  """`steps` of them, of heun and midpoint 2 steps - 1; of the loop's body once."""
  schedule, calls = schedules.SCHEDULES['cosine'], []

  def predict(x, t):
    jax.debug.callback(lambda: calls.append(1))
    return clean(schedule)(x, t)
  keys = core.per_example(jax.random.key(0), jnp.arange(2))
  x = samplers.run(predict, schedule, jnp.ones((2, 1)), keys, dict(sampler=name, steps=5, eta=.5, churn=1.))
  jax.block_until_ready(x)
  jax.effects_barrier()
  assert len(calls) == (9 if name in ('heun', 'midpoint') else 5)
