"""Whether samples are copies: of the training set, or of one another.

Whether samples lie nearer to the training set than held-out examples do (Meehan et al. 2020, https://arxiv.org/abs/2004.05675: their C_T is the
z-score of 1 - `nearer_to_train`, within one cell). Duplicates: the birthday paradox of Arora and Zhang 2017, https://arxiv.org/abs/1706.08224.
"""
import numpy as np

from gen_jax import core, evals
from gen_jax.evals.prdc import distances, radii

NEEDS = ('features',)
MOST = 60_000   # training examples that are looked at; copies of others go unseen


def nearest(a_NxF, b_MxF):
  """(index of the nearest b [N], its distance [N])."""
  found = [(d.argmin(1), d.min(1)) for _, d in distances(a_NxF, b_MxF)]
  return tuple(np.concatenate(part) for part in zip(*found))


def copied(samples_NxF, train_MxF, held_out_KxF) -> dict:
  """Of the distances to the nearest training example, of samples and of held-out examples:

  'nearer_to_train': probability that a sample's is the smaller, one half of fresh draws of the data (less where samples lie off it, more where they
  crowd in its middle); 'copies': share of samples as near as one held-out example in a hundred, .01 of fresh draws, more where some are known by
  heart, or crowd; 'distance_ratio': the medians', held-out over samples.
  """
  sample_N, held_out_K = (nearest(x, train_MxF)[1] for x in (samples_NxF, held_out_KxF))
  below, up_to = (np.searchsorted(np.sort(sample_N), held_out_K, side) for side in ('left', 'right'))
  return {'nearer_to_train': float((below + up_to).mean() / (2 * len(sample_N))), 'copies': float((sample_N <= np.quantile(held_out_K, .01)).mean()),
          'distance_ratio': float(np.median(held_out_K) / max(np.median(sample_N), 1e-12))}


def duplicates(samples_NxF, real_NxF) -> float:
  """Share of samples that have another as near as only one real example in a hundred has; .01 where samples are as various."""
  n = min(len(samples_NxF), len(real_NxF))
  near = np.quantile(radii(real_NxF[:n], 1), .01)
  return float((radii(samples_NxF[:n], 1) <= near).mean())


def make(run, split):
  """Raises InputError for the training split, which is not held out, and for a single example."""
  if split == 'train':
    raise core.InputError('memorisation compares the training split with a held-out one: --split=test or validation')
  held_out = evals.real(run, split, NEEDS).features
  if len(held_out) < 2:
    raise core.InputError('memorisation needs more than one sample and example: more config.eval_examples')
  train = evals.real(run, 'train', NEEDS, MOST).features

  def evaluate(state, samples):
    if len(samples.features) < 2:   # early in training few samples are molecules
      return dict.fromkeys(('nearer_to_train', 'copies', 'distance_ratio', 'duplicates'), float('nan'))
    return {**copied(samples.features, train, held_out), 'duplicates': duplicates(samples.features, held_out)}
  return evaluate
