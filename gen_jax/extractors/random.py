"""Random convolutional features: the ruler that no training and no data has a say in.

Four layers of 3x3 convolutions with He-normal weights, rectified; the means over the image after each layer are the features. What random
features see, they see of any image set (Naeem et al. 2020, https://arxiv.org/abs/2002.09797, sec. 4.3).
"""
import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax import core, extractors

WIDTHS = (32, 32, 32, 32)


def make(spec):
  """Raises InputError for what is not an image."""
  if len(spec.shape) != 3:
    raise core.InputError(f'the extractor random is for images, not {tuple(spec.shape)}')
  # numpy's generator, for its bits do not change with versions and devices.
  rng, channels, weights = np.random.default_rng(0), spec.shape[-1], []
  for width in WIDTHS:
    weights.append(rng.standard_normal((3, 3, channels, width), np.float32) * np.float32((2 / (9 * channels))**.5))
    channels = width
  sha = hashlib.sha256(b''.join(w.tobytes() for w in weights)).hexdigest()

  def apply(weights, images_BxHxWxC):
    x, means = images_BxHxWxC.astype(jnp.float32) / 127.5 - 1, []
    for i, w in enumerate(weights):
      # The first two keep the size, the others halve it.
      stride = 1 if i < 2 else 2
      x = jax.nn.relu(jax.lax.conv_general_dilated(x, w, (stride, stride), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
                                                   precision='highest'))   # a TPU's default rounds to bfloat16
      means.append(x.mean((1, 2)))
    return jnp.concatenate(means, axis=-1), None
  return extractors.Extractor(f'random:{sha[:8]}', sum(WIDTHS), 0, apply, weights)
