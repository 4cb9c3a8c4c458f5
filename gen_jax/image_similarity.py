"""Structural similarity of two images: SSIM (Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861) and its multi-scale form.

Equal to the PyTorch package pytorch-msssim (experiments/parity), which is what recent papers report; pure, over batches, in float32.
"""
import jax.numpy as jnp
import numpy as np

from gen_jax import core

WINDOW, SIGMA = 11, 1.5
K1, K2 = .01, .03
WEIGHTS = (.0448, .2856, .3001, .2363, .1333)   # of the scales, finest first


def ssim(x_BxHxWxC, y_BxHxWxC, data_range=255.):
  """In [-1, 1], [B]: 1 for equal images, the mean over places and channels.

  Pixels are in [0, data_range]: pass (x + 1) and data_range=2 for images in [-1, 1]. Raises InputError for two shapes, what is not a batch of images,
  and sides under 11, the width of the window.
  """
  x, y = _images(x_BxHxWxC, y_BxHxWxC, 1)
  return _terms(x, y, data_range)[0].mean(-1)


def ms_ssim(x_BxHxWxC, y_BxHxWxC, weights=WEIGHTS, data_range=255.):
  """In [0, 1], [B]: contrast and structure at every scale, luminance at the coarsest, each to the power of its weight; the mean over channels.

  Wang et al. 2003, https://doi.org/10.1109/ACSSC.2003.1292216. A term below 0 counts as 0, and makes all of it 0. As many scales as weights; the five
  of the paper take sides over 160. Pixels are in [0, data_range]. Raises InputError as `ssim` does, and where the scales do not fit.
  """
  x, y = _images(x_BxHxWxC, y_BxHxWxC, len(weights))
  product_BxC = 1.
  for i, weight in enumerate(weights):
    if i:
      x, y = _halve(x), _halve(y)
    both_BxC, contrast_BxC = _terms(x, y, data_range)
    product_BxC *= jnp.maximum(contrast_BxC if i < len(weights) - 1 else both_BxC, 0)**weight
  return product_BxC.mean(-1)


def scales(shape) -> int:
  """How many fit into an image (H, W, ...): the coarsest, of half the sides each time, is as wide as the window."""
  n, side = 0, min(shape[:2])
  while side >= WINDOW:
    n, side = n + 1, (side + 1) // 2
  return n


def _images(x, y, n):
  if x.shape != y.shape or x.ndim != 4:
    raise core.InputError(f'similarity is of two batches of images [B, H, W, C] of one shape, not of {x.shape} and {y.shape}')
  fit = scales(x.shape[1:])
  if not 1 <= n <= fit:
    raise core.InputError(f'{n} scales of similarity do not fit images of {x.shape[1]}x{x.shape[2]}: '
                          + (f'give at most {fit} weights (and at least one)' if fit else f'their sides must be at least {WINDOW}'))
  return jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)


def _terms(x, y, data_range):
  """(luminance times contrast times structure, contrast times structure), means over places, [B, C] each."""
  # In units of the range and around its middle: variances are differences of moments, and float32 loses less of smaller ones.
  x, y = x / data_range - .5, y / data_range - .5
  mean_x, mean_y, xx, yy, xy = jnp.split(_blur(jnp.concatenate([x, y, x * x, y * y, x * y])), 5)
  variance = xx - mean_x**2 + yy - mean_y**2
  contrast = (2 * (xy - mean_x * mean_y) + K2**2) / (variance + K2**2)
  mean_x, mean_y = mean_x + .5, mean_y + .5
  luminance = (2 * mean_x * mean_y + K1**2) / (mean_x**2 + mean_y**2 + K1**2)
  return (luminance * contrast).mean((1, 2)), contrast.mean((1, 2))


def _blur(x_BxHxWxC):
  """A Gaussian window over every place where all of it lies inside: two products with a banded matrix, which are faster than thin convolutions."""
  tap = np.exp(-.5 * ((np.arange(WINDOW) - WINDOW // 2) / SIGMA)**2)
  tap /= tap.sum()
  def band(n):
    return np.stack([np.pad(tap, (i, n - WINDOW - i)) for i in range(n - WINDOW + 1)]).astype(np.float32)
  _, h, w, _ = x_BxHxWxC.shape
  return jnp.einsum('ih,jw,bhwc->bijc', band(h), band(w), x_BxHxWxC, precision='highest')   # variances are differences of what this rounds


def _halve(x_BxHxWxC):
  """Means of 2x2; an odd side is padded by zeros, which count, as the reference does."""
  b, h, w, c = x_BxHxWxC.shape
  i, j = h % 2, w % 2
  x = jnp.pad(x_BxHxWxC, ((0, 0), (i, i), (j, j), (0, 0)))[:, :h + i, :w + j]
  return x.reshape(b, (h + i) // 2, 2, (w + j) // 2, 2, c).mean((2, 4))
