"""What every family, network, source, transformation and evaluator owes the others. A new file and its config are found here by themselves.

Families are those of the configs, in their smoke form and with the mlp network, for it compiles fastest; convolutions have a test of their own.
"""
import copy
import functools
import gc
import importlib
import json
import os
import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from toys import KEYS, close

from gen_jax import checkpoint, config, core, data, run
from gen_jax.data import oracle
from gen_jax.modalities import text

ROOT = pathlib.Path(__file__).parents[1]
GOLDENS = pathlib.Path(__file__).parent / 'goldens.json'
MODULES = [(kind, path.stem) for kind in ('data', 'evals', 'families', 'networks', 'rewards', 'transforms')
           for path in sorted((ROOT / 'gen_jax' / kind).glob('[a-z]*.py'))]
# Parameters whose gradient is zero by design: a critic's offset, where only differences of its outputs count (hinge: within the margin).
OFFSET = "discriminator['Dense_0']['bias']"
KEEPS_ITS_START = {'gaussians_gan': OFFSET, 'mnist_acgan': OFFSET, 'mnist_r3gan': OFFSET, 'mnist_wgan_gp': OFFSET,
                   'oracle_relgan': "discriminator['logit']['bias']"}

# What grows, which the mlp does not, is in tests/families/test_gan.py; what differs from mnist_diffusion in its target alone in test_diffusion.py;
# what needs a trained run in tests/transforms/test_rewarded.py (of molecules in .ci/smoke.py); rolls_gpt is text_gpt of several documents a
# sequence (tests/data/test_rolls.py) and oracle_mle its game; what rolls out texts, which takes long to compile, is in test_textgan.py; a VAE's
# learnt prior in test_vae.py; learnt ends in test_diffusion.py; the GANs of emoji are those of mnist in colour.
ELSEWHERE = {'text_reward', 'molecules_reward', 'rolls_gpt', 'oracle_mle', 'oracle_seqgan', 'mnist_progressive', 'mnist_flow',
             'emoji_ada', 'emoji_progressive', 'emoji_r3gan', 'fashion_mnist_flow', 'mnist_consistency', 'fashion_mnist_consistency',
             'fashion_mnist_binary_mixture', 'fashion_mnist_bits'}


@functools.cache
def _spec(options: str) -> data.Spec:
  o = json.loads(options)
  if o['name'] == 'emoji':   # which are not on every machine: examples of their kinds, and small
    return data.Spec((16, 16, 3), paired=bool(o['other']), **(dict(words=('blue', 'green', 'red'), length=4) if o['captions'] else {}))
  if o['name'] in ('text', 'molecules', 'chorales'):   # of files; tokens of each make the same game
    return data.Spec((9,), bounded=False, modality='text', tokenizer=text.characters(['abcdefgh'], 0).to_str())
  if o['name'] == 'documents':
    return data.Spec((9,), 3 * o['labels'], False, modality='text', between_turns=4 * o['turns'], tokenizer=text.characters(['abcdefgh'], 0).to_str())
  if o['name'] == 'oracle':   # fewer numbers
    return data.Spec((5,), bounded=False, modality='text', tokenizer=oracle.numbers(5))
  return data.make(ConfigDict({'data': json.loads(options)}).lock(), 'train').spec


def _cases() -> dict:
  """{config's name: (config, spec)} of every distinct game, without those whose data is not on this machine."""
  cases, seen = {}, set()
  for path in sorted((ROOT / 'configs').glob('[a-z]*.py'), reverse=True):
    c = importlib.import_module(f'configs.{path.stem}').get_config('smoke')
    if path.stem in ELSEWHERE:
      continue
    try:
      spec = _spec(json.dumps(config.plain(c)['data']))
    except core.InputError:
      continue
    game = json.dumps([config.plain(c.family), config.plain(c.roles), spec._replace(names=())])
    if game not in seen:
      seen.add(game)
      cases[path.stem] = c, spec
  return cases


CASES = _cases()
of_each_game = pytest.mark.parametrize('name', sorted(CASES))
# One game of each family, a fully connected one where there is one, and those that keep statistics or take several turns.
FAMILIES = {c.family.name: name for name, (c, _) in sorted(CASES.items(), key=lambda i: (i[1][0].network.name == 'mlp', i[0]))}
of_each_family = pytest.mark.parametrize('name', FAMILIES.values())
of_each_kind = pytest.mark.parametrize('name', sorted({*FAMILIES.values(), 'mnist_acgan', 'mnist_ada', 'mnist_autoencoder', 'mnist_wgan_gp'}))


def build(name, network='mlp', optimizer=None, **options) -> run.Run:
  """The game of a config on one device, with at most two turns a role; options are the config's own."""
  c, spec = CASES[name]
  c = copy.deepcopy(c)   # ConfigDict(c) shares the parts: one test's optimizer would be the next one's
  with c.unlocked():
    if c.network.name != network and not spec.tokenizer:
      c.network = {'name': network, **config.defaults('networks', network)}
  c.network.width = 8
  if 'features' in c.network:
    c.network.features = 16
  for role in c.roles.values():
    role.turns = min(role.turns, 2)
    if optimizer:
      role.update(optimizer=optimizer, schedule='constant', warmup=0, learning_rate=.01, b1=0., weight_decay=0.)
  c.update({'mesh': 'data=1', **options})
  return run.build(c.lock(), spec)


def batch(game, seed=0, n=None):
  """The examples of a step, or n of them."""
  rng, spec = np.random.default_rng(seed), game.spec
  n = n or game.config.batch_size * max(role.turns for role in game.family.roles.values())
  x = rng.uniform(-1, 1, (n, *spec.shape)).astype(np.float32)
  if spec.tokenizer:
    x = rng.integers(text.END, text.size(spec.tokenizer), (n, *spec.shape)).astype(np.int32)
  if spec.tokenizer and not spec.classes:
    return {'x': x}
  if spec.paired:
    return {'x': x, 'condition': rng.uniform(-1, 1, x.shape).astype(np.float32)}
  if spec.words:
    return {'x': x, 'condition': rng.integers(0, len(spec.words), (n, spec.length)).astype(np.int32)}
  return {'x': x, **({'condition': rng.integers(0, spec.classes, n).astype(np.int32)} if spec.classes else {})}


def keyed(impl, step, n, seed):
  root = core.fold(core.fold(jax.random.key(seed, impl=impl), 'step'), step)
  return core.per_example(core.fold(root, 'example'), jnp.arange(n)), core.fold(root, 'batch')


def play(game, state, batch, seed=0, impl=KEYS):
  """One step. Under seeds, batch leads with [S] and seed is the first of them. Keys are of the toys' kind, which compiles faster."""
  family, n = game.family, batch['x'].shape[core.batch_axis(game.family)]
  seeds = seed + jnp.arange(family.seeds) if family.seeds else seed
  keys, key = (jax.vmap(keyed, (None, None, None, 0)) if family.seeds else keyed)(impl, state.step, n, seeds)
  return family.step(family, state, batch, keys, key)


@functools.cache
def played(name):
  """([state after 0, 1, 2, 3 steps], [metrics of each], the step) on the host; the step gives its state's buffers away."""
  game = build(name)
  chex.clear_trace_counter()   # it counts by the function's name

  @functools.partial(jax.jit, donate_argnums=0)
  @functools.partial(chex.assert_max_traces, n=1)
  def step(state, batch):
    return play(game, state, batch, impl=None)
  state = run.initial(game)
  states, metrics = [jax.device_get(state)], []
  for i in range(3):
    state, found = step(state, batch(game, i))
    states.append(jax.device_get(state))
    metrics.append(jax.device_get(found))
  return states, metrics, step


@functools.cache
def plain(name):
  """(game, a state for any seed, a jitted step of it) with SGD, on one device. Nothing is compiled for the states."""
  game = build(name, optimizer='sgd')
  first = played(name)[0][0]

  def start(seed):
    rng = np.random.default_rng(seed)
    moved = lambda tree: jax.tree.map(lambda x: x + rng.normal(0, .02, x.shape).astype(x.dtype), tree)
    opt_state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), run.abstract(game).opt_state)
    return first.replace(params=moved(first.params), opt_state=opt_state, ema=moved(first.ema))
  return game, start, jax.jit(functools.partial(play, game))


# Modules

@pytest.mark.parametrize('kind, name', MODULES, ids='.'.join)
def test_a_module_has_what_its_package_asks_for(kind, name):
  module = core.module(kind, name)
  assert module.__doc__, f'gen_jax/{kind}/{name}.py has no docstring'
  if kind == 'transforms':
    assert callable(getattr(module, name, None)), f'gen_jax/transforms/{name}.py has no {name}(family, ...) -> Family'
    return
  assert callable(getattr(module, 'make', None)), f'gen_jax/{kind}/{name}.py has no make: see the docstring of gen_jax/{kind}/__init__.py'
  if kind != 'evals':
    assert isinstance(getattr(module, 'DEFAULTS', None), dict), f'gen_jax/{kind}/{name}.py has no DEFAULTS, a dict of its options'
    ConfigDict(module.DEFAULTS).lock()


def test_every_family_is_tested():
  missing = {name for kind, name in MODULES if kind == 'families'} - {c.family.name for c, _ in CASES.values()}
  assert not missing, f'{missing} have no config in configs/ whose data is here'


# Families

@of_each_game
def test_a_step_keeps_the_state_and_is_traced_once(name):
  (start, *_, end), metrics, _ = played(name)   # more than one trace raises
  chex.assert_trees_all_equal_shapes_and_dtypes(start, end)
  roles = build(name).family.roles
  assert set(start.params) == set(start.variables) == set(start.opt_state) == set(roles) and set(start.ema) == {n for n in roles if roles[n].ema}
  assert int(end.step) == 3
  for found in metrics:
    for key, value in found.items():
      assert value.shape == () and value.dtype == np.float32 and np.isfinite(value), (key, value)


@of_each_game
def test_every_role_trains(name):
  (start, *_, end), _, _ = played(name)
  for role in start.params:
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(start.params[role]), jax.tree.leaves(end.params[role])):
      path = role + jax.tree_util.keystr(path)
      assert (a != b).any() or path == KEEPS_ITS_START.get(name), f'{path} did not move: if it should not, say so in KEEPS_ITS_START'
    assert role not in start.ema or any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (start.ema[role], end.ema[role]))))


@of_each_game
def test_the_same_bits_twice_and_through_a_checkpoint(name, tmp_path):
  states, _, step = played(name)
  game = build(name)
  state, _ = step(jax.device_put(states[0], run.placement(game, states[0])), batch(game, 0))
  checkpoint.save(tmp_path, state, keep=1)
  state = checkpoint.restore(tmp_path, run.abstract(game))
  for i in (1, 2):
    state, _ = step(state, batch(game, i))
  assert checkpoint.state_sha256(state) == checkpoint.state_sha256(states[-1])


@of_each_kind
def test_no_layout_changes_anything(name, monkeypatch):
  """Two seeds over eight devices, parameters in shards, in two microbatches: each seed gives what it gives alone on one device.

  The layout takes the loops of an accelerator, which compile faster too, and the one device the unrolled ones of a CPU (`core.scan`).
  """
  one, start, step = plain(name)
  sides = lambda trees: jax.tree.map(lambda *xs: np.stack(xs), *trees)
  new, metrics = sides([jax.device_get(step(start(s), batch(one, s), s)) for s in range(2)])
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  mixes = not all(role.per_example for role in one.family.roles.values())
  game = build(name, optimizer='sgd', seeds=2, accumulate=1 if mixes else 2, mesh='seed=2,data=2,fsdp=2')
  whole = lambda state: state.replace(step=state.step[0], frozen=state.frozen)
  state, given = whole(sides([start(s) for s in range(2)])), sides([batch(one, s) for s in range(2)])
  placed = run.placement(game, state)
  found = jax.jit(functools.partial(play, game), out_shardings=(placed, None))(jax.device_put(state, placed), given)
  close(found, (whole(new), metrics))


@of_each_game
def test_draws_depend_on_their_own_key_and_example(name):
  """Not on the size of the batch, nor on the place in it, nor on what else is in it."""
  game, start, _ = plain(name)
  family, state, many = game.family, start(0), batch(game, n=5)
  assert family.sample or family.score, 'a family that neither samples nor scores is of no use'
  few = {k: np.stack([a[3], a[0], batch(game, 1, 3)[k][2]]) for k, a in many.items()}
  keys = lambda root, *positions: core.per_example(core.fold(jax.random.key(0, impl=KEYS), root), np.array(positions))

  @jax.jit
  def draw(state, many, few):
    found = {}
    for use, f in {'sample': family.sample, 'score': family.score, 'reconstruct': family.reconstruct}.items():
      if f:
        given = (many, keys(use, 0, 1, 2, 3, 4)), (few, keys(use, 3, 0, 7))
        found[use] = [f(state, k, b.get('condition')) if use == 'sample' else f(state, b, k) for b, k in given]
    return found
  found = jax.device_get(draw(state, many, few))
  for use, (a, b) in found.items():
    close(jax.tree.map(lambda x: x[:2], b), jax.tree.map(lambda x: x[np.array([3, 0])], a))
    if use == 'score':
      assert a and all(x.shape == (5,) and np.isfinite(x).all() for x in a.values())
    else:
      assert a.shape == (5, *game.spec.shape) and a.dtype == (np.int32 if game.spec.tokenizer else np.float32) and np.isfinite(a).all()
      assert not game.spec.bounded or np.abs(a).max() <= 1
  if 'sample' in found:
    assert all((a != b).any() for a, b in zip(found['sample'][0], found['sample'][0][1:]))


def losses(game, state, batch, positions):
  """{role: (loss_B, Aux)}"""
  key = jax.random.key(0, impl=KEYS)
  keys = core.per_example(core.fold(key, 'example'), positions)
  return {n: r.loss(state.params[n], state, batch, core.fold(keys, n), core.fold(key, n)) for n, r in game.family.roles.items()}


@functools.cache
def compiled_losses(name):
  return jax.jit(functools.partial(losses, plain(name)[0]))


@of_each_game
def test_a_loss_is_of_one_example(name):
  """Where a role says so: what it loses on one example does not change with the others."""
  game, start, _ = plain(name)
  (a, b), state = (batch(game, seed, 4) for seed in range(2)), start(0)
  b = {k: np.concatenate([a[k][:1], v[1:]]) for k, v in b.items()}
  f = compiled_losses(name)
  both = [f(state, *given) for given in ((a, np.array([0, 1, 2, 3])), (b, np.array([0, 7, 8, 9])))]
  for role, (loss, aux) in both[0].items():
    assert loss.shape == (4,) and 'loss' not in aux.metrics
    assert all(m.shape == (4,) and m.dtype == jnp.float32 for m in aux.metrics.values()), aux.metrics
    if game.family.roles[role].per_example:
      first = [(pair[role][0][0], {k: m[0] for k, m in pair[role][1].metrics.items()}) for pair in both]
      close(*first, 1e-6)
      assert (loss[1:] != both[1][role][0][1:]).any()


@of_each_family
def test_losses_are_the_same_without_jit(name):
  game, start, _ = plain(name)
  given = start(0), batch(game, 0, 4), np.arange(4)
  close(losses(game, *given), compiled_losses(name)(*given))


@of_each_family
def test_no_tracer_leaks(name):
  game, start, _ = plain(name)
  given = start(0), batch(game)
  gc.freeze()   # JAX collects garbage at every trace, which takes seconds where all that was compiled before is looked at
  with jax.checking_leaks():
    jax.eval_shape(lambda state, batch: play(game, state, batch), *given)


@of_each_game
def test_goldens(name):
  """Renew them only when numbers are meant to change, and say in the commit why they do."""
  found = [{k: float(f'{v:.6g}') for k, v in sorted(m.items())} for m in played(name)[1]]
  goldens = json.loads(GOLDENS.read_text()) if GOLDENS.exists() else {}
  if os.environ.get('RENEW_GOLDENS'):
    GOLDENS.write_text(json.dumps({k: v for k, v in sorted({**goldens, name: found}.items()) if k in CASES}, indent=1) + '\n')
    return
  how = 'if they should, renew the goldens: RENEW_GOLDENS=1 python -m pytest tests/test_conformance.py -k goldens'
  assert name in goldens, f'{name} is new; {how}'
  for i, (new, old) in enumerate(zip(found, goldens[name])):
    assert new.keys() == old.keys(), f'{name} has other metrics; {how}'
    for key in new:
      assert abs(new[key] - old[key]) <= 1e-4 * max(abs(old[key]), .1), f'{name}: {key} at step {i + 1} is {new[key]}, was {old[key]}; {how}'


@pytest.mark.parametrize('name', ['mnist_gan', 'mnist_autoencoder'])
def test_convolutions_train(name):
  game = build(name, network='conv')
  state = run.initial(game)
  start = jax.device_get(state.params)
  state, metrics = jax.jit(functools.partial(play, game))(state, batch(game))
  assert all(np.isfinite(v) for v in metrics.values())
  for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(start), jax.tree.leaves(state.params)):
    assert (a != b).any(), f'{jax.tree_util.keystr(path)} did not move'
