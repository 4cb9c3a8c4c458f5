"""Adapters alone are trained; without a step they change nothing, and merged they are one family with the base."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import close

from gen_jax import checkpoint, config, core, data, loop, manifest, run
from gen_jax.transforms.lora import lora

SPEC = data.Spec((28, 28, 1), 10)


def configured(**options):
  c = config.variant(config.base('mnist', 'vae', 'mlp', model=dict(ema=.5, learning_rate=.01)), 'smoke')
  c.frozen.base = options.pop('base', None)
  c.update({'mesh': 'data=1', 'sample_every': 0, 'lora_rank': 2, **options})
  return c


@pytest.fixture(scope='module')
def base(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('base')
  loop.train(configured(), workdir)
  return str(workdir)


def batch(n=8):
  return {'x': np.random.default_rng(0).uniform(-1, 1, (n, 28, 28, 1)).astype(np.float32)}


def keyed(n=8):
  return core.per_example(jax.random.key(1), jnp.arange(n))


def test_at_the_start_it_is_the_base_and_in_the_end_what_is_merged(base):
  made, (plain, trained) = run.build(configured(base=base), SPEC), run.load(base)
  state = run.initial(made)
  use = lambda family: jax.jit(lambda state: (family.sample(state, keyed()), family.score(state, batch(), keyed())))
  sizes = [sum(x.size for x in jax.tree.leaves(s.params)) for s in (state, trained)]
  assert sizes[0] < sizes[1] / 3
  close(use(made.family)(state), use(plain.family)(trained), 0)
  step = jax.jit(functools.partial(made.family.step, made.family))
  for _ in range(3):
    state, metrics = step(state, batch(), keyed(), jax.random.key(2))
  added = {path: one['a'] @ one['b'] for path, one in state.ema['model'].items()}
  whole = jax.tree_util.tree_map_with_path(
      lambda path, w: w + added[jax.tree_util.keystr(path)].reshape(w.shape) if jax.tree_util.keystr(path) in added else w, trained.averaged('model'))
  moved = [np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (whole, trained.averaged('model')))) if a.ndim > 1]
  assert min(moved) > 1e-4
  close(use(made.family)(state), use(plain.family)(trained.replace(ema={'model': whole})), 1e-5)


def test_matrices_of_several_axes_are_cut_where_they_are_square():
  kernels = {'attended': (4, 8, 32), 'query': (32, 4, 8), 'dense': (32, 16), 'conv': (3, 3, 8, 16), 'bias': (5,), 'embedding': (9, 8)}
  plain = core.Family(lambda key, batch: ({'model': {k: jnp.zeros(s) for k, s in kernels.items()}}, {'model': {}}, {}), {})
  found = lora(plain, 2).init(jax.random.key(0), {})[0]['model']
  assert {path: (one['a'].shape, one['b'].shape) for path, one in found.items()} == {
      "['attended']": ((32, 2), (2, 32)), "['query']": ((32, 2), (2, 32)), "['dense']": ((32, 2), (2, 16)), "['conv']": ((72, 2), (2, 16))}


def test_a_run_leaves_its_base_alone_and_knows_it(base, tmp_path):
  before = checkpoint.state_sha256(run.load(base)[1])
  record = loop.train(configured(base=base, seeds=2, accumulate=2, mesh='seed=2,data=2,fsdp=2'), tmp_path)
  assert record['frozen'] == {'base': before} and checkpoint.state_sha256(run.load(base)[1]) == before
  made, state = run.load(tmp_path)
  assert run.sampler(made)(state, made.key, None, 3).shape == (2, 3, 28, 28, 1)
  manifest.write(tmp_path, {**record, 'frozen': {'base': '0' * 64}})
  with pytest.raises(core.InputError, match='this run was trained with 000000000000'):
    run.load(tmp_path)


def test_what_is_refused(base):
  wider = configured(base=base)
  wider.network.width = 12
  with pytest.raises(core.InputError, match='holds other parameters'):
    run.build(wider, SPEC)
  plain = run.build(configured(), SPEC).family
  with pytest.raises(core.InputError, match='lora goes inside'):
    lora(plain._replace(seeds=2), 2)
  with pytest.raises(core.InputError, match='lora_rank=0: must'):
    lora(plain, 0)
  codes = lora(plain._replace(init=lambda key, batch: ({'model': {}}, {'model': {'code': jnp.ones(3)}}, {})), 2)
  with pytest.raises(core.InputError, match='keeps more of a run'):
    codes.init(jax.random.key(0), {})
