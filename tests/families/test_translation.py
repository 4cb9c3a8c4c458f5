"""Generators that can be worked out by hand: what they make is their input times a parameter."""
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import KEYS

from gen_jax import config, core, data
from gen_jax.families import translation
from gen_jax.networks import Parts, mlp

SPEC = data.Spec((16, 16, 3), paired=True)
RNG = np.random.default_rng(0)
BATCH = {name: RNG.uniform(-.9, .9, (4, *SPEC.shape)).astype(np.float32) for name in ('x', 'condition')}
SCALES = {'forward': .6, 'backward': -.3}


class Scaled(nn.Module):
  """tanh of it is the input times a parameter, 1 at first."""
  @nn.compact
  def __call__(self, x_B, level_B, condition):
    return jnp.arctanh(x_B * self.param('scale', nn.initializers.ones, ()))


def make(monkeypatch=None, spec=SPEC, **options):
  c = config.base('emoji', 'translation', 'mlp', discriminator={}, generator={'learning_rate': .01})
  c.network.width = 8
  c.family.update({'discriminator_width': 4, **options})
  if monkeypatch:
    monkeypatch.setattr(mlp, 'make', lambda options, spec: Parts(denoiser=Scaled()))
  return translation.make(c, spec)


def start(family, **scales):
  state = core.create(family, jax.random.key(0, impl=KEYS), BATCH)
  generator = {way: {'scale': jnp.float32(scales.get(way, 1.))} for way in state.params['generator']}
  return state.replace(params={**state.params, 'generator': generator})


def keys(n=4):
  return core.per_example(jax.random.key(7, impl=KEYS), jnp.arange(n))


def metrics(family, state, role='generator', batch=BATCH):
  loss_B, aux = family.roles[role].loss(state.params[role], state, batch, keys(), jax.random.key(1, impl=KEYS))
  return loss_B, aux.metrics


def mean(a):
  return np.abs(a).mean((1, 2, 3))


def test_generators_that_change_nothing_lose_nothing_in_a_cycle(monkeypatch):
  family = make(monkeypatch, cycle=10.)
  _, found = metrics(family, start(family))
  for way in translation.ENDS:
    np.testing.assert_allclose(found[f'{way}_cycle'], 0, atol=1e-5)
    np.testing.assert_allclose(found[f'{way}_identity'], 0, atol=1e-5)


def test_a_cycle_by_hand(monkeypatch):
  family = make(monkeypatch, cycle=10., identity=3.)
  loss_B, found = metrics(family, start(family, **SCALES))
  there = 0.
  for way, (source, target) in translation.ENDS.items():
    cycle, identity = (1 - .6 * -.3) * mean(BATCH[source]), (1 - SCALES[way]) * mean(BATCH[target])
    np.testing.assert_allclose(found[f'{way}_cycle'], cycle, rtol=1e-4)
    np.testing.assert_allclose(found[f'{way}_identity'], identity, rtol=1e-4)
    there += 10 * cycle + 3 * identity
  # What is left is adversarial: there are two discriminators of one image each.
  free = make(monkeypatch, cycle=1e-9, identity=0.)
  np.testing.assert_allclose(loss_B, there + metrics(free, start(free, **SCALES))[0], rtol=1e-4)


def test_pairs_by_hand(monkeypatch):
  family, free = make(monkeypatch, l1=100.), make(monkeypatch, l1=0.)
  loss_B, found = metrics(family, start(family, forward=.6))
  expected = mean(.6 * BATCH['condition'] - BATCH['x'])
  np.testing.assert_allclose(found['forward_l1'], expected, rtol=1e-4)
  np.testing.assert_allclose(loss_B, 100 * expected + metrics(free, start(free, forward=.6))[0], rtol=1e-4)
  assert set(start(family).params['generator']) == {'forward'}


@pytest.mark.parametrize('cycle, sees', [(0., True), (10., False)])
def test_only_of_pairs_does_the_discriminator_see_the_source(monkeypatch, cycle, sees):
  family = make(monkeypatch, cycle=cycle)
  state = start(family)
  real = lambda batch: metrics(family, state, 'discriminator', batch)[1]['forward_real']
  moved = real(BATCH) != real({**BATCH, 'condition': BATCH['condition'][::-1]})
  assert moved.all() if sees else not moved.any()


@pytest.mark.parametrize('cycle', [0., 10.])
def test_every_network_moves(cycle):
  family = make(cycle=cycle)
  state = core.create(family, jax.random.key(0, impl=KEYS), BATCH)
  new, _ = jax.jit(lambda state: family.step(family, state, BATCH, keys(), jax.random.key(1, impl=KEYS)))(state)
  for role in ('discriminator', 'generator'):
    assert set(new.params[role]) == (set(translation.ENDS) if cycle else {'forward'})
    for a, b in zip(jax.tree.leaves(state.params[role]), jax.tree.leaves(new.params[role])):
      assert (a != b).any()


def test_the_score_of_the_truth_and_of_what_is_off_by_a_tenth(monkeypatch):
  family = make(monkeypatch)
  perfect = family.score(start(family), {**BATCH, 'x': BATCH['condition']}, keys())
  np.testing.assert_allclose(perfect['ssim'], 1, atol=1e-4)
  np.testing.assert_allclose(perfect['l1'], 0, atol=1e-5)
  assert (perfect['psnr'] > 90).all()
  off = family.score(start(family), {**BATCH, 'x': BATCH['condition'] + .1}, keys())
  np.testing.assert_allclose(off['psnr'], 20 * np.log10(2 / .1), rtol=1e-3)
  np.testing.assert_allclose(off['l1'], .1, rtol=1e-3)
  assert (off['ssim'] < 1).all()


@pytest.mark.parametrize('spec, options, said', [
    (data.Spec((16, 16, 3)), {}, 'is of pairs of images'), (SPEC._replace(bounded=False), {}, 'without codec'),
    (SPEC, dict(loss='relativistic'), 'there are minimax, nonsaturating'), (SPEC, dict(cycle=-1.), 'at least 0')], ids=str)
def test_what_is_refused(spec, options, said):
  with pytest.raises(core.InputError, match=said):
    make(spec=spec, **options)


def test_what_is_mixed_is_not_learnt_from_as_pairs():
  c = config.base('emoji', 'translation', 'mlp', discriminator={}, generator={})
  c.data.update(other='twitter', unpaired=True)
  c.family.cycle = 10.
  translation.make(c, SPEC)
  c.family.cycle = 0.
  with pytest.raises(core.InputError, match='learns from pairs'):
    translation.make(c, SPEC)
