"""Precision, recall (Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991), density and coverage (Naeem et al. 2020,
https://arxiv.org/abs/2002.09797) of samples, from balls around examples that reach their fifth neighbour."""
import numpy as np

from gen_jax import core, evals

NEEDS = ('features',)
NEAREST = 5
AT_ONCE = 10**7   # distances in memory


def prdc(real_NxF, fake_MxF, nearest=NEAREST) -> dict:
  """{'precision', 'recall', 'density', 'coverage'}; all but density lie in [0, 1]."""
  real_radius_N, fake_radius_M = radii(real_NxF, nearest), radii(fake_MxF, nearest)
  precise, recalled, dense, covered = [], np.zeros(len(real_NxF), bool), 0, np.zeros(len(real_NxF), bool)
  for start, distance_bxN in distances(fake_MxF, real_NxF):
    inside = distance_bxN < real_radius_N
    precise.append(inside.any(1))
    dense += inside.sum()
    covered |= inside.any(0)
    recalled |= (distance_bxN < fake_radius_M[start:start + len(distance_bxN), None]).any(0)
  return {'precision': float(np.concatenate(precise).mean()), 'recall': float(recalled.mean()),
          'density': float(dense / (nearest * len(fake_MxF))), 'coverage': float(covered.mean())}


def distances(a_NxF, b_MxF):
  """Yields (i, Euclidean distances of a[i:i + rows] to all of b), in float64."""
  a, b = np.asarray(a_NxF, np.float64), np.asarray(b_MxF, np.float64)
  rows = max(1, AT_ONCE // len(b))
  for i in range(0, len(a), rows):
    part = a[i:i + rows]
    squared = (part**2).sum(1)[:, None] - 2 * part @ b.T + (b**2).sum(1)
    yield i, np.sqrt(np.maximum(squared, 0))


def radii(x_NxF, nearest) -> np.ndarray:
  """Of each example, the distance to its nearest-th neighbour among the others, [N]."""
  parts = []
  for i, distance in distances(x_NxF, x_NxF):
    distance[np.arange(len(distance)), i + np.arange(len(distance))] = 0   # itself, whatever the rounding
    parts.append(np.partition(distance, nearest, axis=1)[:, nearest])
  return np.concatenate(parts)


def make(run, split):
  real = evals.real(run, split, NEEDS).features
  if min(len(real), run.config.eval_examples) <= NEAREST:
    raise core.InputError(f'prdc needs more than {NEAREST} samples and examples: more config.eval_examples')

  def evaluate(state, samples):
    if len(samples.features) <= NEAREST:   # early in training few samples are molecules
      return dict.fromkeys(('precision', 'recall', 'density', 'coverage'), float('nan'))
    return prdc(real, samples.features)
  return evaluate
