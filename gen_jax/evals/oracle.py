"""How likely samples are under the random LSTM that made the data (data.oracle), NLL-oracle: Yu et al. 2017, https://arxiv.org/abs/1609.05473, eq. 9.

In nats a token, the mean over the tokens of a sequence and over sequences, as published: log 5000 = 8.52 is what a token costs where all are
as likely, so that the 9 or so of maximum likelihood can't be the sum over 20. Beside it the oracle's own, its entropy: what lies below it is
likelier than the oracle's samples, as of any model at a low temperature, and no better for that. NLL-gen is `score`'s `nats_per_token` on
held-out data.
"""
import jax
import numpy as np

from gen_jax import core, data
from gen_jax.data import oracle

NEEDS = ('x',)


def make(run, split):
  o = run.config.data
  if o.name != 'oracle':
    raise core.InputError(f'oracle is of the data set oracle, whose probabilities are known, not of {o.name}: leave it out of config.evals')
  call = jax.jit(lambda x_BxL: oracle.log_prob(oracle.weights(o), x_BxL))

  def nats(x_NxL):
    """A token, [N]."""
    n = len(x_NxL)
    filled = np.resize(x_NxL, (-(-n // oracle.AT_ONCE) * oracle.AT_ONCE, x_NxL.shape[1]))
    return -np.concatenate([call(part) for part in np.split(filled, len(filled) // oracle.AT_ONCE)])[:n].astype(np.float64) / o.length
  real = nats(data.make(run.config, split).arrays['x'])

  def evaluate(state, samples):
    """'impossible' is the part of the samples that the oracle can't make, such as one that ends early: those are left out of 'nll'."""
    found = nats(samples.x)
    possible = np.isfinite(found)
    return {'nll': mean(found[possible]), 'entropy': mean(real), 'impossible': float(1 - possible.mean())}
  return evaluate


def mean(x_N):
  """(The mean, its standard error); not numbers where there are none."""
  return (float(x_N.mean()), float(x_N.std() / len(x_N)**.5)) if len(x_N) else (float('nan'),) * 2
