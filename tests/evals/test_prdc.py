import json
import pathlib

import numpy as np
from evals import inputs

from gen_jax.evals import prdc

RECORDED = json.loads((pathlib.Path(__file__).parent / 'references.json').read_text())['prdc']


def normal(*seed, n=500, size=8):
  return np.random.default_rng(seed).standard_normal((n, size))


def test_equals_the_reference():
  found = prdc.prdc(*inputs.neighbours(), RECORDED['nearest'])
  assert found.keys() | {'nearest'} == RECORDED.keys()
  for name, value in found.items():
    np.testing.assert_allclose(value, RECORDED[name], rtol=1e-12, err_msg=name)


def test_the_same_set_twice():
  """A ball that ends at the fifth neighbour has its centre and four others strictly inside. Integers, for rounding would let in the fifth."""
  x = np.random.default_rng(0).integers(-10**6, 10**6, (300, 4))
  assert prdc.prdc(x, x) == {'precision': 1., 'recall': 1., 'density': 1., 'coverage': 1.}
  assert prdc.prdc(x, x + 10**8) == {'precision': 0., 'recall': 0., 'density': 0., 'coverage': 0.}


def test_two_draws_of_one_distribution():
  """Density 1 and coverage 1 - C(N - 1, k) / C(2N - 1, k), whatever the distribution (Naeem et al. 2020, sec. 3.3)."""
  found = [prdc.prdc(normal(i, 0), normal(i, 1)) for i in range(8)]
  mean = {name: np.mean([f[name] for f in found]) for name in found[0]}
  n, missed = 500, np.arange(5)
  np.testing.assert_allclose(mean['density'], 1, atol=.03)
  np.testing.assert_allclose(mean['coverage'], 1 - np.prod((n - 1 - missed) / (2 * n - 1 - missed)), atol=.01)
  np.testing.assert_allclose(mean['precision'], mean['recall'], atol=.03)


def test_a_lost_mode_lowers_recall_and_coverage_alone():
  x, y = (np.concatenate([normal(0, i, n=250), normal(1, i, n=250) + 100]) for i in range(2))
  whole, half = prdc.prdc(x, y), prdc.prdc(x, np.concatenate([y[:250], normal(2, n=250)]))
  assert abs(half['precision'] - whole['precision']) < .05
  for name in ('recall', 'coverage'):
    assert half[name] < .55 < .8 < whole[name], name


def test_any_number_of_rows_at_once(monkeypatch):
  x, y = inputs.neighbours()
  for rows in (1, 7, 300):
    monkeypatch.setattr(prdc, 'AT_ONCE', rows * len(y))
    np.testing.assert_allclose(np.concatenate([d for _, d in prdc.distances(x, y)]), np.linalg.norm(x[:, None] - y, axis=-1), rtol=1e-6)
