import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from gen_jax import core, optimizers


def role(steps=100, **options):
  return optimizers.role(ConfigDict({**optimizers.DEFAULTS, **options}), steps, loss=None)


def rates(role, turns):
  """The learning rate of each turn: how far SGD moves under a slope of 1."""
  state, moved = role.optimizer.init(jnp.zeros(())), []
  update = jax.jit(role.optimizer.update)
  for _ in range(turns):
    step, state = update(jnp.ones(()), state, jnp.zeros(()))
    moved.append(-float(step))
  return np.array(moved)


SGD = dict(optimizer='sgd', b1=0., learning_rate=.4)


def test_schedules():
  np.testing.assert_allclose(rates(role(8, **SGD), 10), .4, rtol=1e-6)
  np.testing.assert_allclose(rates(role(8, **SGD, schedule='linear'), 10), .4 * np.maximum(0, 1 - np.arange(10) / 8), atol=1e-7)
  np.testing.assert_allclose(rates(role(8, **SGD, schedule='cosine'), 9), .2 * (1 + np.cos(np.pi * np.arange(9) / 8)), atol=1e-6)


def test_schedules_count_turns():
  np.testing.assert_allclose(rates(role(4, **SGD, schedule='linear', turns=2), 8), .4 * (1 - np.arange(8) / 8), atol=1e-7)


def test_warmup_comes_before_the_schedule_and_out_of_its_turns():
  found = rates(role(10, **SGD, schedule='linear', warmup=4), 11)
  np.testing.assert_allclose(found, [0, .1, .2, .3, *(.4 * (1 - np.arange(7) / 6))], atol=1e-7)


@pytest.mark.parametrize('name', optimizers.OPTIMIZERS)
def test_every_optimizer_is_the_one_it_is_called(name):
  options = dict(learning_rate=.1, b1=.8, b2=.95, **(dict(weight_decay=.01) if name in optimizers.DECAYING else {}))
  wanted = {'adam': optax.adam(.1, .8, .95), 'adamw': optax.adamw(.1, .8, .95, weight_decay=.01),
            'lion': optax.lion(.1, .8, .95, weight_decay=.01), 'sgd': optax.sgd(.1, .8)}[name]
  params, ours = jnp.array([1., -2.]), role(optimizer=name, **options).optimizer
  a, b = ours.init(params), wanted.init(params)
  for slope in ([1., .1], [-.5, .1], [3., .2]):
    x, a = ours.update(jnp.array(slope), a, params)
    y, b = wanted.update(jnp.array(slope), b, params)
    np.testing.assert_allclose(x, y, rtol=1e-6)


def test_what_follows_the_optimizer_and_what_goes_into_the_role():
  halved = optax.stateless(lambda updates, params: jax.tree.map(lambda u: u / 2, updates))
  made = optimizers.role(ConfigDict({**optimizers.DEFAULTS, **SGD, 'turns': 3, 'clip': .5, 'ema': .9}), 10, 'loss', halved, per_example=False)
  assert (made.loss, made.turns, made.clip, made.ema, made.per_example) == ('loss', 3, .5, .9, False)
  np.testing.assert_allclose(rates(made, 1), .2, rtol=1e-6)


@pytest.mark.parametrize('options', [dict(optimizer='adma'), dict(schedule='cos'), dict(learning_rate=-1.), dict(b1=1.), dict(b2=-.1),
                                     dict(ema=1.), dict(ema=.9, ema_width=.1), dict(ema_width=.5), dict(clip=0.), dict(clip=float('nan')),
                                     dict(weight_decay=.1), dict(turns=0)], ids=str)
def test_what_makes_no_sense_is_refused(options):
  with pytest.raises(core.InputError, match=f'{next(iter(options))}='):
    role(**options)


@pytest.mark.parametrize('width', [.05, .1, .2])
def test_a_power_average_is_as_wide_as_asked_at_any_time(width):
  decay = optimizers.power_average(width)
  for n in (500, 2000):
    weights = np.zeros(n)
    for step in range(n):
      weights *= float(decay(step))
      weights[step] = 1 - float(decay(step))
    at = np.arange(n) / n
    mean = (weights * at).sum()
    np.testing.assert_allclose([weights.sum(), ((weights * (at - mean)**2).sum())**.5], [1, width], atol=.002)
