import math

import numpy as np

from gen_jax.data import gaussians
from gen_jax.evals import modes


def draw(means, n=10_000):
  noise = np.random.default_rng(0).standard_normal((n, 2))
  return (means[np.arange(n) % len(means)] + gaussians.STD * noise).astype(np.float32)


def test_perfect_samples():
  """Within three standard deviations in the plane: 1 - e^-4.5 of them (Rayleigh)."""
  found = modes.count(draw(gaussians.MEANS))
  assert found['covered'] == 25 and found['kl'] < 1e-3
  assert abs(found['high_quality'] - (1 - math.exp(-4.5))) < .003


def test_collapsed_samples():
  found = modes.count(draw(gaussians.MEANS[7:8]))
  assert found['covered'] == 1 and found['high_quality'] > .98
  np.testing.assert_allclose(found['kl'], math.log(25), rtol=1e-6)
  np.testing.assert_allclose(modes.count(draw(gaussians.MEANS[:5]))['kl'], math.log(5), atol=1e-3)


def test_samples_far_from_every_mode():
  for x in (draw(gaussians.MEANS + 10), draw((gaussians.MEANS[:1] + gaussians.MEANS[6:7]) / 2)):
    assert modes.count(x) == {'covered': 0, 'high_quality': 0., 'kl': math.inf}
