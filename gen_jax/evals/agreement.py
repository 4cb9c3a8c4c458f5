"""How many samples the extractor takes for the class that was asked for, and how many real examples for what they are."""
from gen_jax import core, evals

NEEDS = ('logits',)


def accuracy(draw: evals.Draw):
  right = draw.logits.argmax(-1) == draw.condition
  return float(right.mean()), float(right.std() / len(right)**.5)


def make(run, split):
  """Raises InputError for an extractor that names no classes or others, and for a family that is not asked for classes."""
  if not evals.conditional(run):
    raise core.InputError('agreement is for families that are asked for a class: this one draws without')
  ruler = evals.extractor(run)
  if ruler.classes != run.spec.classes:
    raise core.InputError(f'agreement needs a classifier of {run.spec.classes} classes, {ruler.name} has {ruler.classes}: train '
                          'configs/<data>_classifier.py and give --config.frozen.extractor=WORKDIR')
  real = evals.real(run, split, NEEDS)
  return lambda state, samples: {'samples': accuracy(samples), split: accuracy(real)}
