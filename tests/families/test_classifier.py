import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import config, core, data
from gen_jax.families import classifier

SPEC = data.Spec((2,), classes=2, bounded=False)


def make(spec=SPEC, **options):
  c = config.base('mnist', 'classifier', 'mlp', model={'learning_rate': .05})
  c.family.update(options)
  c.network.width = 8
  return classifier.make(c, spec)


def test_it_learns_what_can_be_separated():
  family, key = make(smoothing=.1), jax.random.key(0)
  x = jax.random.normal(jax.random.key(1), (64, 2))
  batch = {'x': x, 'condition': (x.sum(-1) > 0).astype(jnp.int32)}
  keys = lambda: core.per_example(key, jnp.arange(64))
  state = core.create(family, key, batch)
  step = jax.jit(lambda state: family.step(family, state, batch, keys(), key))
  for _ in range(60):
    state, metrics = step(state)
  score = family.score(state, batch, keys())
  assert score['accuracy'].mean() == metrics['model/accuracy'] > .95
  assert score['cross_entropy'].mean() < metrics['model/loss']   # scored without smoothing
  np.testing.assert_array_equal(score['accuracy'] == 1, score['cross_entropy'] < np.log(2))


def test_what_makes_no_sense_is_refused():
  for options, message in ((dict(spec=data.Spec((2,))), 'needs labels'), (dict(smoothing=1.), 'smoothing=1.0')):
    with pytest.raises(core.InputError, match=message):
      make(**options)
