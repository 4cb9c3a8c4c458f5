"""How diffusion families noise, x_t = alpha x + sigma e for t from 0 (data) to 1 (noise); what their networks predict; how errors are weighted.

The level of a time is log(sigma / alpha), half the negative log signal-to-noise ratio. It is finite at both ends (within log 1000 or so), so that
every prediction gives every other, at every time.
"""
import math
import statistics
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

EDGE = 1e-3   # how near the ends of a path come to data and to noise alone
RARE = -statistics.NormalDist().inv_cdf(1e-3)   # deviations from a normal's mean that one draw in a thousand exceeds
LEARNED = (-6.65, 5.)   # the levels at which learned ends start: a sixth of a pixel's level, and noise alone


class Schedule(NamedTuple):
  path: Callable                       # t in [0, 1] -> (alpha, sigma), their ratio rising
  time: Callable                       # level -> t, the inverse of path's level
  draw: Callable = lambda u: u         # uniform u -> the t to train at
  # Where draws thin out towards noise, the last level that a network is told: sampling starts at noise alone, of whose level it would have learnt
  # nothing.
  told: float = math.inf


def _cosine():
  """alpha = cos, sigma = sin (Nichol and Dhariwal 2021, https://arxiv.org/abs/2102.09672)."""
  low = math.atan(EDGE)   # a number: an array would start the backend before jax.distributed does
  angle = lambda t: low + (jnp.pi / 2 - 2 * low) * t
  return Schedule(lambda t: (jnp.cos(angle(t)), jnp.sin(angle(t))), lambda level: (jnp.arctan(jnp.exp(level)) - low) / (jnp.pi / 2 - 2 * low))


def _linear(low=.1, high=20.):
  """Of the variance's rate, as DDPM and the VP process: Ho et al. 2020, https://arxiv.org/abs/2006.11239; Song et al. 2021,
  https://arxiv.org/abs/2011.13456, eq. 33."""
  def path(t):
    t = EDGE + (1 - EDGE) * t
    log_alpha = -.25 * t**2 * (high - low) - .5 * t * low
    return jnp.exp(log_alpha), jnp.sqrt(-jnp.expm1(2 * log_alpha))

  def time(level):
    log_alpha = -.5 * jax.nn.softplus(2 * level)
    t = (jnp.sqrt(.25 * low**2 - (high - low) * log_alpha) - .5 * low) / (.5 * (high - low))
    return (t - EDGE) / (1 - EDGE)
  return Schedule(path, time)


def _edm(smallest=.002, largest=80., rho=7., mean=-1.2, deviation=1.2):
  """alpha = 1; trained at log-normal sigma (Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 1)."""
  low, high = smallest**(1 / rho), largest**(1 / rho)
  time = lambda level: (jnp.exp(level / rho) - low) / (high - low)
  return Schedule(lambda t: (jnp.ones_like(t), (low + t * (high - low))**rho), time,
                  lambda u: jnp.clip(time(mean + deviation * ndtri(u)), 0, 1))


def _rectified():
  """alpha = 1 - sigma (Liu et al. 2023, https://arxiv.org/abs/2209.03003)."""
  sigma = lambda t: EDGE + (1 - 2 * EDGE) * t
  return Schedule(lambda t: (1 - sigma(t), sigma(t)), lambda level: (jax.nn.sigmoid(level) - EDGE) / (1 - 2 * EDGE))


def even(low, high):
  """Between two levels, evenly; the variance is kept. The ends may be parameters (Kingma et al. 2021, https://arxiv.org/abs/2107.00630)."""
  level = lambda t: low + (high - low) * t
  return Schedule(lambda t: (jnp.sqrt(jax.nn.sigmoid(-2 * level(t))), jnp.sqrt(jax.nn.sigmoid(2 * level(t)))), lambda v: (v - low) / (high - low))


SCHEDULES = {
    'linear': _linear(), 'cosine': _cosine(), 'edm': _edm(), 'rectified': _rectified(),
    # The rectified path, trained more in its middle (Esser et al. 2024, https://arxiv.org/abs/2403.03206, eq. 19).
    'logit_normal': _rectified()._replace(draw=lambda u: jax.nn.sigmoid(ndtri(u)), told=RARE),
    'learned': even(*LEARNED),   # as it starts
}


# What a network predicts: a x + b e, for (alpha, sigma, the data's standard deviation) -> (a, b).

def _edm_target(alpha, sigma, deviation):
  """(x - c_skip x_t) / c_out of Karras et al. 2022, with sigma / alpha for their sigma."""
  norm = jnp.sqrt(sigma**2 + (alpha * deviation)**2)
  return sigma / (deviation * norm), -alpha * deviation / norm


OBJECTIVES = {
    'noise': lambda alpha, sigma, deviation: (0., 1.),
    'data': lambda alpha, sigma, deviation: (1., 0.),
    'velocity': lambda alpha, sigma, deviation: (-sigma, alpha),   # Salimans and Ho 2022, https://arxiv.org/abs/2202.00512
    'edm': _edm_target,
    'flow': lambda alpha, sigma, deviation: (-1., 1.),             # Lipman et al. 2023, https://arxiv.org/abs/2210.02747
}


def solve(x, prediction, alpha, sigma, a, b):
  """The x and e of x_t = alpha x + sigma e and prediction = a x + b e."""
  determinant = alpha * b - sigma * a
  return (b * x - sigma * prediction) / determinant, (alpha * prediction - a * x) / determinant


# Weights of |x - its prediction|^2, for (signal-to-noise ratio alpha^2 / sigma^2, its fall per u of Schedule.draw, the data's standard deviation).
# 'uniform' weighs the error of what the network predicts, whatever that is.
WEIGHTS = {
    'uniform': None,
    'edm': lambda snr, fall, deviation: snr + 1 / deviation**2,    # Karras et al. 2022, table 1
    'min_snr': lambda snr, fall, deviation: jnp.minimum(snr, 5.),  # Hang et al. 2023, https://arxiv.org/abs/2303.09556
    # Of log p(x): Kingma et al. 2021, https://arxiv.org/abs/2107.00630, eq. 17. Under draws that thin out at the ends of a path it is of few, large
    # terms, and of the levels that they never reach there is none.
    'bound': lambda snr, fall, deviation: .5 * fall,
}
