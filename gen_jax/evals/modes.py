"""Modes of the 25 Gaussians (PacGAN, Lin et al. 2018, https://arxiv.org/abs/1712.04086): a sample within three standard deviations of a mean is
of high quality, a mode with at least one such sample is covered."""
import numpy as np

from gen_jax import core
from gen_jax.data import gaussians

NEEDS = ('x',)


def count(x_Nx2):
  """{'covered': of 25, 'high_quality': share of samples, 'kl': of the modes' shares from uniform, in nats; inf if none is covered}."""
  distance_NxM = np.linalg.norm(x_Nx2[:, None] - gaussians.MEANS, axis=-1)
  good = distance_NxM.min(-1) <= 3 * gaussians.STD
  hits = np.bincount(distance_NxM.argmin(-1)[good], minlength=len(gaussians.MEANS))
  share = hits[hits > 0] / max(1, hits.sum())
  return {'covered': int((hits > 0).sum()), 'high_quality': float(good.mean()),
          'kl': float((share * np.log(share * len(gaussians.MEANS))).sum()) if len(share) else float('inf')}


def make(run, split):
  if run.config.data.name != 'gaussians':
    raise core.InputError(f'modes counts those of the data set gaussians, not {run.config.data.name}')
  return lambda state, samples: count(samples.x)
