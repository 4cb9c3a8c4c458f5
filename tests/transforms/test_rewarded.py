"""Gradients of rewards, against all that a small model can make; and runs that stay near to their reference."""
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from toys import KEYS, close, weights

from gen_jax import checkpoint, config, core, data, loop, rewards, run
from gen_jax.families import autoregressive
from gen_jax.modalities import text
from gen_jax.transforms.rewarded import rewarded

EVERY = np.array(list(itertools.product((-1., 1.), repeat=3)), np.float32).reshape(-1, 3, 1, 1)
WORTH = np.array([.3, -1., 2., 0., 0., .5, -2., 1.], np.float32)
reward = lambda x_N: WORTH[(np.asarray(x_N).reshape(-1, 3) > 0) @ [4, 2, 1]]


@functools.cache
def toy(reward=reward, **options):
  """(the rewarded family, the plain one, a state) of images of three pixels of two levels, away from the reference."""
  c = config.base('mnist', 'autoregressive', 'recurrent', model=dict(optimizer='sgd', learning_rate=1.))
  c.network.width, c.family.binarize = 4, 'threshold'
  plain = autoregressive.make(c, data.Spec((3, 1, 1)))
  made = rewarded(plain, plain.sample, reward, ConfigDict({**rewards.DEFAULTS, **options}))
  state = weights(lambda: core.create(made, jax.random.key(0, impl=KEYS), {'x': EVERY[:1]}))
  reference = jax.tree.map(lambda p: -p, state.params)
  variables = {'model': {'of': {}, 'kl': np.float32(options.get('kl', .1))}}
  return made, plain, jax.tree.map(jnp.asarray, state.replace(variables=variables, frozen={'reference': reference}))


def keys(n, seed=1):
  return core.per_example(jax.random.key(seed), jnp.arange(n))


def log_p(plain, state, params):
  bare = state.replace(params=params, variables={'model': {}}, frozen={})
  return plain.score(bare, {'x': EVERY}, keys(len(EVERY)))['log_likelihood_threshold']


def test_reinforce_follows_the_gradient_of_the_expected_reward():
  made, plain, state = toy(method='reinforce', group=4, kl=.5)

  def objective(params):
    log_p_N, log_q_N = log_p(plain, state, params), log_p(plain, state, state.frozen['reference'])
    return (jnp.exp(log_p_N) * (WORTH - .5 * (log_p_N - log_q_N))).sum()
  flat = lambda tree: jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(tree)])
  exact = -flat(jax.grad(objective)(state.params))

  @jax.jit
  def estimate(key):
    role, many = made.roles['model'], core.per_example(key, jnp.arange(1000))
    return flat(core.mean_gradient(role.loss, state.params['model'], state, {'x': jnp.zeros((1000, 3, 1, 1))}, many, key).grads)
  found = np.stack([estimate(jax.random.key(i)) for i in range(20)])
  error = found.std(0, ddof=1) / len(found)**.5
  assert (np.abs(found.mean(0) - exact) < 5 * error + 1e-5).all()
  assert np.abs(exact).max() > 12 * error.max()   # and not because the error is large


def loss(made, state, n=3, key=keys):
  role = made.roles['model']
  return jax.jit(lambda state: role.loss(state.params['model'], state, {'x': jnp.zeros((n, 3, 1, 1))}, key(n), jax.random.key(0)))(state)


def test_what_is_compared_is_the_group():
  """A reward in other units and from another zero is the same to grpo; the divergence is that of what was drawn."""
  made, plain, state = toy(method='grpo', kl=0.)
  other, *_ = toy(lambda x_N: 10 * reward(x_N) - 3, method='grpo', kl=0.)
  (a, aux), (b, _) = loss(made, state), loss(other, state)
  np.testing.assert_allclose(a, b, rtol=1e-2)   # 1e-4 is added to the deviation
  log_p_N, log_q_N = log_p(plain, state, state.params), log_p(plain, state, state.frozen['reference'])
  drawn = jax.vmap(core.per_example, (0, None))(core.fold(keys(3), 'draw'), jnp.arange(8)).reshape(-1)
  x_N = np.asarray(jax.jit(plain.sample)(state.replace(variables={'model': {}}, ema={}), drawn))
  at = (x_N.reshape(-1, 3) > 0) @ [4, 2, 1]
  np.testing.assert_allclose(aux.metrics['kl'], (log_p_N - log_q_N)[at].reshape(3, 8).mean(-1), rtol=1e-4)
  np.testing.assert_allclose(aux.metrics['reward'], WORTH[at].reshape(3, 8).mean(-1), rtol=1e-5)
  # dpo, of the same draws.
  found, _ = loss(toy(method='dpo')[0], state.replace(variables={'model': {'of': {}, 'kl': jnp.array(2.)}}))
  k_BxG, worth_BxG = (log_p_N - log_q_N)[at].reshape(3, 8), WORTH[at].reshape(3, 8)
  margin = [k[w.argmax()] - k[w.argmin()] for k, w in zip(k_BxG, worth_BxG)]
  np.testing.assert_allclose(found, np.log1p(np.exp(-2 * np.array(margin))), rtol=1e-4)


def test_an_example_is_alone_and_a_reward_that_is_no_number_is_no_loss():
  """Of the first the layouts are made, by the second the loop stops."""
  made, _, state = toy(lambda x_N: np.where(np.arange(len(x_N)) < 24, reward(x_N), np.nan), method='reinforce')
  few, many = loss(made, state, 3), loss(made, state, 4)
  close(jax.device_get(few), jax.device_get(jax.tree.map(lambda a: a[:3] if a.ndim else few[1].statistics, many)))
  assert np.isnan(many[0][3]) and np.isnan(many[1].metrics['reward'][3])


@pytest.mark.parametrize('method', ['grpo', 'dpo'])
def test_nothing_is_learnt_where_all_are_worth_the_same(method):
  made, _, state = toy(lambda x_N: np.ones(len(x_N)), method=method, kl=0. if method == 'grpo' else .1)
  role = made.roles['model']
  grads = jax.jit(lambda: core.mean_gradient(role.loss, state.params['model'], state, {'x': jnp.zeros((2, 3, 1, 1))}, keys(2), None).grads)()
  assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(grads)) == 0


def test_the_cost_of_a_nat_follows_the_divergence():
  made, *_ = toy(kl=.2, kl_target=2.)
  cost = lambda kl: float(made.roles['model'].update({'of': {}, 'kl': jnp.array(.2)}, kl, None)['kl'])
  assert cost(9.) == pytest.approx(.2 * 1.02) and cost(0.) == pytest.approx(.2 * .98) and cost(2.2) == pytest.approx(.2 * 1.01)
  assert float(toy(kl=.2)[0].roles['model'].update({'of': {}, 'kl': .2}, 9., None)['kl']) == .2


# Runs, on text.

LETTERS = text.characters(['a b\n'], 0).to_str()
SPEC = data.Spec((9,), bounded=False, modality='text', tokenizer=LETTERS)


def configured(text_file, reward='', changes=(), **options):
  c = config.base('text', 'autoregressive', 'recurrent', reward=reward, model=dict(optimizer='sgd', learning_rate=1.))
  c.data.update(path=str(text_file), length=9)
  c.network.width = 8
  if reward:
    c.reward.update({'prompt': 3, 'group': 4, 'target': 2, 'kl': .01, **dict(changes)})
  c.frozen.reference = options.pop('reference', None)
  c.update({'mesh': 'data=1', 'steps': 2, 'batch_size': 8, 'log_every': 1, 'sample_every': 0, 'checkpoint_every': 2, **options})
  return c


@pytest.fixture(scope='module')
def story(tmp_path_factory):
  path = tmp_path_factory.mktemp('story') / 'story.txt'
  path.write_text('a b\nb a\n' * 60)
  return path


@pytest.fixture(scope='module')
def reference(story, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('reference')
  loop.train(configured(story), workdir)
  return str(workdir)


def test_a_run_stays_by_its_reference(story, reference, tmp_path):
  near = dict(init_from=reference, reference=reference)
  before = checkpoint.state_sha256(run.load(reference)[1])
  record = loop.train(configured(story, 'length', **near), tmp_path / 'one')
  assert record['frozen'] == {'reference': before}
  rows = loop.log.read(tmp_path / 'one' / 'metrics.jsonl')
  assert rows[0]['model/kl'] == pytest.approx(0, abs=1e-5) and -1 <= rows[0]['model/reward'] <= 0 and abs(rows[1]['model/kl']) > 1e-4
  made, state = run.load(tmp_path / 'one')
  assert run.sampler(made)(state, made.key, None, 2).shape == (2, 9)


@pytest.mark.parametrize('options, said', [
    ({}, 'needs config.frozen.reference=WORKDIR'), (dict(method='ppo'), 'reward.method=ppo: must be reinforce, grpo, dpo'),
    (dict(group=1), 'at least 2'), (dict(kl=-1.), 'reward.kl=-1.0: must be'),
    (dict(kl=0., method='dpo'), 'reward.kl=0 holds'), (dict(kl=0., kl_target=1.), 'reward.kl=0 holds'),
    (dict(prompt=-1), 'reward.prompt=-1: must be'),
    (dict(target=0), 'reward.target=0'), (dict(prompt=9), 'reward.prompt=9 is of texts of more')])
def test_what_is_refused(story, reference, options, said):
  near = dict(init_from=reference, reference=reference, changes=options) if options else {}
  with pytest.raises(core.InputError, match=said):
    made = run.build(configured(story, 'length', **near), SPEC)
    jax.eval_shape(made.family.roles['model'].loss, run.abstract(made).params['model'], run.with_frozen(made, run.initial(made)),
                   {'x': jnp.zeros((2, 9), jnp.int32)}, keys(2), jax.random.key(0))


def test_a_prompt_that_has_an_end_counts_for_nothing(story, reference):
  made = run.build(configured(story, 'length', init_from=reference, reference=reference), SPEC)
  state, loss = run.initial(made), jax.jit(made.family.roles['model'].loss)
  x = np.random.default_rng(0).integers(text.END + 1, text.END + 3, (4, 9))
  x[1, 2] = x[3, 0] = text.END   # where a text begins it counts
  _, aux = loss(state.params['model'], state, {'x': x}, keys(4), jax.random.key(0))
  np.testing.assert_array_equal(aux.weight_B, [1, 0, 1, 1])
  np.testing.assert_allclose(aux.statistics, aux.metrics['kl'][np.array([0, 2, 3])].mean(), rtol=1e-5)


def test_what_is_not_all_told_and_what_would_not_be_used_is_refused(story, reference):
  c = configured(story, 'length', init_from=reference, reference=reference)
  with pytest.raises(core.InputError, match='a reward is of texts without turns'):
    run.build(c, SPEC._replace(between_turns=4))
  c.adversary.method = 'fgm'
  with pytest.raises(core.InputError, match='config.adversary with a reward'):
    run.build(c, SPEC)
