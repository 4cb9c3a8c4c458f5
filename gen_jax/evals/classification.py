"""scikit-learn's classification report on held-out examples: precision, recall and F1 of each class, their plain and weighted means, and accuracy."""
import numpy as np

from gen_jax import core, data, evals
from gen_jax import run as runs

NEEDS = ('x',)
WITHOUT_SAMPLES = True   # of real examples alone


def make(run, split):
  """Raises InputError for a family that does not classify."""
  if run.family.classify is None:
    raise core.InputError(f'classification is of classifiers, and the family {run.config.family.name} is none: leave it out of config.evals')
  real = evals.real(run, split, NEEDS)
  call = runs.mapped(run, lambda state, arrays, keys: run.family.classify(state, data.normalise(arrays)['x']))

  def evaluate(state, samples):
    from sklearn import metrics
    said = call(state, run.key, len(real.x), {'x': real.x}).argmax(-1)
    report = metrics.classification_report(real.condition, said, labels=np.arange(run.spec.classes), output_dict=True, zero_division=0.)
    # Named here: scikit-learn's own entries, and ours, would take the place of a class of the same name.
    names = {str(i): name for i, name in enumerate(run.spec.names) if name not in ('accuracy', 'macro', 'weighted')}
    found = {f'{names.get(name, name.replace(" avg", ""))}/{what}': value for name, entry in report.items() if isinstance(entry, dict)
             for what, value in entry.items() if what != 'support'}
    right = said == real.condition
    return {**found, 'accuracy': (float(right.mean()), float(right.std() / len(right)**.5))}
  return evaluate
