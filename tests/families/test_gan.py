import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import KEYS, close

from gen_jax import config, core, data
from gen_jax.families import gan
from gen_jax.transforms.accumulated import accumulated
from gen_jax.transforms.devices import devices, make_mesh
from gen_jax.transforms.seeds import seeds

SPEC = data.Spec((8, 8, 1), classes=3)


def make(spec=SPEC, rate=.1, **options):
  c = config.base('mnist', 'gan', 'mlp', discriminator={'optimizer': 'sgd', 'learning_rate': rate}, generator={'optimizer': 'sgd'})
  c.family.update({'latent': 4, **options})
  c.network.width = 8
  return gan.make(c, spec)


def played(family, n=4):
  key = jax.random.key(0)
  batch = {'x': jnp.tanh(jax.random.normal(jax.random.key(1), (n, 8, 8, 1))), 'condition': jnp.arange(n) % 3}
  state = core.create(family, core.fold(key, 'init'), batch)
  given = batch, core.per_example(core.fold(key, 'example'), jnp.arange(n)), core.fold(key, 'batch')
  return state, *jax.jit(lambda state, *given: family.step(family, state, *given))(state, *given)


def test_weights_are_clipped_from_the_first_step_on():
  _, state, _ = played(make(clip_weights=.02, loss='wasserstein', rate=10.))
  largest = max(jnp.abs(x).max() for x in jax.tree.leaves(state.params['discriminator']))
  np.testing.assert_allclose(largest, .02, rtol=1e-5)
  assert max(jnp.abs(x).max() for x in jax.tree.leaves(state.params['generator'])) > .02


def test_kernels_start_as_they_are_told():
  """With that standard deviation, each its own draws; all else is as the network has it."""
  told, plain = (played(make(start=start))[0].params for start in (.02, 0.))
  kernels = []
  for (path, x), (_, other) in zip(*(jax.tree_util.tree_leaves_with_path(p) for p in (told, plain))):
    if path[-1].key == 'kernel':
      kernels.append(x.ravel())
    else:
      np.testing.assert_array_equal(x, other)
  every = jnp.concatenate(kernels)
  np.testing.assert_allclose(every.std(), .02, rtol=.1)
  assert abs(every.mean()) < .002 and len(jnp.unique(every)) > .99 * len(every)


def test_spectral_vectors_are_kept():
  """One power iteration a turn, from those that the state holds."""
  start, state, _ = played(make(spectral=True))
  for path, u in state.variables['discriminator']['spectral'].items():
    assert (u != start.variables['discriminator']['spectral'][path]).any()
    np.testing.assert_allclose(jnp.linalg.norm(u), 1, rtol=1e-5)


@pytest.mark.parametrize('condition', gan.CONDITIONS)
def test_labels_reach_both_players(condition):
  family = make(condition=condition)
  start, _, metrics = played(family)
  keys = lambda: core.per_example(jax.random.key(2), jnp.arange(3))
  judged, made = ([family.score(start, {'x': jnp.ones((3, 8, 8, 1)), 'condition': jnp.full(3, c)}, keys())['discriminator'] for c in (0, 1)],
                  [family.sample(start, keys(), jnp.full(3, c)) for c in (0, 1)])
  assert (judged[0] != judged[1]).any() == (condition in ('concat', 'projection'))
  assert (made[0] != made[1]).any() == (condition != 'none')
  assert ('generator/accuracy' in metrics) == (condition == 'classifier')


def test_augmentation_is_of_real_and_generated_alike_and_differentiable():
  _, _, metrics = played(make(augment='brightness,contrast,translation,cutout'))
  assert metrics['generator/gradient_norm'] > 0
  assert played(make())[2]['discriminator/real'] != metrics['discriminator/real']


@pytest.mark.parametrize('options, message', [
    (dict(loss='hing'), "family.loss='hing': there are .*hinge"), (dict(penalty='r3'), 'r1r2'), (dict(condition='label'), 'projection'),
    (dict(condition='concat', spec=data.Spec((8, 8, 1))), 'needs labels'), (dict(augment='brightness,blur'), 'cutout'),
    (dict(augment='cutout', spec=data.Spec((2,), bounded=False)), 'for images'),
    (dict(augment='rotation', spec=data.Spec((8, 12, 1))), 'square'), (dict(adaptive=.6), 'needs family.augment'),
    (dict(adaptive=.6, augment='flip', loss='relativistic'), 'hinge'), (dict(adaptive=1., augment='flip'), 'not in .0, 1'),
    (dict(start=-.02), 'no standard deviation')],
                         ids=lambda o: str(o)[:40])
def test_what_makes_no_sense_is_refused(options, message):
  with pytest.raises(core.InputError, match=message):
    make(**options)


# Adaptive augmentation

@pytest.mark.parametrize('spectral', [False, True])
def test_the_probability_follows_the_sign_of_real_logits(spectral):
  """It rises with a discriminator that calls everything real, falls with one that calls nothing so, and never leaves [0, 1]."""
  family, key = make(augment='brightness', adaptive=.6, spectral=spectral), jax.random.key(0)
  batch = {'x': jnp.zeros((4, 8, 8, 1)), 'condition': jnp.zeros(4, int)}
  start = core.create(family, key, batch)
  step = jax.jit(lambda state: family.step(family, state, batch, core.per_example(key, jnp.arange(4)), core.fold(key, 'batch')))
  move = 64 / gan.ADA_IMAGES   # the config's batch size
  for offset, before, after in ((100., 0., move), (-100., .5, .5 - move), (-100., 0., 0.), (100., 1., 1.)):
    head = {**start.params['discriminator']['Dense_0'], 'bias': jnp.full(1, offset)}
    state = start.replace(params={**start.params, 'discriminator': {**start.params['discriminator'], 'Dense_0': head}}, variables={
        **start.variables, 'discriminator': {**start.variables['discriminator'], 'probability': jnp.float32(before)}})
    new, metrics = step(state)
    assert new.variables['discriminator'].keys() == ({'probability', 'spectral'} if spectral else {'probability'})
    np.testing.assert_allclose(new.variables['discriminator']['probability'], after, rtol=1e-6)
    np.testing.assert_allclose(metrics['discriminator/probability'], before)


def test_the_probability_is_of_each_image_and_in_both_losses():
  """At 0 nothing is augmented, at 1 everything, as without adaptation; between, some are."""
  batch = {'x': jnp.tile(jax.random.uniform(jax.random.key(1), (1, 8, 8, 1)), (64, 1, 1, 1))}
  keys = core.per_example(jax.random.key(2), jnp.arange(64))

  def seen(probability, **options):
    family = make(**options)
    state = core.create(family, jax.random.key(0), {'x': batch['x'][:1]})
    if probability is not None:
      state = state.replace(variables={**state.variables, 'discriminator': {'probability': jnp.float32(probability)}})
    found = {}
    for name, role in family.roles.items():
      _, aux = jax.jit(role.loss)(state.params[name], state, batch, keys, jax.random.key(3))
      found.update({f'{name}/{k}': v for k, v in aux.metrics.items() if k in ('real', 'fake')})
    return found
  augments = 'brightness,rotation'
  plain, always = seen(None), seen(None, augment=augments)
  none, some, all_ = (seen(p, augment=augments, adaptive=.6) for p in (0., .3, 1.))
  for name in plain:
    np.testing.assert_allclose(none[name], plain[name], atol=1e-6)
    np.testing.assert_allclose(all_[name], always[name], atol=1e-6)
    kept = np.isclose(some[name], plain[name], atol=1e-6).mean()
    assert .3 < kept < .7, (name, kept)   # neither of two at .3 each, or half a turn of none: .54 on average


# Growth

def growing(grow=4, network='progressive', side=12, **options):
  c = config.base('mnist', 'gan', network, discriminator={'optimizer': 'sgd', 'learning_rate': .1}, generator={'optimizer': 'sgd', 'ema': .5})
  c.family.update(latent=4, grow=grow, **options)
  c.network.width = 2
  if 'features' in c.network:
    c.network.features = 4
  return gan.make(c, data.Spec((side, side, 1)))


def test_the_game_grows_with_its_steps():
  """From 6 to 12 pixels: half the time as it is, then faded in, in training, sampling and scoring alike."""
  family, key = growing(penalty='r1'), jax.random.key(0)
  x = jnp.tanh(jax.random.normal(key, (4, 12, 12, 1)))
  keys = core.per_example(key, jnp.arange(4))
  state = core.create(family, core.fold(key, 'init'), {'x': x[:1]})
  sample, score = jax.jit(family.sample), jax.jit(lambda state: family.score(state, {'x': x}, keys)['discriminator'])
  at = lambda step: state.replace(step=jnp.int32(step))
  blocks = lambda x: x.reshape(4, 6, 2, 6, 2, 1)
  drawn, scored = [sample(at(i), keys) for i in range(6)], [score(at(i)) for i in range(6)]
  for found in drawn[:3]:   # steps 0 to 2: half of the four
    np.testing.assert_allclose(blocks(found), jnp.broadcast_to(blocks(found).mean((2, 4), keepdims=True), (4, 6, 2, 6, 2, 1)), atol=1e-6)
  raw = [jnp.arctanh(x) for x in drawn]
  np.testing.assert_allclose(raw[3], (raw[0] + raw[4]) / 2, atol=1e-5)
  for found in (drawn, scored):
    assert (found[0] == found[2]).all() and (found[4] == found[5]).all() and (found[0] != found[3]).any() and (found[3] != found[4]).any()
  step = jax.jit(lambda state: family.step(family, state, {'x': x}, keys, core.fold(key, 'batch')))
  later = {'discriminator': ('Conv_0', 'Conv_1', 'from_image_1'), 'generator': ('Conv_0', 'Conv_1', 'to_image_1')}
  part = {'discriminator': 'encoder', 'generator': 'decoder'}
  for i, moves in ((0, False), (3, True)):
    new, metrics = step(at(i))
    assert all(np.isfinite(v) for v in metrics.values())
    for role, names in later.items():
      for name in names:
        a, b = (s.params[role][part[role]][name]['kernel'] for s in (state, new))
        assert (a != b).any() == moves, (i, role, name)


@pytest.mark.parametrize('options', [dict(network='conv'), dict(network='mlp'), dict(side=8)], ids=str)
def test_what_cannot_grow_is_refused(options):
  with pytest.raises(core.InputError, match='does not grow'):
    growing(**options)


def test_growth_and_adaptation_are_the_same_in_every_layout(monkeypatch):
  """Half way through a fade, with a probability under way: the conformance suite grows nothing, and starts from no augmentation."""
  one = growing(augment='translation', adaptive=.6)
  many = devices(seeds(accumulated(one, 2), 2), make_mesh('seed=2,data=2'))
  sides = lambda trees: jax.tree.map(lambda *xs: jnp.stack(xs), *trees)
  root = jax.random.key(0, impl=KEYS)

  def given(seed):
    key = core.fold(root, seed)
    state = core.create(one, core.fold(key, 'init'), {'x': jnp.zeros((1, 12, 12, 1))}).replace(step=jnp.int32(3))
    state.variables['discriminator']['probability'] = jnp.float32(.5)
    x = jax.random.uniform(core.fold(key, 'x'), (8, 12, 12, 1), minval=-1.)
    return state, {'x': x}, core.per_example(core.fold(key, 'example'), jnp.arange(8)), core.fold(key, 'batch')
  each = [given(seed) for seed in range(2)]
  step = jax.jit(lambda *given: one.step(one, *given))
  expected = sides([step(*g) for g in each])
  state, *rest = sides(each)
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')   # the layout takes an accelerator's loops, which compile faster
  found = jax.jit(lambda *given: many.step(many, *given))(state.replace(step=jnp.int32(3)), *rest)
  whole = lambda state, metrics: (state.replace(step=()), metrics)
  close(whole(*found), whole(*expected))
