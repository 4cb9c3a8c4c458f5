import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import config, core, data
from gen_jax.families import contrastive

SPEC = data.Spec((8, 8, 1), words=('blue', 'green', 'red'), length=3)


def make(spec=SPEC, **options):
  c = config.base('mnist', 'contrastive', 'mlp', model=dict(learning_rate=3e-3))
  c.network.width = 32
  c.family.update(options)
  return contrastive.make(c, spec)


def batch(n, rng):
  """Pictures as bright as their word says."""
  word = rng.integers(0, 3, n)
  x = np.full((n, 8, 8, 1), (word - 1)[:, None, None, None], np.float32) + .1 * rng.standard_normal((n, 8, 8, 1)).astype(np.float32)
  return {'x': x, 'condition': np.pad(word[:, None] + 2, ((0, 0), (0, 2))).astype(np.int32)}


def test_it_learns_which_caption_is_a_pictures():
  family, rng = make(), np.random.default_rng(0)
  keys = core.per_example(jax.random.key(0), jnp.arange(12))
  state = core.create(family, jax.random.key(0), batch(1, rng))
  step = jax.jit(lambda state, batch: family.step(family, state, batch, keys, jax.random.key(1)))
  for _ in range(60):
    state, metrics = step(state, batch(12, rng))
  # Pictures of one caption can't be told apart, and none counts as another's mistake.
  assert metrics['model/accuracy'] == 1
  test = batch(30, rng)
  other = {**test, 'condition': np.where(test['condition'] >= 2, (test['condition'] - 1) % 3 + 2, 0)}
  cosine = lambda batch: family.score(state, batch, keys)['cosine']
  assert (cosine(test) > cosine(other)).all() and jnp.abs(cosine(test)).max() <= 1 + 1e-6


def test_captions_are_needed_and_microbatches_refused():
  with pytest.raises(core.InputError, match='needs captions'):
    make(data.Spec((8, 8, 1), classes=3))
  assert not make().roles['model'].per_example
