"""25 Gaussians on a 5x5 grid, the toy on which lost modes are counted (PacGAN, Lin et al. 2018, https://arxiv.org/abs/1712.04086).

Means (-4 + 2i, -4 + 2j) and standard deviation 0.05, all divided by sqrt(8), which is the deviation of the grid (Gulrajani et al. 2017).
"""
import numpy as np

from gen_jax import data

DEFAULTS = {}
SIZES = {'train': 100_000, 'validation': 10_000, 'test': 10_000}
SCALE = 8 ** .5
MEANS = np.array([[x, y] for x in range(-4, 5, 2) for y in range(-4, 5, 2)], np.float32) / np.float32(SCALE)   # [25, 2]
STD = .05 / SCALE


def make(config, split):
  """float32 [n, 2], every mean as often; no condition."""
  del config
  n = SIZES[split]
  noise = np.random.default_rng([25, data.SPLITS.index(split)]).standard_normal((n, 2), np.float32)
  return data.from_arrays(MEANS[np.arange(n) % 25] + np.float32(STD) * noise, None, data.Spec((2,), bounded=False))
