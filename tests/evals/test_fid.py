"""Against torch-fidelity and scipy, and what a distance between Gaussians has."""
import json
import pathlib

import numpy as np
import pytest
from evals import inputs

from gen_jax import core, evals
from gen_jax.evals import fid

RECORDED = json.loads((pathlib.Path(__file__).parent / 'references.json').read_text())['fid']


def moments(x):
  return evals.no_moments(x.shape[1]).with_more(x)


def orthogonal(rng, size):
  return np.linalg.qr(rng.standard_normal((size, size)))[0]


@pytest.mark.parametrize('name', inputs.FEATURES)
def test_equals_the_references(name):
  found = fid.between(*map(moments, inputs.features(name)))
  for reference, value in RECORDED[name].items():
    np.testing.assert_allclose(found, value, rtol=1e-6, err_msg=reference)


@pytest.mark.parametrize('n, tolerance', [(400, 1e-9), (40, 1e-6)])
def test_a_set_is_at_no_distance_from_itself(n, tolerance):
  """With fewer examples than features, to the root of the rounding."""
  m = moments(inputs.features('d64')[0][:n])
  assert abs(fid.between(m, m)) <= tolerance * np.trace(m.covariance)


def test_covariances_that_commute():
  """|m|^2 + sum (sqrt a - sqrt b)^2, a and b the eigenvalues along the same axes; one of them may be 0."""
  rng = np.random.default_rng(0)
  axes, mean, a, b = orthogonal(rng, 12), rng.standard_normal(12), rng.uniform(0, 3, 12), rng.uniform(0, 3, 12)
  a[0] = b[1] = 0
  found = fid.frechet(np.zeros(12), axes @ np.diag(a) @ axes.T, mean, axes @ np.diag(b) @ axes.T)
  np.testing.assert_allclose(found, mean @ mean + ((a**.5 - b**.5)**2).sum(), rtol=1e-6)


def test_symmetric_and_the_same_after_a_rotation():
  x, y = inputs.features('d16')
  rotation, shift = orthogonal(np.random.default_rng(0), 16), np.arange(16.)
  found = fid.between(moments(x), moments(y))
  np.testing.assert_allclose(fid.between(moments(y), moments(x)), found, rtol=1e-10)
  np.testing.assert_allclose(fid.between(moments(x @ rotation + shift), moments(y @ rotation + shift)), found, rtol=1e-10)


def test_grows_with_noise():
  x, _ = inputs.features('d64')
  noise = np.random.default_rng(0).standard_normal(x.shape)
  found = [fid.between(moments(x + scale * noise), moments(x)) for scale in (0, .1, .3, 1, 3)]
  assert all(a < b for a, b in zip(found, found[1:])), found


@pytest.mark.parametrize('bad', [-1e-3, np.nan, np.inf])
@pytest.mark.parametrize('good', [1., 0.])
def test_what_is_no_covariance_has_no_distance(bad, good):
  """On either side, and whether or not the other side hides it."""
  fine, broken = good * np.eye(4), np.diag([1., 1., 1., bad])
  for pair in ((fine, broken), (broken, fine), (broken, broken)):
    with pytest.raises(core.RunError, match='the Frechet distance has no value: a covariance'):
      fid.frechet(np.zeros(4), pair[0], np.zeros(4), pair[1])
  if bad != -1e-3:
    for means in ((np.full(4, bad), np.zeros(4)), (np.zeros(4), np.full(4, bad))):
      with pytest.raises(core.RunError, match='a mean is not finite'):
        fid.frechet(means[0], np.eye(4), means[1], np.eye(4))


@pytest.mark.parametrize('cuts', [[], [1], [1, 2, 3], [499], [250], list(range(7, 500, 7))], ids=lambda cuts: f'{len(cuts) + 1}')
def test_moments_are_the_same_for_any_chunks(cuts):
  x = inputs.features('d16')[0] + 100.
  m = evals.no_moments(16)
  for part in np.split(x, cuts):
    m = m.with_more(part)
  covariance = np.cov(x, rowvar=False)
  assert m.count == 500
  np.testing.assert_allclose(m.mean, x.mean(0), rtol=1e-12)
  np.testing.assert_allclose(m.covariance, covariance, rtol=0, atol=1e-12 * np.abs(covariance).max())
