import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gen_jax import core


def quadratic(**options):
  """One role on a scalar: the loss of an example x is (own - x)^2 / 2, so the gradient is own - mean(x)."""
  def loss(own, state, batch, keys, key):
    return .5 * (own - batch['x'])**2, core.Aux({'x': batch['x']}, weight_B=batch.get('weight'))
  role = core.Role(loss, options.pop('optimizer', optax.sgd(.5)), **options)
  return core.Family(lambda key, batch: ({'model': jnp.zeros(())}, {'model': {}}, {}), {'model': role})


def play(family, x, state=None, **more):
  key = jax.random.key(0)
  state = state or core.create(family, key, {})
  return family.step(family, state, {'x': jnp.array(x), **more}, core.per_example(key, jnp.arange(len(x))), key)


def test_a_step_by_hand():
  state, metrics = play(quadratic(), [1., 3.])
  assert state.params['model'] == 1. and state.step == 1
  assert metrics == {'model/loss': 2.5, 'model/x': 2., 'model/gradient_norm': 2.}
  assert play(quadratic(), [4.], state)[0].params['model'] == 2.5


def test_turns_play_their_own_slices_in_order():
  state, metrics = play(quadratic(turns=2), [1., 3., 7., 9.])
  assert state.params['model'] == 4.5   # 0 -> 1 (towards 2) -> 4.5 (towards 8)
  assert metrics['model/x'] == 8. and state.step == 1


def test_a_later_role_sees_what_an_earlier_one_became():
  def follow(own, state, batch, keys, key):
    first = state.params['first'] + 0 * batch['x']
    return own - first, core.Aux({'first': first})
  lead = lambda own, state, batch, keys, key: (own * batch['x'], core.Aux({}))
  family = core.Family(lambda key, batch: ({'first': jnp.zeros(()), 'second': jnp.zeros(())}, {'first': {}, 'second': {}}, {}),
                       {'first': core.Role(lead, optax.sgd(1.)), 'second': core.Role(follow, optax.sgd(1.))})
  assert play(family, [2.])[1]['second/first'] == -2.


def test_clipping_is_of_the_global_norm():
  loss = lambda own, state, batch, keys, key: (3 * own['a'] + 4 * own['b'] + 0 * batch['x'], core.Aux({}))
  def moved(clip):
    family = core.Family(lambda key, batch: ({'model': {'a': jnp.zeros(()), 'b': jnp.zeros(())}}, {'model': {}}, {}),
                         {'model': core.Role(loss, optax.sgd(1.), clip=clip)})
    state, metrics = play(family, [0.])
    assert metrics['model/gradient_norm'] == 5.   # as it was before
    return float(state.params['model']['a']), float(state.params['model']['b'])
  assert moved(None) == moved(6.) == (-3., -4.)
  np.testing.assert_allclose(moved(1.), (-.6, -.8), rtol=1e-6)


def test_finish_comes_before_clip_and_knows_the_count():
  family = quadratic(clip=1., finish=lambda g, count, key: g * count)
  state, metrics = play(family, [-1., -3.])
  assert metrics['model/gradient_norm'] == 4. and state.params['model'] == -.5


def test_the_moving_average():
  family, state, average, own = quadratic(ema=.9), None, 0., 0.
  for t in range(100):
    state, _ = play(family, [1.], state)
    own += .5 * (1 - own)
    decay = min(.9, (1 + t) / (10 + t))
    average = decay * average + (1 - decay) * own
    if t in (0, 1, 50, 99):
      np.testing.assert_allclose(state.ema['model'], average, rtol=1e-5)
  assert state.averaged('model') is state.ema['model']
  assert play(quadratic(), [1.])[0].ema == {}


def test_weights():
  state, metrics = play(quadratic(), [1., 3.], weight=jnp.array([3., 1.]))
  assert metrics['model/x'] == 1.5 and state.params['model'] == .75
  state, metrics = play(quadratic(), [1., 3.], weight=jnp.zeros(2))
  assert metrics['model/x'] == 0. and state.params['model'] == 0.


def test_the_objective_is_the_loss_whatever_the_metrics_are_called():
  family = quadratic()
  role = family.roles['model']
  loss = lambda *given: (role.loss(*given)[0], core.Aux({'loss': given[2]['x']}))
  family = family._replace(roles={'model': role._replace(loss=loss)})
  state, metrics = play(family, [1., 3.])
  assert metrics['model/loss'] == 2.5 and state.params['model'] == 1.


def test_a_new_state_can_be_given_away():
  state = core.create(quadratic(ema=.9), jax.random.key(0), {})
  assert state.ema['model'] is not state.params['model']
  jax.jit(lambda state: state, donate_argnums=0)(state)


def test_split():
  whole = {'a': jnp.arange(12).reshape(6, 2), 'b': jnp.arange(6)}
  parts = core.split(whole, 3)
  assert [part['b'].tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]
  assert core.split({'a': whole['a']}, 2, axis=1)[1]['a'].tolist() == [[1], [3], [5], [7], [9], [11]]
  with pytest.raises(core.InputError, match='6 examples do not divide into 4'):
    core.split(whole, 4)


def test_keys_are_functions_of_name_and_position():
  data = lambda key: jax.random.key_data(key).tolist()
  key = lambda: jax.random.key(3)
  keys = core.per_example(key(), jnp.arange(4))
  assert data(core.per_example(key(), jnp.array([2, 0]))) == [data(keys)[2], data(keys)[0]]
  assert data(core.fold(keys, 'a'))[1] == data(core.fold(keys[1], 'a'))
  assert len({str(data(core.fold(key(), name))) for name in ('a', 'b', 'latent', 0, 1)}) == 5
  assert data(core.fold(key(), 'name')) == data(jax.random.fold_in(key(), 0x5e237e06))   # crc32


def test_scan_is_lax_scan():
  body = lambda carry, x: (carry + x['a'], carry * x['b'])
  xs = {'a': jnp.arange(4.), 'b': jnp.ones((4, 2))}
  for found, wanted in zip(jax.tree.leaves(core.scan(body, 0., xs)), jax.tree.leaves(jax.lax.scan(body, 0., xs))):
    np.testing.assert_array_equal(found, wanted)


def test_a_module_that_is_not_there():
  with pytest.raises(core.InputError, match="no 'gann' in gen_jax/families: there are .*gan"):
    core.module('families', 'gann')
