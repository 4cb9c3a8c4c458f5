"""SSIM and MS-SSIM against pytorch-msssim's recorded values, and what any similarity has."""
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evals import inputs

from gen_jax import core, image_similarity

RECORDED = json.loads((pathlib.Path(__file__).parent / 'evals/references.json').read_text())['similarity']


def measured(name, kind, data_range):
  """Of a recorded pair of batches, by the recorded weights."""
  x, y = inputs.pairs(name)
  if data_range == 1:
    x, y = x.astype(np.float32) / 255, y.astype(np.float32) / 255
  if kind == 'ssim':
    return jax.jit(image_similarity.ssim)(x, y, data_range=data_range)
  weights = {'ms_ssim': image_similarity.WEIGHTS, 'ms_ssim_3': RECORDED['weights_3']}[kind]
  return jax.jit(functools.partial(image_similarity.ms_ssim, weights=weights))(x, y, data_range=data_range)


@pytest.mark.parametrize('name', inputs.PAIRS)
@pytest.mark.parametrize('data_range', [255, 1])
def test_equals_the_reference(name, data_range):
  """With its window in float64 to what float32 gives; as it is shipped, to what its rounded window is away from that."""
  exact, shipped = (RECORDED[name][f'{data_range} {window}'] for window in ('float64', 'shipped'))
  for kind, wanted in exact.items():
    found = measured(name, kind, data_range)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6, err_msg=kind)
    if kind in shipped:
      np.testing.assert_allclose(found, shipped[kind], rtol=0, atol=1e-5, err_msg=kind)


def test_an_image_is_like_itself_and_the_order_does_not_matter():
  x, y = (jnp.float32(a) for a in inputs.pairs('64'))
  for f in map(jax.jit, (image_similarity.ssim, functools.partial(image_similarity.ms_ssim, weights=(.5, .5)))):
    np.testing.assert_allclose(f(x, x), 1, atol=1e-6)
    np.testing.assert_allclose(f(x, y), f(y, x), atol=1e-6)
    np.testing.assert_allclose(f(x[1:2], y[1:2]), f(x, y)[1:2], atol=1e-6)   # of its batch's others independent


def test_one_scale_is_ssim():
  x, y = (jnp.float32(a[:3]) for a in inputs.pairs('64'))
  np.testing.assert_allclose(image_similarity.ms_ssim(x, y, weights=(1.,)), image_similarity.ssim(x, y), atol=1e-6)


def test_by_hand_of_flat_images():
  """Without contrast, only luminance is left: (2ab + c1) / (a^2 + b^2 + c1)."""
  x, y = jnp.full((1, 12, 11, 1), .25), jnp.full((1, 12, 11, 1), .75)
  wanted = (2 * .25 * .75 + 1e-4) / (.25**2 + .75**2 + 1e-4)
  np.testing.assert_allclose(image_similarity.ssim(x, y, data_range=1.), wanted, rtol=1e-5)


@pytest.mark.parametrize('side, fit', [(10, 0), (11, 1), (20, 1), (21, 2), (28, 2), (32, 2), (64, 3), (160, 4), (161, 5), (176, 5)])
def test_scales_that_fit(side, fit):
  """Five from 161 on, where pytorch-msssim accepts an image."""
  assert image_similarity.scales((side, 300)) == image_similarity.scales((300, side)) == fit
  x = jax.ShapeDtypeStruct((1, side, 300, 1), jnp.float32)
  if fit:
    found = jax.eval_shape(lambda x: image_similarity.ms_ssim(x, x, weights=fit * (1 / fit,)), x)
    assert found.shape == (1,)


@pytest.mark.parametrize('shapes, weights, said', [
    ([(2, 28, 28, 1)] * 2, image_similarity.WEIGHTS, '28x28: give at most 2 weights'),
    ([(2, 28, 28, 1)] * 2, (), '0 scales'),
    ([(2, 28, 8, 1)] * 2, (1.,), '28x8: their sides must be at least 11'),
    ([(2, 28, 28, 1), (2, 28, 28, 3)], (1.,), r'not of \(2, 28, 28, 1\) and \(2, 28, 28, 3\)'),
    ([(28, 28, 1)] * 2, (1.,), r'\[B, H, W, C\]'),
])
def test_what_does_not_fit_is_refused(shapes, weights, said):
  with pytest.raises(core.InputError, match=said) as e:
    image_similarity.ms_ssim(*(jnp.zeros(shape) for shape in shapes), weights=weights)
  assert '\n' not in str(e.value)
