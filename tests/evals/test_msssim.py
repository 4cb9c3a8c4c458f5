import numpy as np
import pytest

from gen_jax import core
from gen_jax.evals import msssim


def test_pairs_are_of_two_examples_of_one_class():
  condition = np.array([0, 1, 1, 2, 2, 2, 3] + [4] * 20)
  i, j = msssim.pairs(condition, 300)
  assert (i != j).all() and (condition[i] == condition[j]).all()
  counts = dict(zip(*np.unique(condition[i], return_counts=True)))
  assert counts == {1: 100, 2: 100, 4: 100}   # all classes that have two, as often
  assert {1, 2} == {*i[condition[i] == 1], *j[condition[j] == 1]} and len({*i, *j}) > 20
  np.testing.assert_array_equal(msssim.pairs(condition, 300), (i, j))


def test_without_two_of_a_class():
  with pytest.raises(core.InputError, match='two examples of a class'):
    msssim.pairs(np.arange(5))
