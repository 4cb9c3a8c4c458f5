"""FID's bias in the number of samples, and its value without it (Chong and Forsyth 2020, https://arxiv.org/abs/1911.07023).

FID of N samples is nearly linear in 1 / N: the line through fifteen N, at 1 / N = 0. The number of real examples stays as it is.
"""
import numpy as np

from gen_jax import core, evals
from gen_jax.evals import fid

NEEDS = ('features',)
POINTS = 15


def curve(features_NxF, real: evals.Moments, seed=0):
  """([POINTS] numbers of samples, from a tenth of N (more than F where N allows) to N; [POINTS] FIDs, each of a random subset)."""
  n, size = features_NxF.shape
  sizes = np.linspace(min(max(n // 10, size + 1), n // 2), n, POINTS).astype(int)
  rng = np.random.default_rng(seed)
  subsets = [features_NxF[rng.permutation(n)[:k]] for k in sizes]
  root = fid.root(real.covariance)
  return sizes, np.array([fid.between(evals.no_moments(size).with_more(subset), real, root) for subset in subsets])


def extrapolated(sizes, fids) -> float:
  """The line's value at 1 / N = 0. What the line leaves over is no error of it: the subsets are of one draw."""
  return float(np.polynomial.polynomial.polyfit(1 / sizes, fids, 1)[0])


def make(run, split):
  if run.spec.modality == 'molecule':
    raise core.InputError('fid_infinity needs as many samples as it asks for, and some are no molecules: leave it out of config.evals')
  real = evals.real(run, split, ('moments',)).moments
  evals.enough(run, real, f'fid_infinity on the {split} split')

  def evaluate(state, samples):
    sizes, fids = curve(samples.features, real)
    return {'fid_infinity': extrapolated(sizes, fids), **{f'at_{n}': float(value) for n, value in zip(sizes[::7], fids[::7])}}
  return evaluate
