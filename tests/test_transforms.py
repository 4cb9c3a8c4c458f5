"""Transformations compose or refuse: any order of them gives what the canonical order gives, or raises InputError."""
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys

from gen_jax import core
from gen_jax.transforms.accumulated import accumulated
from gen_jax.transforms.devices import devices, make_mesh, shardings, specs_of
from gen_jax.transforms.seeds import seeds

ORDER = list(toys.TRANSFORMS)
CHANGES = ORDER[:4]   # the others change nothing but where and how it is computed
REFUSED = {   # outer: what it may not go around
    'private': {'private', 'accumulated', 'seeds', 'devices'},
    'accumulated': {'seeds', 'devices'},
    'seeds': {'seeds', 'devices'},
    'devices': {'devices'},
}


@functools.cache
def alone(changes):
  """(state, metrics) of each seed by itself, on one device."""
  step = toys.stepper(toys.compose(changes))
  return [jax.device_get(step(*toys.inputs(seed))) for seed in range(toys.S)]


def reference(names):
  runs = alone(tuple(sorted((name for name in names if name in CHANGES), key=ORDER.index)))
  return toys.stack(runs) if 'seeds' in names else runs[0]


PAIRS = [pair for pair in itertools.product(ORDER, ORDER) if pair[1] not in REFUSED or pair[0] not in REFUSED[pair[1]]]


# The canonical order of two changes is the reference itself.
@pytest.mark.parametrize('names', [p for p in PAIRS if not (set(p) <= set(CHANGES) and ORDER.index(p[0]) <= ORDER.index(p[1]))], ids='+'.join)
def test_a_pair_gives_what_the_canonical_order_gives(names):
  toys.close(toys.play(toys.compose(names)), reference(names))


@pytest.mark.parametrize('names', [p for p in itertools.product(ORDER, ORDER) if p not in PAIRS], ids='+'.join)
def test_a_pair_is_refused(names):
  with pytest.raises(core.InputError, match='goes (inside|outermost)'):
    toys.compose(names)


@pytest.mark.parametrize('names, mesh', [
    (('private', 'revived'), 'data=4'), (('revived', 'private', 'noised', 'clients', 'accumulated', 'seeds'), 'seed=2,data=2'),
    (('private', 'seeds', 'revived'), 'seed=2,data=2,fsdp=2'), (('seeds', 'clients'), 'seed=1,data=2,fsdp=2')], ids=str)
def test_towers(names, mesh):
  family = devices(toys.compose(names), make_mesh(mesh))
  toys.close(toys.play(family), reference(names), 1e-6)


def test_changes_change():
  """What the pairs are compared with differs from the plain step: none of the toys is the identity."""
  states = [alone(())[0][0]] + [alone((name,))[0][0] for name in CHANGES]
  for a, b in itertools.combinations(states, 2):
    with pytest.raises(AssertionError):
      toys.close((a.params, a.variables), (b.params, b.variables), 1e-3)


MEANS = {'accumulated': lambda f: accumulated(f, 4), 'data': lambda f: devices(f, make_mesh('data=4')),
         'fsdp': lambda f: devices(f, make_mesh('data=2,fsdp=4')), 'both': lambda f: devices(accumulated(f, 2), make_mesh('data=4'))}


def linear(turns=1, weight=None, per_example=True, mean=lambda x: 0.):
  """One role whose gradient is known: the (weighted) mean of the examples it saw. Variables record what each turn saw."""
  def loss(own, state, batch, keys, key):
    x = batch['x'] - mean(batch['x'])
    return x @ own, core.Aux({'x': x[:, 0]}, {'seen': jnp.zeros(()) if weight else x[:, 0].mean()}, batch['weight'] if weight else None)

  def update(seen, statistics, key):
    return jnp.concatenate([seen[1:], statistics['seen'][None]])
  role = core.Role(loss, optax.sgd(1.), turns=turns, per_example=per_example, update=update)
  return core.Family(lambda key, batch: ({'model': jnp.zeros(4)}, {'model': jnp.zeros(turns)}, {}), {'model': role})


def step(family, batch):
  n, key = len(batch['x']), jax.random.key(0)
  state = core.create(family, key, batch)
  return jax.jit(lambda state, batch: family.step(family, state, batch, core.per_example(key, jnp.arange(n)), key))(state, batch)


@pytest.mark.parametrize('change', MEANS.values(), ids=MEANS)
def test_the_gradient_is_the_mean_over_all_examples(change):
  """Not N times it, as `pmean(grad(loss))` gives under shard_map's own check."""
  x = np.random.default_rng(0).standard_normal((32, 4)).astype(np.float32)
  state, metrics = step(change(linear()), {'x': x})
  np.testing.assert_allclose(state.params['model'], -x.mean(0), atol=1e-6)
  np.testing.assert_allclose(metrics['model/x'], x[:, 0].mean(), atol=1e-6)
  np.testing.assert_allclose(metrics['model/gradient_norm'], np.linalg.norm(x.mean(0)), atol=1e-6)


@pytest.mark.parametrize('change', MEANS.values(), ids=MEANS)
def test_turns_are_cut_before_anything_is_sharded(change):
  """Cut on shards, the first of two turns would see the first half of every shard."""
  x = np.repeat(np.arange(64, dtype=np.float32)[:, None], 4, axis=1)
  state, _ = step(change(linear(turns=2)), {'x': x})
  np.testing.assert_allclose(state.variables['model'], [15.5, 47.5])


@pytest.mark.parametrize('change', MEANS.values(), ids=MEANS)
@pytest.mark.parametrize('weight', ['some', 'none'])
def test_weights_count_over_uneven_parts(change, weight):
  """The first parts weigh nothing, and the others unevenly; all of them may weigh nothing."""
  x = np.random.default_rng(1).standard_normal((32, 4)).astype(np.float32)
  w = np.float32(weight == 'some') * np.where(np.arange(32) < 8, 0, np.arange(32)).astype(np.float32)
  state, metrics = step(change(linear(weight=True)), {'x': x, 'weight': w})
  mean = w @ x / max(w.sum(), 1e-9)
  np.testing.assert_allclose(state.params['model'], -mean, atol=1e-6)
  np.testing.assert_allclose(metrics['model/x'], mean[0], atol=1e-6)


@pytest.mark.parametrize('mesh', ['data=4', 'data=2,fsdp=2'])
def test_a_loss_that_mixes_examples_sees_the_whole_batch(mesh):
  x = np.random.default_rng(2).standard_normal((8, 4)).astype(np.float32)
  weigh = lambda x: (x * jnp.arange(1., len(x) + 1)[:, None]).sum(0, keepdims=True)
  mixing = linear(per_example=False, mean=weigh)
  state, metrics = step(devices(mixing, make_mesh(mesh)), {'x': x})
  np.testing.assert_allclose(state.params['model'], -(x - weigh(x)).mean(0), rtol=1e-5)
  np.testing.assert_allclose(metrics['model/x'], (x - weigh(x))[:, 0].mean(), rtol=1e-5)


def test_a_loss_that_mixes_examples_is_not_cut():
  mixing = linear(per_example=False)
  with pytest.raises(core.InputError, match="'model'.*mixes the examples"):
    accumulated(mixing, 2)
  with pytest.raises(core.InputError, match='private'):
    toys.private(mixing)


def test_fsdp_stores_an_nth_on_each_device():
  family = devices(toys.game(optax.adam), make_mesh('data=2,fsdp=4'))
  state, _ = toys.stepper(family)(*toys.inputs(0, optax.adam))
  held = lambda x: x.addressable_shards[0].data.nbytes
  for tree in (state.params, state.ema, state.opt_state):
    leaves = [x for x in jax.tree.leaves(tree) if x.ndim]
    assert leaves and all(held(x) * 4 == x.nbytes for x in leaves)
  assert all(held(x) == x.nbytes for x in jax.tree.leaves((state.variables, state.frozen)))


def test_a_leaf_that_does_not_divide_is_whole():
  family = devices(linear(), make_mesh('data=1,fsdp=8'))
  state = core.create(family, jax.random.key(0), {'x': jnp.zeros((8, 4))})
  assert specs_of(family, state).params['model'] == jax.P(None)
  x = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
  np.testing.assert_allclose(step(family, {'x': x})[0].params['model'], -x.mean(0), atol=1e-6)


@pytest.mark.parametrize('names, mesh', [((), 'data=4'), ((), 'data=2,fsdp=2'), (('seeds',), 'seed=2,data=2'), (('seeds',), '')], ids=str)
def test_sampling_and_scoring_do_not_depend_on_the_layout(names, mesh):
  plain = toys.game()
  family = toys.compose(names)
  family = devices(family, make_mesh(mesh)) if mesh else family
  runs = [toys.inputs(seed) for seed in range(toys.S)]

  def use(family):
    def use(state, x, keys):
      keys = toys.wrap(keys[0])
      return family.sample(state, core.fold(keys, 'sample'), None), family.score(state, {'x': x}, core.fold(keys, 'score'))
    return jax.jit(use)
  one = use(plain)
  found = use(family)(*(toys.stack(runs) if family.seeds else runs[0]))
  alone = [one(*run) for run in runs]
  toys.close(found, jax.tree.map(lambda *xs: np.stack(xs), *alone) if family.seeds else alone[0])


def test_seeds_start_as_each_would_alone():
  batch = {'x': jnp.zeros((1, toys.D))}
  family = seeds(toys.game(optax.adam), toys.S)
  keys = lambda: jax.vmap(jax.random.key)(jnp.arange(toys.S))
  state = jax.jit(lambda: core.create(family, core.fold(keys(), 'init'), batch))()
  alone = [jax.jit(lambda seed: core.create(toys.game(optax.adam), core.fold(jax.random.key(seed), 'init'), batch))(i) for i in range(toys.S)]
  toys.close(state, toys.stack([(a,) for a in alone])[0], 0)


def test_what_can_not_be_cut_is_refused():
  x = {'x': np.zeros((6, 4), np.float32)}
  for family, message in ((devices(linear(), make_mesh('data=4')), 'a batch of 6 does not divide over 4 devices'),
                          (accumulated(linear(), 4), 'accumulate=4 does not divide the 6 examples'),
                          (devices(accumulated(linear(), 2), make_mesh('data=2')), 'accumulate=2 does not divide the 3 examples'),
                          (linear(turns=4), '6 examples do not divide into 4 equal parts')):
    with pytest.raises(core.InputError, match=message):
      step(family, x)
  for n in (0, -1):
    with pytest.raises(core.InputError):
      seeds(linear(), n)
    with pytest.raises(core.InputError):
      accumulated(linear(), n)
  with pytest.raises(core.InputError, match='seeds=3 do not divide'):
    devices(seeds(linear(), 3), make_mesh('seed=2'))
  with pytest.raises(core.InputError, match='seeds=1 do not divide'):
    devices(linear(), make_mesh('seed=2'))


def test_meshes():
  for text, shape in {'': (1, 8, 1), 'data=4': (1, 4, 1), 'fsdp=2': (1, 4, 2), 'seed=2, fsdp=2': (2, 2, 2), 'data=1': (1, 1, 1)}.items():
    mesh = make_mesh(text)
    assert mesh.axis_names == ('seed', 'data', 'fsdp') and mesh.devices.shape == shape, text
  for text in ('data', 'data=', 'data=0', 'data=-1', 'model=2', 'data=two', 'data=16', 'seed=3', 'seed=2,data=8'):
    with pytest.raises(core.InputError, match='mesh='):
      make_mesh(text)


def test_a_state_is_placed_as_it_is_stored():
  family = devices(seeds(toys.game(), 2), make_mesh('seed=2,data=2,fsdp=2'))
  state, _ = toys.play(family)
  placed = shardings(family, specs_of(family, state))
  assert all(x.sharding.is_equivalent_to(s, x.ndim) for x, s in zip(jax.tree.leaves(state), jax.tree.leaves(placed)))
  assert state.params['critic']['w'].addressable_shards[0].data.shape == (1, toys.D, toys.H // 2)
