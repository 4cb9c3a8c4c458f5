"""Probabilities that sum to one and are those of the examples, of an oracle small enough to list all that it can make."""
import itertools

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from gen_jax import core
from gen_jax.data import oracle
from gen_jax.modalities import text


def test_its_probabilities_sum_to_one_and_are_those_of_its_examples(make):
  source = make('oracle', vocabulary=3, length=3, size=4000)
  x, tokenizer = source.arrays['x'], source.spec.tokenizer
  assert source.spec.shape == (4,) and x.shape == (4000, 4) and x.dtype == np.uint16 and text.size(tokenizer) == 6
  every = np.array([(text.END, *rest) for rest in itertools.product(range(3, 6), repeat=3)])
  impossible = [[text.END, 3, 4, text.END], [text.END, 3, text.END, text.NOTHING], [text.END, 3, text.UNKNOWN, 3], [3, 3, 4, 5]]
  log_p = jax.jit(lambda x: oracle.log_prob(oracle.weights(ConfigDict({'oracle': 0, 'vocabulary': 3})), x))(np.concatenate([every, impossible]))
  p = np.exp(log_p[:27])
  np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)
  assert p.max() > 2 * p.min() and (log_p[27:] == -np.inf).all()
  found = np.array([(x == one).all(1).mean() for one in every])
  assert (np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / 4000)).all()
  said = text.texts(x[:2], tokenizer)
  assert all(set(one.split()) <= set('012') and len(one.split()) == 3 for one in said)
  np.testing.assert_array_equal(text.tokens(said[0], tokenizer), x[0, 1:])


def test_splits_differ_and_a_smaller_set_is_its_beginning(make):
  options = dict(vocabulary=50, length=8)
  train, test, few = make('oracle', size=100, **options), make('oracle', 'test', size=100, **options), make('oracle', size=10, **options)
  assert (train.size, test.size, few.size) == (100, 20, 10)
  np.testing.assert_array_equal(few.arrays['x'], train.arrays['x'][:10])
  assert (train.arrays['x'][:20] != test.arrays['x']).any(1).all()
  assert (make('oracle', size=10, oracle=1, **options).arrays['x'] != few.arrays['x']).any(1).all()


@pytest.mark.parametrize('options', [dict(vocabulary=0), dict(vocabulary=2**16), dict(length=0), dict(size=0)], ids=str)
def test_sizes_that_can_not_be_are_refused(make, options):
  with pytest.raises(core.InputError, match='must be in'):
    make('oracle', **options)
