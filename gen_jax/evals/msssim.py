"""Mean MS-SSIM of pairs of samples of one class, beside that of real examples: higher is less various (Odena et al. 2017,
https://arxiv.org/abs/1610.09585, sec. 4.2). Of a family that is not asked for classes, of any pairs, real ones too."""
import jax
import numpy as np

from gen_jax import core, evals, image_similarity

NEEDS = ('x',)
PAIRS = 1000


def pairs(condition_N, count=PAIRS, seed=0):
  """Two index arrays [count] of different examples of one class."""
  rng = np.random.default_rng(seed)
  classes = [np.flatnonzero(condition_N == c) for c in np.unique(condition_N)]
  classes = [c for c in classes if len(c) > 1]
  if not classes:
    raise core.InputError('msssim needs two examples of a class: more config.eval_examples')
  drawn = [rng.choice(classes[i % len(classes)], 2, replace=False) for i in range(count)]
  return np.array(drawn).T


def make(run, split):
  if len(run.spec.shape) != 3:
    raise core.InputError(f'msssim is for images, not {run.spec.shape}')
  conditional = evals.conditional(run)
  if run.config.eval_examples <= (run.spec.classes if conditional else 1):
    raise core.InputError('msssim needs two samples of a class: more config.eval_examples')
  n = min(len(image_similarity.WEIGHTS), image_similarity.scales(run.spec.shape))
  weights = np.array(image_similarity.WEIGHTS[:n]) / sum(image_similarity.WEIGHTS[:n])
  similarity = jax.jit(lambda x, y: image_similarity.ms_ssim(x, y, tuple(weights)))

  def mean(draw):
    condition = draw.condition if conditional else np.zeros(len(draw.x))
    i, j = pairs(condition)
    found = np.concatenate([similarity(draw.x[i[k:k + 100]], draw.x[j[k:k + 100]]) for k in range(0, PAIRS, 100)])
    return float(found.mean()), float(found.std() / len(found)**.5)
  real = mean(evals.real(run, split, NEEDS))
  return lambda state, samples: {'samples': mean(samples), split: real}
