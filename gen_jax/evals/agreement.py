"""How many samples a classifier takes for the class that was asked for. The classifier is a run of its own, in config.frozen.ruler."""
import jax
import numpy as np

from gen_jax import checkpoint, core
from gen_jax import run as runs


def make(run, split):
  """Raises InputError without a ruler, for one of other images or classes, and for a family that is not asked for classes."""
  if not run.config.frozen.ruler:
    raise core.InputError('agreement needs a classifier: train configs/<data>_classifier.py and give --config.frozen.ruler=WORKDIR')
  if run.family.sample is None or not run.spec.classes:
    raise core.InputError('agreement is for families that sample a class')
  ruler, ruler_state = runs.load(run.config.frozen.ruler)
  if ruler.config.family.name != 'classifier' or (ruler.spec.shape, ruler.spec.classes) != (run.spec.shape, run.spec.classes):
    raise core.InputError(f'{run.config.frozen.ruler} is a {ruler.config.family.name} of {ruler.spec}; the samples are {run.spec}')
  judge = runs.mapped(ruler, ruler.family.score)
  name = checkpoint.state_sha256(ruler_state)[:8]   # a score is only comparable under the same ruler

  def accuracy(x, condition):
    key = jax.random.key(0)
    return float(np.mean(judge(ruler_state, key, len(x), {'x': x, 'condition': condition})['accuracy']))
  real = runs.held_out(run, split, run.config.eval_examples)

  def evaluate(state, samples):
    return {f'samples_{name}': accuracy(**samples), f'{split}_{name}': accuracy(**real)}
  return evaluate
