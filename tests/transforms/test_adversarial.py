"""Of a loss that is linear in the embeddings, what the worst place within the radius costs is known."""
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from gen_jax import config, core, data, run
from gen_jax.transforms.adversarial import adversarial
from gen_jax.transforms.seeds import seeds

V, F, L, B = 5, 4, 3, 6
DIRECTION = np.random.default_rng(0).standard_normal((L, F)).astype(np.float32)


class Linear(nn.Module):
  times: int = 1

  @nn.compact
  def __call__(self, tokens_BxL):
    embed = nn.Embed(V, F)
    return sum((embed(tokens_BxL) * DIRECTION[None]).sum((1, 2)) for _ in range(self.times))


def game(times=1):
  net = Linear(times)

  def init(key, batch):
    return {'model': net.init(key, batch['x'])['params']}, {'model': {}}, {}

  def loss(own, state, batch, keys_B, key):
    loss_B = net.apply({'params': own}, batch['x']) * jnp.arange(1., 1 + len(batch['x']))   # each example's gradient is as long as its number
    return loss_B, core.Aux({'told': loss_B})
  return core.Family(init, {'model': core.Role(loss, optax.sgd(.1))})


def told(family, seed=0):
  x = np.random.default_rng(1).integers(0, V, (B, L))
  params = game().init(jax.random.key(0), {'x': x})[0]['model']
  return family.roles['model'].loss(params, None, {'x': x}, core.per_example(jax.random.key(seed), jnp.arange(B)), jax.random.key(2))


def options(**changes):
  return ConfigDict({**config.DEFAULTS['adversary'], **changes})


STEEP = np.linalg.norm(DIRECTION) * np.arange(1, B + 1)


def test_fgm_is_half_the_worst_place():
  plain_B, moved_B = told(game())[0], told(adversarial(game(), options(method='fgm', radius=.7)))[0]
  np.testing.assert_allclose(moved_B, plain_B + .7 * STEEP / 2, rtol=1e-5)


def test_freelb_climbs_from_a_random_place_to_the_edge():
  plain_B = told(game())[0]
  of = lambda seed=0, **more: np.asarray((told(adversarial(game(), options(method='freelb', radius=1., **more)), seed)[0] - plain_B) / STEEP)
  first = of(steps=1)
  assert (np.abs(first) < 1).all() and len(set(first.round(5))) == B and (of(1, steps=1) != first).all()
  mean = of(steps=40, rate=.5)
  assert (mean > .9).all() and (mean < 1).all()   # most of the 40 places are the worst one
  second = 2 * of(steps=2, rate=.3) - first
  assert (second > first).all() and (second <= first + .3 + 1e-5).all()   # on a slope a step is worth its length, less what the radius cuts off
  assert second == pytest.approx(first + .3, abs=.05)


def test_padding_is_not_moved_and_takes_nothing_of_the_radius():
  x = np.array([[1, 2, 0], [1, 0, 0]])
  params, keys_B = game().init(jax.random.key(0), {'x': x})[0]['model'], core.per_example(jax.random.key(0), jnp.arange(2))
  of = lambda **o: adversarial(game(), options(**o), nothing=0).roles['model'].loss(params, None, {'x': x}, keys_B, None)[0]
  plain_B = game().roles['model'].loss(params, None, {'x': x}, keys_B, None)[0]
  steep_B = np.array([np.linalg.norm(DIRECTION[:2]), 2 * np.linalg.norm(DIRECTION[:1])])
  np.testing.assert_allclose(of(method='fgm', radius=.7), plain_B + .7 * steep_B / 2, rtol=1e-5)
  assert ((of(method='freelb', radius=1., steps=60) - plain_B) / steep_B > .9).all()


def test_metrics_are_means_too_and_parameters_learn():
  family = adversarial(game(), options(method='fgm'))
  loss_B, aux = told(family)
  np.testing.assert_array_equal(aux.metrics['told'], loss_B)
  own = game().init(jax.random.key(0), {'x': np.zeros((1, L), int)})[0]['model']
  keys_B = core.per_example(jax.random.key(0), jnp.arange(2))
  g = jax.grad(lambda own: family.roles['model'].loss(own, None, {'x': np.ones((2, L), int)}, keys_B, None)[0].sum())
  np.testing.assert_allclose(g(own)['Embed_0']['embedding'][1], 3 * DIRECTION.sum(0), rtol=1e-5)   # as of the plain loss: a slope is one everywhere


@pytest.mark.parametrize('family, changes, said', [
    (game(), dict(method='pgd'), 'adversary.method=pgd: must be fgm, freelb'), (game(), dict(method='fgm', radius=0.), 'must be above 0'),
    (seeds(game(), 2), dict(method='fgm'), 'goes inside')])
def test_what_is_refused(family, changes, said):
  with pytest.raises(core.InputError, match=said):
    adversarial(family, options(**changes))


def test_what_embeds_never_or_twice_is_refused_in_training():
  with pytest.raises(core.InputError, match='embeds tokens 2 times'):
    told(adversarial(game(2), options(method='fgm')))
  c = config.variant(config.base('mnist', 'vae', 'mlp', model={}), 'smoke')
  c.adversary.method = 'fgm'
  c.mesh = 'data=1'
  made = run.build(c.lock(), data.Spec((8, 8, 1), 10))
  batch = {'x': jnp.zeros((2, 8, 8, 1)), 'condition': jnp.zeros(2, jnp.int32)}
  with pytest.raises(core.InputError, match='embeds tokens 0 times'):
    jax.eval_shape(lambda: made.family.step(made.family, core.create(made.family, made.key, batch), batch, jax.random.split(made.key, 2), made.key))
