import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import config, core, data
from gen_jax.families import gan

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


def test_spectral_vectors_are_kept():
  """One power iteration a turn, from those that the state holds."""
  start, state, _ = played(make(spectral=True))
  for path, u in state.variables['discriminator'].items():
    assert (u != start.variables['discriminator'][path]).any()
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
    (dict(augment='cutout', spec=data.Spec((2,), bounded=False)), 'for images')], ids=lambda o: str(o)[:40])
def test_what_makes_no_sense_is_refused(options, message):
  with pytest.raises(core.InputError, match=message):
    make(**options)
