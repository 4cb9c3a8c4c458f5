"""The mean over a sequence's tokens, then over sequences; of the oracle's own, its entropy."""
import itertools

import jax
import numpy as np
import pytest

from gen_jax import config, core, data, evals, run
from gen_jax.data import oracle
from gen_jax.evals import oracle as nll


def made(name='oracle', **options):
  c = config.base(name, 'autoregressive', 'recurrent', model={})
  c.data.update(options)
  return run.Run(c, *[None] * 5)


def test_the_mean_over_tokens_is_taken_before_that_over_sequences():
  game = made(vocabulary=4, length=2, size=20_000)
  evaluate = nll.make(game, 'validation')
  every = np.array([(2, *rest) for rest in itertools.product(range(3, 7), repeat=2)])
  log_p = np.asarray(jax.jit(lambda x: oracle.log_prob(oracle.weights(game.config.data), x))(every))
  found = evaluate(None, evals.Draw(None, x=np.concatenate([every, [[2, 3, 2], [2, 2, 0]]])))
  np.testing.assert_allclose(found['nll'][0], -log_p.mean() / 2, rtol=1e-5)
  assert abs(found['impossible'] - 2 / 18) < 1e-9
  mean, error = found['entropy']
  assert abs(mean - -(np.exp(log_p) * log_p).sum() / 2) < 5 * error < .1
  x = data.make(game.config, 'validation').arrays['x']
  np.testing.assert_allclose(evaluate(None, evals.Draw(None, x=x))['nll'], found['entropy'])
  assert np.isnan(evaluate(None, evals.Draw(None, x=np.array([[2, 2, 0]])))['nll']).all()


def test_it_is_of_the_oracles_data():
  with pytest.raises(core.InputError, match='whose probabilities are known, not of text'):
    nll.make(made('text'), 'validation')
