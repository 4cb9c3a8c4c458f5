"""The Wasserstein-2 distance of projections onto a line, root mean square over random lines (Rabin et al. 2011): pixels, no extractor."""
import numpy as np

from gen_jax import core, data, evals

NEEDS = ('x',)
DIRECTIONS = 256


def sliced(a_NxD, b_NxD, directions=DIRECTIONS, seed=0) -> float:
  """In the units of x; of as many examples of each as the smaller set has."""
  n, size = min(len(a_NxD), len(b_NxD)), a_NxD.shape[-1]
  ways = np.random.default_rng(seed).standard_normal((size, directions)).astype(np.float32)
  ways /= np.linalg.norm(ways, axis=0)
  a, b = (np.sort(x[:n] @ ways, axis=0) for x in (a_NxD, b_NxD))
  return float(np.sqrt(np.mean((a - b)**2, dtype=np.float64)))


def make(run, split):
  """Raises InputError for tokens, whose numbers are no scale."""
  if run.spec.tokenizer:
    raise core.InputError(f'sliced_wasserstein is of pixels and points, and {run.config.data.name} is of tokens: leave it out of config.evals')
  flat = lambda draw: data.normalise({'x': draw.x})['x'].reshape(len(draw.x), -1)
  real = flat(evals.real(run, split, NEEDS))
  return lambda state, samples: {'sliced_wasserstein': sliced(flat(samples), real)}
