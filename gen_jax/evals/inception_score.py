"""exp E KL(p(class | x) || p(class)), by the extractor's classes (Salimans et al. 2016, https://arxiv.org/abs/1606.03498, sec. 4)."""
import numpy as np
from scipy.special import log_softmax, logsumexp

from gen_jax import core, evals

NEEDS = ('logits',)
SPLITS = 10


def score(logits_NxC, splits=SPLITS) -> np.ndarray:
  """[splits], each of consecutive examples; 1 to C."""
  log_p = log_softmax(np.asarray(logits_NxC, np.float64), axis=-1)
  n, found = len(log_p), []
  for i in range(splits):
    part = log_p[i * n // splits:(i + 1) * n // splits]
    marginal = logsumexp(part, axis=0) - np.log(len(part))
    found.append(np.exp((np.exp(part) * (part - marginal)).sum(-1).mean()))
  return np.array(found)


def make(run, split):
  ruler = evals.extractor(run)
  if not ruler.classes:
    raise core.InputError(f'inception_score needs an extractor with classes, {ruler.name} has none')
  if run.config.eval_examples < SPLITS:
    raise core.InputError(f'inception_score needs a sample for each of {SPLITS} splits: more config.eval_examples')

  def evaluate(state, samples):
    # Samples come a class after another; the splits must not.
    found = score(samples.logits[np.random.default_rng(0).permutation(len(samples.logits))])
    return {'inception_score': (float(found.mean()), float(found.std(ddof=1) / len(found)**.5))}
  return evaluate
