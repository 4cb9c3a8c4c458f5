"""The policy's gradient is that of the expected reward, and a textgan starts from what maximum likelihood has learnt."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import KEYS

from gen_jax import checkpoint, config, core, data, manifest, networks, run
from gen_jax.data import oracle
from gen_jax.families import textgan
from gen_jax.modalities import text

A, B = 3, 4
SPEC = data.Spec((3,), bounded=False, modality='text', tokenizer=oracle.numbers(2))


def make(spec=SPEC, sample=(), network='recurrent', **family):
  c = config.base('oracle', 'textgan', network, discriminator={'optimizer': 'sgd'}, model={'optimizer': 'sgd', 'learning_rate': .1})
  c.network.update({'width': 4, **(dict(layers=1, heads=1) if network == 'transformer' else {})})
  c.family.update({'features': 4, 'rollouts': 2, **family})
  c.sample.update(dict(sample))
  return c, textgan.make(c, spec)


def start(family):
  """A state away from the start, where all texts are nearly as likely and as real."""
  state = jax.jit(lambda: core.create(family, jax.random.key(0, impl=KEYS), {'x': np.zeros((1, *SPEC.shape), np.int32)}))()
  return state.replace(params=jax.tree.map(lambda p: 2 * p if p.ndim > 1 else p, state.params))


def keys(n):
  return core.per_example(jax.random.key(1, impl=KEYS), jnp.arange(n))


def test_the_policys_gradient_is_that_of_the_expected_reward():
  """By listing all texts, against the mean of many; and it comes through what is worth something alone."""
  c, family = make()
  state = start(family)
  network, = networks.make(c.network, SPEC, 'causal')
  G, D = network.clone(vocabulary=5), textgan.Discriminator(5, 4)
  every = np.array([(A, text.END, text.NOTHING), *((A, i, j) for i in (A, B) for j in (text.END, A, B))])

  @jax.jit
  def exact(params):
    def expected(own):
      logits = jnp.where(jnp.arange(5)[None, None] < text.END, -jnp.inf, G.apply({'params': own}, every[:, :-1]))
      told = jnp.take_along_axis(jax.nn.log_softmax(logits), every[:, 1:, None], axis=2)[..., 0]
      p = jnp.exp(jnp.where(every[:, 1:] == text.NOTHING, 0, told).sum(-1))
      return (p * jax.nn.sigmoid(D.apply({'params': params['discriminator']}, every[:, 1:]))).sum(), p.sum()
    return jax.value_and_grad(expected, has_aux=True)(params['model'])

  @jax.jit
  def estimates(state):
    x, each = jnp.full((40, 250, 3), A), keys(10_000).reshape(40, 250)
    def one(given):
      found = core.mean_gradient(family.roles['model'].loss, state.params['model'], state, {'x': given[0]}, given[1], given[1][0])
      return found.grads, found.metrics['reward']
    return jax.lax.map(one, (x, each))
  (reward, total), gradient = exact(state.params)
  grads, rewards = estimates(state)
  np.testing.assert_allclose(total, 1, rtol=1e-5)
  assert abs(rewards.mean() - reward) < 5 * rewards.std() / 40**.5
  size = 0.
  for one, many in zip(jax.tree.leaves(gradient), jax.tree.leaves(grads)):
    error = many.std(0) / 40**.5
    assert (jnp.abs(-many.mean(0) - one) <= 5 * error + 1e-7).all()
    size = max(size, float((jnp.abs(one) / (error + 1e-7)).max()))
  assert size > 10   # so it is not zero that it agrees with
  indifferent = jax.tree.map(jnp.zeros_like, state.params['discriminator'])   # a reward of .5, as the baseline
  grads, _ = estimates(state.replace(params={**state.params, 'discriminator': indifferent}))
  assert all((g == 0).all() for g in jax.tree.leaves(grads))


@pytest.mark.parametrize('game', ['seqgan', 'relgan'])
def test_a_transformer_plays(game):
  _, family = make(network='transformer', game=game)
  state, batch = start(family), {'x': np.random.default_rng(0).integers(text.END, 5, (8, 3))}
  new, metrics = jax.jit(lambda state: family.step(family, state, batch, keys(8), jax.random.key(2, impl=KEYS)))(state)
  assert all(np.isfinite(v) for v in metrics.values())
  moved = jax.tree.map(lambda a, b: (a != b).any(), state.params, new.params)
  same = [jax.tree_util.keystr(path) for path, one in jax.tree_util.tree_leaves_with_path(moved) if not one]
  assert same == (["['discriminator']['logit']['bias']"] if game == 'relgan' else [])   # which cancels in a difference


def test_a_step_of_seqgan_moves_all_and_keeps_the_mean_reward():
  _, family = make()
  state = start(family)
  batch = {'x': np.random.default_rng(0).integers(text.END, 5, (8, 3))}
  new, metrics = jax.jit(lambda state: family.step(family, state, batch, keys(8), jax.random.key(2, impl=KEYS)))(state)
  assert all(np.isfinite(v) for v in metrics.values())
  for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(new.params)):
    assert (a != b).any()
  baseline = new.variables['model']['baseline']
  np.testing.assert_allclose(baseline[-1], textgan.KEPT * .5 + (1 - textgan.KEPT) * metrics['model/reward'], rtol=1e-5)
  assert baseline.shape == (2,)


def test_what_follows_an_end_is_not_seen():
  x = np.array([[A, text.END, B, text.END, A], [text.END, A, B, A, B], [A, B, A, B, A]])
  np.testing.assert_array_equal(textgan.ended(x), [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]])


def test_it_starts_from_maximum_likelihood_and_writes_what_that_writes(tmp_path):
  def built(family, **roles):
    c = config.variant(config.base('oracle', family, 'recurrent', **roles), 'smoke')
    c.mesh = 'data=1'
    return run.build(c, SPEC)
  before = built('autoregressive', model={})
  state = run.initial(before)
  checkpoint.save(tmp_path / 'checkpoints', state, keep=1)
  config.save(before.config, tmp_path / 'config.json')
  manifest.write(tmp_path, {'spec': SPEC._asdict()})
  made = built('textgan', model={'ema': .9}, discriminator={})
  made.config.update(init_from=str(tmp_path), seed=5)
  new = run.initial(made)
  for tree in (new.params, new.ema):
    jax.tree.map(np.testing.assert_array_equal, tree['model'], state.params['model'])
  np.testing.assert_array_equal(*[jax.jit(f.sample)(s, keys(20)) for f, s in ((before.family, state), (made.family, new))])


@pytest.mark.parametrize('options, said', [
    (dict(game='leakgan'), "family.game='leakgan': there are seqgan, relgan"), (dict(rollouts=0), 'family.rollouts=0'),
    (dict(temperature=0.), r'must be in \(0, 1\]'), (dict(spec=data.Spec((8, 8, 1))), 'is of tokens, and oracle has none'),
    (dict(spec=SPEC._replace(shape=(2,))), 'data.length=2'), (dict(sample={'top_p': 2.}), 'sample.top_p=2.0')], ids=lambda o: str(o)[:30])
def test_what_makes_no_sense_is_refused(options, said):
  with pytest.raises(core.InputError, match=said):
    make(**options)
