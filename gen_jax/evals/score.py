"""The family's own per-example scores (bounds on the log-likelihood, accuracies, the discriminator's verdict), on held-out and training examples.

What a model knows by heart is the difference of the two.
"""
import jax
import numpy as np

from gen_jax import core
from gen_jax import run as runs


def make(run, split):
  if run.family.score is None:
    raise core.InputError(f'the family {run.config.family.name} has no score: leave score out of config.evals')
  call = runs.mapped(run, run.family.score)
  batches = {name: runs.held_out(run, name, run.config.eval_examples) for name in (split, 'train')}

  def evaluate(state, samples):
    found = {}
    for name, batch in batches.items():
      scores = call(state, core.fold(jax.random.key(0), 'score'), len(batch['x']), batch)
      for key, values in scores.items():
        found[f'{key}/{name}'] = float(np.mean(values, dtype=np.float64))
        found[f'{key}/{name}_stderr'] = float(np.std(values, dtype=np.float64) / len(values)**.5)
    return found
  return evaluate
