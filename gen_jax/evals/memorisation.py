"""Whether samples are copies: of the training set, or of one another.

Of samples that know nothing by heart half lie nearer to the training set than to a held-out set of its size (after Meehan et al. 2020,
https://arxiv.org/abs/2004.05675). Duplicates: the birthday paradox of Arora and Zhang 2017, https://arxiv.org/abs/1706.08224.
"""
import numpy as np

from gen_jax import core, evals
from gen_jax.evals.prdc import distances, radii

NEEDS = ('features',)


def nearest(a_NxF, b_MxF):
  """(index of the nearest b [N], its distance [N])."""
  found = [(d.argmin(1), d.min(1)) for _, d in distances(a_NxF, b_MxF)]
  return tuple(np.concatenate(part) for part in zip(*found))


def copied(samples_NxF, train_MxF, held_out_MxF) -> dict:
  """{'nearer_to_train': share of samples, one half without memory; 'distance_ratio': median of nearest held-out over nearest training distance}."""
  train, held_out = (nearest(samples_NxF, other)[1] for other in (train_MxF, held_out_MxF))
  share = float(((train < held_out) + .5 * (train == held_out)).mean())
  return {'nearer_to_train': share, 'distance_ratio': float(np.median(held_out / np.maximum(train, 1e-12)))}


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
  train = evals.real(run, 'train', NEEDS, len(held_out)).features

  def evaluate(state, samples):
    if len(samples.features) < 2:   # early in training few samples are molecules
      return dict.fromkeys(('nearer_to_train', 'distance_ratio', 'duplicates'), float('nan'))
    return {**copied(samples.features, train, held_out), 'duplicates': duplicates(samples.features, held_out)}
  return evaluate
