import numpy as np

from gen_jax import evals
from gen_jax.evals import fid, fid_infinity

N, D, SEEDS = 600, 24, 12


def gaussians():
  """(a draw of N by seed, moments of the real Gaussian itself, the distance between the two Gaussians)."""
  rng = np.random.default_rng(0)
  mean, real = .05 * rng.standard_normal(D), rng.standard_normal((D, D)) / D**.5
  spread, count = 1.1 * real, 10**9
  moments = evals.Moments(count, np.zeros(D), real.T @ real * (count - 1))
  draw = lambda seed: np.random.default_rng([1, seed]).standard_normal((N, D)) @ spread + mean
  return draw, moments, fid.frechet(mean, spread.T @ spread, moments.mean, moments.covariance)


def test_the_bias_is_positive_falls_and_is_taken_away():
  draw, real, true = gaussians()
  curves = [fid_infinity.curve(draw(seed), real) for seed in range(SEEDS)]
  sizes, fids = curves[0][0], np.mean([c[1] for c in curves], axis=0)
  assert sizes[0] == N // 10 and sizes[-1] == N and len(sizes) == fid_infinity.POINTS
  bias = fids - true
  assert bias[0] > bias[4] > bias[-1] > 0
  np.testing.assert_allclose(bias[0] / bias[4], sizes[4] / sizes[0], rtol=.3)   # as 1 / N
  extrapolated = np.array([fid_infinity.extrapolated(*c) for c in curves])
  assert np.abs(extrapolated - true).mean() < np.abs([c[1][-1] - true for c in curves]).mean()
  assert abs(extrapolated.mean() - true) < .3 * bias[-1]


def test_a_line_is_found_exactly():
  sizes = np.linspace(100, 1000, fid_infinity.POINTS).astype(int)
  np.testing.assert_allclose(fid_infinity.extrapolated(sizes, 3 + 70 / sizes), 3, atol=1e-9)


def test_the_whole_draw_ends_the_curve():
  draw, real, _ = gaussians()
  x = draw(0)
  np.testing.assert_allclose(fid_infinity.curve(x, real)[1][-1], fid.between(evals.no_moments(D).with_more(x), real), rtol=1e-9)
