"""The family's own per-example scores (bounds on the log-likelihood, accuracies, the discriminator's verdict), on held-out, training and generated
examples.

What a model knows by heart is the difference of the first two; what a discriminator tells from real, that of the last two.
"""
import jax
import numpy as np

from gen_jax import core, data, evals
from gen_jax import run as runs

NEEDS = ('x',)
WITHOUT_SAMPLES = True   # of real examples all the same
OF_ANSWERS = True


def make(run, split):
  if run.family.score is None:
    raise core.InputError(f'the family {run.config.family.name} has no score: leave score out of config.evals')
  call = runs.mapped(run, run.family.score)
  batches = {name: evals.real(run, name, NEEDS) for name in (split, 'train')}

  def evaluate(state, samples):
    found = {}
    # Translations are scored by how near they come to the truth, which they themselves are not.
    for name, draw in {**batches, **({'samples': samples} if samples and not run.spec.paired else {})}.items():
      batch = data.normalise({'x': draw.x, **({} if draw.condition is None else {'condition': draw.condition})})
      scores = call(state, core.fold(jax.random.key(0), 'score'), len(draw.x), batch)
      for key, values in scores.items():
        found[f'{key}/{name}'] = float(np.mean(values, dtype=np.float64)), float(np.std(values, dtype=np.float64) / len(values)**.5)
    return found
  return evaluate
