import numpy as np

from gen_jax.evals import sliced_wasserstein
from gen_jax.evals.sliced_wasserstein import DIRECTIONS, sliced


def normal(seed, n=400, size=6):
  return np.random.default_rng(seed).standard_normal((n, size)).astype(np.float32)


def test_a_shift():
  """By c in every coordinate: a line along w moves by c sum(w), whose mean square over all lines is c^2."""
  ways = np.random.default_rng(0).standard_normal((6, DIRECTIONS)).astype(np.float32)
  sums = (ways / np.linalg.norm(ways, axis=0)).sum(0)
  for c in (.5, -2.):
    found = sliced(normal(0), normal(0) + np.float32(c))
    np.testing.assert_allclose(found, abs(c) * (sums**2).mean()**.5, rtol=1e-4)
    np.testing.assert_allclose(found, abs(c), rtol=3 * (2 / DIRECTIONS)**.5)   # w_i^2 has a heavier tail than that


def test_a_distance():
  a, b = normal(0), 2 * normal(1) + 1
  assert sliced(a, a) == 0 and sliced(a, b) > 0
  np.testing.assert_allclose(sliced(a, b), sliced(b, a), rtol=1e-6)
  np.testing.assert_allclose(sliced(a[::-1], b), sliced(a, b), rtol=1e-6)
  assert sliced(a, np.concatenate([a, b])) == 0   # as many of each


def test_on_a_line_it_is_that_of_quantiles():
  """Between N(0, 1) and N(1, 2^2): sqrt(1 + 1)."""
  a, b = normal(0, 20_000, 1), 2 * normal(1, 20_000, 1) + 1
  np.testing.assert_allclose(sliced(a, b), 2**.5, rtol=.03)
  np.testing.assert_allclose(sliced(a, b), np.sqrt(np.mean((np.sort(a, axis=0) - np.sort(b, axis=0))**2)), rtol=1e-5)


def test_more_lines_are_other_lines():
  a, b = normal(0), normal(1)
  assert len({sliced(a, b, directions, seed) for directions in (8, sliced_wasserstein.DIRECTIONS) for seed in (0, 1)}) == 4
