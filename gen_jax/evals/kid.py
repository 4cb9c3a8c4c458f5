"""The kernel distance: squared MMD with the cubic kernel (x . y / F + 1)^3 (Binkowski et al. 2018, https://arxiv.org/abs/1801.01401, sec. 4)."""
import numpy as np

from gen_jax import core, evals

NEEDS = ('features',)
SUBSETS, SIZE = 100, 1000


def mmd2(x_NxF, y_NxF) -> float:
  """The unbiased estimate, in float64; may be negative. N examples of each."""
  n, size = x_NxF.shape
  kernel = lambda a, b: (a @ b.T / size + 1)**3
  off_diagonal = lambda k: (k.sum() - np.trace(k)) / (n * (n - 1))
  x, y = np.asarray(x_NxF, np.float64), np.asarray(y_NxF, np.float64)
  return float(off_diagonal(kernel(x, x)) + off_diagonal(kernel(y, y)) - 2 * kernel(x, y).mean())


def kid(samples_NxF, real_MxF, subsets=SUBSETS, size=SIZE, seed=2020) -> np.ndarray:
  """mmd2 of random subsets, [subsets]; they are drawn as torch-fidelity draws them."""
  rng = np.random.RandomState(seed)
  return np.array([mmd2(samples_NxF[rng.choice(len(samples_NxF), size, replace=False)],
                        real_MxF[rng.choice(len(real_MxF), size, replace=False)]) for _ in range(subsets)])


def make(run, split):
  real = evals.real(run, split, NEEDS).features
  size = min(SIZE, len(real) // 2, run.config.eval_examples // 2)   # all of them would be one subset, and no error
  if size < 2:
    raise core.InputError('kid needs at least four samples and examples: more config.eval_examples')

  def evaluate(state, samples):
    if len(samples.features) <= size:   # early in training few samples are molecules
      return {'kid': (float('nan'),) * 2}
    found = kid(samples.features, real, size=size)
    # The subsets overlap: the delete-d jackknife's factor (Shao and Wu 1989) makes of their spread the error of all N.
    n = min(len(real), len(samples.features))
    return {'kid': (float(found.mean()), float(found.std(ddof=1) * (size / (n - size))**.5))}
  return evaluate
