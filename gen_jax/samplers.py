"""Ways from noise to data, in a table of steps from a time `t` to the next, `to`: (predict, schedule, x_N, memory, t, to, keys_N, options) ->
(x_N, memory).

predict: (x_N, t) -> what the network takes for the clean x in it; then noise = (x - alpha clean) / sigma. All of them integrate
dx = clean d(alpha) + noise d(sigma), the probability-flow ODE of any schedule (Song et al. 2021, https://arxiv.org/abs/2011.13456): in t on a
rectified path, in sigma on EDM's. options: a mapping with eta, churn and steps.
"""
import jax
import jax.numpy as jnp

from gen_jax import core

MOST_STEPS = 1000   # more levels than that a network can't tell apart


def ddim(predict, schedule, x, memory, t, to, keys_N, options, eta=None):
  """Song et al. 2021, https://arxiv.org/abs/2010.02502, eq. 12 and 16, on any path."""
  eta = options['eta'] if eta is None else eta
  (alpha, sigma), (alpha_to, sigma_to) = schedule.path(t), schedule.path(to)
  clean = predict(x, t)
  noise = (x - alpha * clean) / sigma
  if not eta:
    return alpha_to * clean + sigma_to * noise, memory
  variance = (eta * sigma_to)**2 * (1 - (alpha * sigma_to / (alpha_to * sigma))**2)
  return alpha_to * clean + jnp.sqrt(sigma_to**2 - variance) * noise + jnp.sqrt(variance) * core.normal(keys_N, x.shape[1:]), memory


def euler(*args):
  return ddim(*args, eta=0.)


def ddpm(*args):
  """Ancestral sampling (Ho et al. 2020, https://arxiv.org/abs/2006.11239)."""
  return ddim(*args, eta=1.)


def heun(predict, schedule, x, memory, t, to, keys_N, options):
  """Second order, two evaluations; churn raises the level first (Karras et al. 2022, https://arxiv.org/abs/2206.00364, alg. 2)."""
  if options['churn']:
    alpha, sigma = schedule.path(t)
    raised = sigma / alpha * (1 + min(options['churn'] / options['steps'], 2**.5 - 1))
    t = schedule.time(jnp.log(raised))
    x = schedule.path(t)[0] * (x / alpha + jnp.sqrt(raised**2 - (sigma / alpha)**2) * core.normal(keys_N, x.shape[1:]))
  (alpha, sigma), (alpha_to, sigma_to) = schedule.path(t), schedule.path(to)
  clean = predict(x, t)
  noise = (x - alpha * clean) / sigma
  ahead = alpha_to * clean + sigma_to * noise
  clean_to = predict(ahead, to)
  noise_to = (ahead - alpha_to * clean_to) / sigma_to
  return x + (alpha_to - alpha) * (clean + clean_to) / 2 + (sigma_to - sigma) * (noise + noise_to) / 2, memory


def midpoint(predict, schedule, x, memory, t, to, keys_N, options):
  """Second order, two evaluations, the second half way."""
  half, _ = euler(predict, schedule, x, None, t, (t + to) / 2, keys_N, options)
  clean = predict(half, (t + to) / 2)
  alpha, sigma = schedule.path((t + to) / 2)
  noise = (half - alpha * clean) / sigma
  (alpha, sigma), (alpha_to, sigma_to) = schedule.path(t), schedule.path(to)
  return x + (alpha_to - alpha) * clean + (sigma_to - sigma) * noise, memory


def dpm2m(predict, schedule, x, memory, t, to, keys_N, options):
  """DPM-Solver++ (2M): second order, one evaluation (Lu et al. 2022, https://arxiv.org/abs/2211.01095, alg. 2). memory: the last clean x and step."""
  (alpha, sigma), (alpha_to, sigma_to) = schedule.path(t), schedule.path(to)
  clean, (clean_before, before) = predict(x, t), memory
  step = jnp.log(alpha_to * sigma / (sigma_to * alpha))
  ahead = clean + step / (2 * before) * (clean - clean_before)
  return sigma_to / sigma * x - alpha_to * jnp.expm1(-step) * ahead, (clean, step)


def consistency(predict, schedule, x, memory, t, to, keys_N, options):
  """The clean x, noised afresh (Song et al. 2023, https://arxiv.org/abs/2303.01469, alg. 1): for consistency models."""
  alpha_to, sigma_to = schedule.path(to)
  return alpha_to * predict(x, t) + sigma_to * core.normal(keys_N, x.shape[1:]), memory


SAMPLERS = {f.__name__: f for f in (ddim, euler, ddpm, heun, midpoint, dpm2m, consistency)}


def backwards(predict, schedule, x_N, options):
  """From data, taken for what is seen at the level from which `run` tells it, to noise along the ODE, by Heun's method.

  Not from t = 0, where the noise that a clean x leaves is its error over a sigma of nearly none.
  """
  times_T = jnp.linspace(0., 1., options['steps'] + 1)[1:]

  def body(x_N, i):
    return heun(predict, schedule, x_N, None, times_T[i], times_T[i + 1], None, {'churn': 0})[0], None
  return jax.lax.scan(body, schedule.path(times_T[0])[0] * x_N, jnp.arange(options['steps'] - 1))[0]


def run(predict, schedule, x_N, keys_N, options, start=1.):
  """From x_N at time `start` to data: options.steps times evenly spaced in t, and at the last of them the clean x is the answer.

  The network is evaluated `steps` times, by heun and midpoint 2 steps - 1 times. One compiled loop. Example i depends on key i alone.
  """
  step, times_T = SAMPLERS[options['sampler']], jnp.linspace(start, 0., options['steps'] + 1)[:-1]

  def body(carry, i):
    return step(predict, schedule, *carry, times_T[i], times_T[i + 1], core.fold(keys_N, i), options), None
  memory = jnp.zeros_like(x_N), jnp.full((), jnp.inf)   # an infinite step before the first: first order
  (x_N, _), _ = jax.lax.scan(body, (x_N, memory), jnp.arange(options['steps'] - 1))
  return predict(x_N, times_T[-1])
