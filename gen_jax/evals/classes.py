"""How many classes the samples cover by the extractor's verdict, and how far their shares are from those of real examples."""
import numpy as np

from gen_jax import core, evals

NEEDS = ('logits',)


def covered(logits_NxC, real_NxC) -> dict:
  """{'covered': classes with at least one sample, 'kl': of the samples' shares from the real ones, in nats; inf where those miss a class}."""
  shares = [np.bincount(logits.argmax(-1), minlength=logits.shape[-1]) / len(logits) for logits in (logits_NxC, real_NxC)]
  seen = shares[0] > 0
  with np.errstate(divide='ignore'):
    return {'covered': int(seen.sum()), 'kl': float((shares[0][seen] * np.log(shares[0][seen] / shares[1][seen])).sum())}


def make(run, split):
  ruler = evals.extractor(run)
  if not ruler.classes:
    raise core.InputError(f'classes needs an extractor with classes, {ruler.name} has none')
  real = evals.real(run, split, NEEDS).logits
  return lambda state, samples: covered(samples.logits, real)
