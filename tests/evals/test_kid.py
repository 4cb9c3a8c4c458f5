import functools
import json
import pathlib
import types

import numpy as np
import pytest
from evals import inputs

from gen_jax import evals
from gen_jax.evals import kid

RECORDED = json.loads((pathlib.Path(__file__).parent / 'references.json').read_text())['kid']


@pytest.mark.parametrize('name', inputs.FEATURES)
def test_equals_the_references(name):
  x, y = inputs.features(name)
  recorded, options = RECORDED[name], RECORDED['options']
  found = kid.kid(x, y, options['kid_subsets'], options['kid_subset_size'], options['rng_seed'])
  np.testing.assert_allclose([found.mean(), found.std()], [recorded['mean'], recorded['std']], rtol=1e-6)
  n = recorded['block_size']
  np.testing.assert_allclose(kid.mmd2(x[:n], y[:n]), recorded['block_scipy'], rtol=1e-6)


@pytest.mark.parametrize('moved', [0., .5])
def test_unbiased(moved):
  """x is one of four corners, y a corner moved, each as likely: the true distance is a sum over pairs. Small draws have it in the mean."""
  corners = np.array([[1., 1.], [1., -1.], [-1., 1.], [-1., -1.]])
  kernel = lambda a, b: ((a @ b.T / 2 + 1)**3).mean()
  a, b = corners, corners + moved
  true = kernel(a, a) + kernel(b, b) - 2 * kernel(a, b)
  rng = np.random.default_rng(0)
  found = np.array([kid.mmd2(a[rng.integers(0, 4, 5)], b[rng.integers(0, 4, 5)]) for _ in range(4000)])
  assert (true == 0) == (moved == 0)
  assert abs(found.mean() - true) < 3 * found.std() / len(found)**.5
  assert found.min() < 0   # as what is unbiased at 0 must be


def test_the_error_is_that_of_another_draw(monkeypatch):
  """What `make` reports after one draw against the deviation of the value over many, for samples that are not the data (at 0 it is too large)."""
  n, draws = 200, 60
  normal = lambda *seed: np.random.default_rng(seed).standard_normal((n, 6))
  monkeypatch.setattr(kid, 'kid', functools.partial(kid.kid, subsets=50))
  found = []
  for i in range(draws):   # both sets are drawn anew
    monkeypatch.setattr(kid.evals, 'real', lambda run, split, needs, i=i: evals.Draw(None, features=normal(1, i)))
    evaluate = kid.make(types.SimpleNamespace(config=types.SimpleNamespace(eval_examples=n)), 'test')
    found.append(evaluate(None, evals.Draw(None, features=normal(2, i) + .7))['kid'])
  values, errors = np.array(found).T
  assert .75 < errors.mean() / values.std() < 1.35
