import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import weights

from gen_jax import config, core, data
from gen_jax.families import classifier
from gen_jax.modalities import text

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


def test_of_tokens_padding_counts_nothing_and_dropout_is_of_training():
  spec = data.Spec((6,), 2, False, modality='text', tokenizer=text.characters(['abcd'], 0).to_str())
  c = config.base('documents', 'classifier', 'transformer', model={})
  c.network.update(width=8, heads=2, layers=1, dropout=.5)
  family = classifier.make(c, spec)
  batch = {'x': np.array([[2, 3, 4, 2, 0, 0], [2, 5, 6, 3, 4, 2]]), 'condition': np.array([0, 1])}
  state = jax.tree.map(jnp.asarray, weights(lambda: core.create(family, jax.random.key(0), batch)))
  logits = family.classify(state, batch['x'])
  np.testing.assert_allclose(family.classify(state, batch['x'][:1, :4]), logits[:1], atol=1e-5)
  loss = lambda seed: family.roles['model'].loss(
      state.params['model'], state, batch, core.per_example(jax.random.key(seed), jnp.arange(2)), jax.random.key(0))[0]
  assert (loss(0) != loss(1)).all()
  np.testing.assert_array_equal(family.score(state, batch, None)['accuracy'], logits.argmax(-1) == batch['condition'])
  with pytest.raises(core.InputError, match='network mlp has no encoder of tokens'):
    classifier.make(config.base('documents', 'classifier', 'mlp', model={}), spec)


def test_what_makes_no_sense_is_refused():
  for options, message in ((dict(spec=data.Spec((2,))), 'needs labels'), (dict(smoothing=1.), 'smoothing=1.0')):
    with pytest.raises(core.InputError, match=message):
      make(**options)
