"""Networks that have grown k times are networks of that size, and what lies between is a straight line."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from gen_jax import data
from gen_jax.networks import progressive

X, Z = jax.random.normal(jax.random.key(0), (2, 32, 32, 1)), jax.random.normal(jax.random.key(1), (2, 3))   # 8, 16, 32 pixels
GIVEN = {'encoder': X, 'decoder': Z}


def made(part, side=32):
  """The network of a size, as wide at each smaller one as that of 32 pixels is."""
  width = 2 * 32 // side
  return getattr(progressive.make(ConfigDict({**progressive.DEFAULTS, 'width': width, 'features': 5}), data.Spec((side, side, 1))), part)


def grown(part):
  """(the parameters, the outputs at a size)"""
  net = made(part)
  params = net.init(jax.random.key(2), GIVEN[part], 0.)
  return params, jax.jit(lambda p, grown: net.apply(p, GIVEN[part], grown))


@pytest.mark.parametrize('k', [0, 1, 2])
def test_a_grown_decoder_is_a_small_one_enlarged(k):
  params, at = grown('decoder')
  small = made('decoder', 8 << k)
  needed = small.init(jax.random.key(2), Z)['params']
  expected = small.apply({'params': {name: params['params'][name] for name in needed}}, Z)
  assert expected.shape == (2, 8 << k, 8 << k, 1)
  for axis in (1, 2):
    expected = expected.repeat(4 >> k, axis=axis)
  np.testing.assert_allclose(at(params, float(k)), expected, atol=1e-3)   # pixel normalisation amplifies where channels are near 0


@pytest.mark.parametrize('k', [0, 1, 2])
def test_a_grown_encoder_sees_no_detail(k):
  """Averages of squares are all it sees, by parameters that the larger sizes have no part in."""
  params, at = grown('encoder')
  side = 8 << k
  averages = X.reshape(2, side, 4 >> k, side, 4 >> k, 1).mean((2, 4))
  seen = jnp.einsum('bhwc,cf->bhwf', averages, params['params'][f'from_image_{k}']['kernel'])
  blind = averages.repeat(4 >> k, axis=1).repeat(4 >> k, axis=2)
  same = jax.jit(lambda x: made('encoder').apply(params, x, float(k)))(blind)
  np.testing.assert_allclose(at(params, float(k)), same, atol=1e-5)
  if k == 0:   # no convolution there at all
    h = jax.nn.leaky_relu(seen, .2).reshape(2, -1) @ params['params']['Dense_0']['kernel']
    np.testing.assert_allclose(at(params, 0.), jax.nn.leaky_relu(h, .2), atol=1e-5)


def test_a_decoder_fades_in_a_straight_line():
  params, at = grown('decoder')
  for k in (0, 1):
    for part in (.25, .5):
      expected = (1 - part) * at(params, float(k)) + part * at(params, k + 1.)
      np.testing.assert_allclose(at(params, k + part), expected, atol=1e-5)


def test_an_encoder_fades_in_before_its_last_layer():
  """Where it is linear: a straight line of what goes into the last one's activation."""
  params, at = grown('encoder')
  params['params']['Dense_0']['bias'] += 100.   # in the linear half of the leaky ReLU
  np.testing.assert_allclose(at(params, .25), .75 * at(params, 0.) + .25 * at(params, 1.), atol=1e-4)
  assert jnp.abs(at(params, 0.) - at(params, 1.)).max() > .01


@pytest.mark.parametrize('part', GIVEN)
def test_without_growth_all_sizes_are_there(part):
  params, at = grown(part)
  whole = made(part)
  needed = whole.init(jax.random.key(2), GIVEN[part])
  assert not {f'{n}_{k}' for n in ('to_image', 'from_image') for k in (0, 1)} & needed['params'].keys()
  found = whole.apply({'params': {name: params['params'][name] for name in needed['params']}}, GIVEN[part])
  np.testing.assert_allclose(found, at(params, 2.), atol=1e-3)


@pytest.mark.parametrize('part', GIVEN)
def test_what_has_not_grown_is_not_trained(part):
  """And every parameter is, once its size is there."""
  params, at = grown(part)
  grad = jax.jit(jax.grad(lambda p, grown: jnp.sin(at(p, grown)).sum()))
  trained = {g: {name for name, p in grad(params, g)['params'].items() if any((x != 0).any() for x in jax.tree.leaves(p))} for g in (0., .5, 1.5)}
  image, second = ('to_image', {'Conv_0', 'Conv_1'}) if part == 'decoder' else ('from_image', {'Conv_2', 'Conv_3'})
  assert trained[0.] == {'Dense_0', f'{image}_0'}
  assert trained[.5] == trained[0.] | second | {f'{image}_1'}
  assert trained[1.5] == params['params'].keys() - {f'{image}_0'}
