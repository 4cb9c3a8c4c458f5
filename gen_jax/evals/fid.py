"""The Frechet distance between Gaussians fitted to the features of samples and of real examples (Heusel et al. 2017,
https://arxiv.org/abs/1706.08500, eq. 6). It is FID where the features are Inception's, and FCD where they are ChemNet's (of valid molecules alone,
NaN of fewer than features); the extractor is part of the name."""
import numpy as np

from gen_jax import core, evals

NEEDS = ('moments',)


def frechet(mean_a, covariance_a, mean_b, covariance_b, root_b=None) -> float:
  """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^1/2), in float64, at least 0 to rounding. root_b: `root(covariance_b)`, where it is known.

  tr (A B)^1/2 is the sum of the roots of the eigenvalues of B^1/2 A B^1/2, which is symmetric: no complex numbers arise. Raises RunError where
  a mean or covariance is not finite or a covariance is not positive semidefinite.
  """
  root_b = root(covariance_b) if root_b is None else root_b
  _spectrum(np.linalg.eigvalsh, covariance_a)   # of a singular B, the product does not show what is wrong with A
  values = _spectrum(np.linalg.eigvalsh, root_b @ covariance_a @ root_b)
  difference = mean_a - mean_b
  if not np.isfinite(difference).all():
    raise core.RunError('the Frechet distance has no value: a mean is not finite')
  return float(difference @ difference + np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.sqrt(np.maximum(values, 0)).sum())


def root(covariance):
  """The symmetric square root; it takes eight times as long as what else a distance needs. Raises RunError where there is none."""
  values, vectors = _spectrum(np.linalg.eigh, covariance)
  return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _spectrum(solver, matrix):
  if not np.isfinite(matrix).all():
    raise core.RunError('the Frechet distance has no value: a covariance is not finite')
  found = solver((matrix + matrix.T) / 2)
  values = found[0] if isinstance(found, tuple) else found
  if values[0] < -1e-8 * max(values[-1], 1e-300):
    raise core.RunError(f'the Frechet distance has no value: a covariance has the eigenvalue {values[0]:.3g}, and so no real square root')
  return found


def between(a: evals.Moments, b: evals.Moments, root_b=None) -> float:
  return frechet(a.mean, a.covariance, b.mean, b.covariance, root_b)


def make(run, split):
  real = evals.real(run, split, NEEDS).moments
  evals.enough(run, real, f'fid on the {split} split')
  root_real = root(real.covariance)
  # Early in training few samples are molecules.
  return lambda state, samples: {'fid': float('nan') if evals.few(run, samples.moments) else between(samples.moments, real, root_real)}
