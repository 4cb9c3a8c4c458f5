"""What every network must do, of whatever kind: shapes, dtypes, examples that do not see one another, caches that change nothing."""
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from toys import weights

from gen_jax import config, core, data, run
from gen_jax import networks as every
from gen_jax.transforms import adversarial

NETWORKS = sorted(path.stem for path in pathlib.Path(core.__file__).parent.glob('networks/[a-z]*.py'))
of_each_network = pytest.mark.parametrize('network', NETWORKS)


def networks(name, shape, n=3, **options):
  """[(a part of the network, its inputs for n examples, the channels that it makes or None)]: a decoder's are shaped as the encoder's output."""
  o = ConfigDict({**config.defaults('networks', name), 'width': 8, **options})
  if 'features' in o:
    o.features = 16
  if 'layers' in o:   # each is compiled, and from two on there is one between others
    o.layers = min(o.layers, 2)
  made = core.module('networks', name).make(o, data.Spec(shape))
  draw = lambda *shape: np.random.default_rng(0).standard_normal((n, *shape)).astype(np.float32)
  found, x = [], draw(*shape)
  if made.encoder:
    found.append((made.encoder, (x,), None))
  if made.decoder:
    h = jax.eval_shape(made.encoder.init_with_output, jax.random.key(0), x)[0] if made.encoder else x[:, 0]
    found += [(made.decoder.clone(channels=c), (draw(*h.shape[1:-1], 5),), c) for c in (shape[-1], 7)]
  if made.denoiser:
    found += [(made.denoiser.clone(channels=c), (x, draw(), condition), c) for c in (shape[-1], 7) for condition in (None, draw(6))]
  if made.causal:
    found.append((made.causal.clone(vocabulary=7), (np.random.default_rng(0).integers(0, 6, (n, 6)),), None))
  assert found, f'network {name} has no parts'
  return found


@of_each_network
@pytest.mark.parametrize('shape', [(28, 28, 1), (32, 32, 3), (36, 36, 1), (64, 64, 3), (4, 8, 2)], ids=str)
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_shapes_and_dtypes(network, shape, dtype):
  for net, given, channels in networks(network, shape, dtype=dtype):
    out, variables = jax.eval_shape(net.init_with_output, jax.random.key(0), *given)
    assert out.dtype == jnp.float32 and (out.shape == (3, *shape[:-1], channels) if channels else out.shape[0] == 3 and out.ndim in (2, 3, 4))
    assert set(variables) == {'params'} and all(x.dtype == jnp.float32 for x in jax.tree.leaves(variables))


@of_each_network
def test_what_is_no_image_is_refused_or_made(network):
  for shape in ((30, 30, 1), (5,)):
    try:
      parts = networks(network, shape)
    except core.InputError as e:
      assert network != 'mlp', e
      continue
    for net, given, channels in parts:
      out = jax.eval_shape(net.init_with_output, jax.random.key(0), *given)[0]
      assert not channels or out.shape == (3, *shape[:-1], channels)


@pytest.mark.parametrize('network', ['mlp', 'unet', 'dit'])
def test_the_flow_of_a_denoiser_has_a_likelihood(network):
  """Its divergence is had of every network, whatever its layers' derivatives are."""
  c = config.base('mnist', 'diffusion', network, model={})
  c.mesh = 'data=1'
  c.network.width = 8
  c.family.update(ode_steps=2, score_draws=2)
  game = run.build(c, data.Spec((8, 8, 1)))
  batch = {'x': np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 1)).astype(np.float32)}
  found = jax.jit(game.family.score)(run.initial(game), batch, core.per_example(jax.random.key(0), jnp.arange(2)))
  assert found['ode_8bit'].shape == (2,) and jnp.isfinite(found['ode_8bit']).all()


@pytest.mark.parametrize('network', ['recurrent', 'transformer'])
def test_no_gradient_comes_from_later_tokens(network):
  (net, (x_BxL,), _), = (part for part in networks(network, (4, 4, 1)) if hasattr(part[0], 'vocabulary'))
  variables = weights(net.init, jax.random.key(0), x_BxL)
  told = lambda offset_BxLxF, t: jnp.sin(adversarial.moved(lambda: net.apply(variables, x_BxL), offset_BxLxF)[:, t]).sum()
  for t in range(x_BxL.shape[1]):
    of_BxL = jnp.abs(jax.grad(told)(jnp.zeros((*x_BxL.shape, 8)), t)).max(-1)
    assert (of_BxL[:, :t + 1] > 0).all() and not of_BxL[:, t + 1:].any()


def test_an_unknown_word_counts_as_none():
  words_BxL = jnp.array([[2, 1, 3, 0], [2, 0, 3, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
  caption = every.Caption(3)
  out_BxE = caption.apply(weights(caption.init, jax.random.key(0), words_BxL), words_BxL)
  np.testing.assert_array_equal(out_BxE[0], out_BxE[1])
  assert jnp.abs(out_BxE[0]).max() > 0 and not out_BxE[2:].any()


@of_each_network
def test_an_example_does_not_see_the_others(network):
  options = {'attention': True} if 'attention' in config.defaults('networks', network) else {}
  parts = [(net, given) for net, given, channels in networks(network, (8, 8, 1), **options) if channels in (None, 1)]
  outputs = jax.jit(lambda inputs: [net.apply(weights(net.init, jax.random.key(0), *given), *mine) for (net, given), mine in zip(parts, inputs)])
  of = lambda change: jax.device_get(outputs([jax.tree.map(change, given) for _, given in parts]))
  for whole, others, turned in zip(of(lambda a: a), of(lambda a: np.concatenate([a[:1], a[1:] + 1])), of(lambda a: np.roll(a, 1, axis=0))):
    np.testing.assert_allclose(whole[0], others[0], atol=1e-5)
    np.testing.assert_allclose(whole, np.roll(turned, -1, axis=0), atol=1e-5)
    assert (np.abs(whole[1:] - others[1:]) > 1e-3).any()


@of_each_network
def test_a_cache_changes_nothing(network):
  """What follows what is in it is what the whole sequence gives, however it is cut, and whether a token is its number or one-hot."""
  for defaults in ({}, {'style': 'gpt2'}, {'groups': 2}, {'cell': 'gru'}):
    if not defaults.keys() <= config.defaults('networks', network).keys():
      continue
    for net, given, _ in networks(network, (8, 8, 1), **defaults):
      if not hasattr(net, 'empty'):
        continue
      x, = given

      @jax.jit
      def both(net=net, x=x):
        params = jax.tree.map(jnp.asarray, weights(net.init, jax.random.key(0), x))
        cache, found = net.empty(*x.shape), []
        for part in (x[:, :3], jax.nn.one_hot(x[:, 3:4], 7), x[:, 4:]):   # weights of all tokens do as well
          logits, cache = net.apply(params, part, cache=cache)
          found.append(logits)
        return jnp.concatenate(found, axis=1), net.apply(params, x)
      np.testing.assert_allclose(*both(), atol=1e-4)
