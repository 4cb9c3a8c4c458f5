"""The one loop. It knows no family: images, points and tokens are arrays to it.

A dispatch is K steps in one compiled program; its boundaries lie at absolute multiples of K, so a resumed run plays the same programs. The
metrics of a dispatch are read after the next is sent, and before anything is kept of its state.
"""
import contextlib
import fcntl
import itertools
import os
import pathlib
import shlex
import signal
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gen_jax import checkpoint, core, data, log, manifest, modalities, run
from gen_jax import config as configs
from gen_jax import evals as evaluators


class Preempted(SystemExit):
  """SIGTERM: the state is saved; exits 143, so that `train && evaluate` stops."""

  def __init__(self):
    super().__init__(143)


def train(config, workdir: str | pathlib.Path, force: bool = False) -> dict:
  """Trains to config.steps, from the newest whole checkpoint in the workdir if there is one; returns the manifest.

  force: go on although the workdir's config differs in more than a larger `steps`. Raises InputError for what can't be run, RunError for
  a NaN or what can't be written, Preempted after SIGTERM.
  """
  try:
    with contextlib.ExitStack() as held:
      return _train(config, pathlib.Path(workdir), force, held)
  except KeyboardInterrupt:
    print(f'{workdir}: the same command goes on from the last checkpoint', file=sys.stderr)
    raise
  except BrokenPipeError:
    raise
  except OSError as e:
    raise core.RunError(f'{e.filename or workdir}: {e.strerror or e}; the same command goes on from the last checkpoint') from e


def _train(config, workdir, force, held):
  preempted = _Preemption(held)
  source = data.make(config, 'train')
  game = run.build(config, source.spec)
  for name in ('steps', 'checkpoint_every', 'log_every', 'sample_every', 'eval_every'):
    if config[name] % config.steps_per_dispatch:
      raise core.InputError(f'steps_per_dispatch={config.steps_per_dispatch} does not divide {name}={config[name]}')
  turns = max(role.turns for role in game.family.roles.values())
  if turns * config.batch_size > source.size:
    raise core.InputError(f'a step takes {turns} x {config.batch_size} examples, the training set has {source.size}: lower batch_size')
  evaluators.named(config)
  evaluate = evaluators.make(game) if config.eval_every else None   # which prepares what it compares with
  chief = jax.process_index() == 0
  say = print if chief else lambda text: None
  changes, refused = [], None
  if chief:
    try:
      changes = _open(config, workdir, force, held)
    except core.InputError as e:
      refused = e
  checkpoint.agree(refused)

  before = manifest.read(workdir) or {}
  if before:
    run.same_parts(before, config)
  state = checkpoint.restore(workdir / 'checkpoints', run.abstract(game), say)
  state = run.initial(game, say) if state is None else run.with_frozen(game, state)
  start = int(state.step)
  if start > config.steps:
    raise core.InputError(f'{workdir} is at step {start}, beyond steps={config.steps}')
  if start % config.steps_per_dispatch:
    raise core.InputError(f'{workdir} is at step {start}, no multiple of steps_per_dispatch={config.steps_per_dispatch}')
  if start == config.steps and before.get('state_sha256'):
    say(f'{workdir} is complete at step {start}')
    return before

  if config.encode_ahead:
    source = run.encoded(config, source)
  inputs, resident = _inputs(game, source, turns, start)
  dispatch = _dispatch(game, state, resident is not None)
  environment = {**manifest.environment(game.mesh), 'data': source.checksum}
  if start and before:
    if not force and not (before.get('data') == source.checksum and run.spec_of(before, workdir).alike(source.spec)):
      raise core.InputError(f'{workdir} was trained on other data than {config.data.name} gives now: bring those back, take another workdir, or '
                            '--force to go on with these')
    changes += configs.differences({k: before.get(k) for k in environment}, environment)
  record = {
      'command': shlex.join(sys.orig_argv), 'seed': config.seed, **environment,
      'changes': before.get('changes', []) + [f'step {start}: {change}' for change in changes],
      'spec': source.spec._asdict(), 'frozen': run.hashes(config),
      'init_from': before.get('init_from') if start else run.trained(config.init_from)[2] if config.init_from else None,
      'parameters': sum(x.size for x in jax.tree.leaves(state.params)) // config.seeds,
      'bytes': sum(x.nbytes for x in jax.tree.leaves(state)),
      'bytes_a_device': sum(x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(state)),
      'flops_per_step': before.get('flops_per_step'), 'wall_seconds': before.get('wall_seconds', 0.)}
  say(f'{config.family.name} on {source.size} {config.data.name}: {record["parameters"]:,} parameters; state {record["bytes"] / 1e6:.1f} MB, '
      f'{record["bytes_a_device"] / 1e6:.1f} MB on each of {game.mesh.size} device(s)' + (f'; resuming at step {start}' if start else ''))
  writer = log.Log(workdir, configs.plain(config), start, config.steps) if chief else None
  pictures = _pictures(game, workdir, writer)
  finite = _finite(game)
  began, pending, step, stop = time.monotonic(), None, start, False

  def look():
    """Nothing is kept of a state before its metrics and itself have been looked at."""
    if pending:
      _read(config, workdir, writer, *pending)
    broken = [name for name, fine in finite(state).items() if not fine]
    if broken:
      raise core.RunError(f'step {step}: {_list(broken)} not finite; {_last_good(workdir)}')

  def save():
    checkpoint.save(workdir / 'checkpoints', state, config.keep_checkpoints)
    if chief:
      configs.save(config, workdir / 'config.json')   # SIGTERM may come before the first step
      manifest.write(workdir, {**record, 'wall_seconds': round(record['wall_seconds'] + time.monotonic() - began, 1)})

  try:
    while step < config.steps and not (stop := preempted(step)):
      given = next(inputs)
      if step == start:
        record['flops_per_step'] = record['flops_per_step'] or _flops(game, state, resident, given)
        if chief:   # only now, for what can't be traced leaves nothing behind
          configs.save(config, workdir / 'config.json')
          manifest.write(workdir, record)
      state, metrics = dispatch(state, resident, given)
      if pending:
        _read(config, workdir, writer, *pending)
      step += config.steps_per_dispatch
      pending = (step, metrics)
      due = [name for name in ('sample', 'eval', 'checkpoint')
             if config[f'{name}_every'] and (step % config[f'{name}_every'] == 0 or step == config.steps)]
      if due:
        look()
        pending = None
      if 'sample' in due:
        pictures(state, step)
      if 'eval' in due:
        found = evaluate(state)
        if writer:
          writer.row(step, found, {})
      if 'checkpoint' in due:
        save()
    if stop:
      look()
      save()
  finally:
    if writer:
      writer.close()
  if stop:
    say(f'SIGTERM: saved step {step} of {config.steps} in {workdir}; the same command goes on from there')
    raise Preempted
  record |= {'steps': config.steps, 'wall_seconds': round(record['wall_seconds'] + time.monotonic() - began, 1),
             'state_sha256': checkpoint.state_sha256(state)}
  if chief:
    log.plot(log.read(workdir / 'metrics.jsonl'), workdir / 'curves.png')
    manifest.write(workdir, record)
  say(f'step {config.steps} after {record["wall_seconds"]:.0f} s: {workdir}/samples, {workdir}/curves.png, state {record["state_sha256"][:12]}')
  return record


def _open(config, workdir, force, held) -> list[str]:
  """Makes the workdir, or checks that it is this run's, and locks it until `held` closes; returns in what the configs differ.

  More steps are the same run for longer, unless something falls over them.
  """
  changed = []
  if (workdir / 'config.json').exists():
    old, new = configs.plain(configs.load(workdir / 'config.json')), configs.plain(config)
    changed = configs.differences(old, new)
    # Over the steps a consistency model's target comes nearer, too, and RelGAN's temperature falls.
    falls = (any(role['schedule'] != 'constant' for role in new['roles'].values()) or new['family'].get('consistency')
             or new['family'].get('game') == 'relgan')
    if old['steps'] < new['steps'] and not falls:
      changed = [c for c in changed if not c.startswith('steps:')]
    if changed and not force:
      raise core.InputError(f'{workdir} belongs to another config ({"; ".join(changed)}): resuming may extend steps where nothing falls '
                            'over them (a learning rate, a temperature), nothing else; take another workdir, or --force to go on with the new config')
  try:
    for path in (workdir, workdir / 'checkpoints', workdir / 'samples'):
      path.mkdir(parents=True, exist_ok=True)
  except OSError as e:
    raise core.InputError(f'the workdir {workdir} can not be written: {e.strerror}') from None
  lock = os.open(workdir, os.O_RDONLY)
  held.callback(os.close, lock)
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)   # a killed process lets go of it
  except BlockingIOError:
    raise core.InputError(f'another process is training in {workdir}') from None
  except OSError:
    pass   # a file system without locks
  checkpoint.sweep(workdir / 'checkpoints')
  return changed


def _inputs(game, source, turns, start):
  """(iterator over what each dispatch takes from `start` on, the arrays it gathers from or None)."""
  config = game.config
  plans = [data.Plan(config.seed + i, source.size, turns * config.batch_size) for i in range(config.seeds)]

  def plan(step):
    return np.stack([p(step) for p in plans]) if game.family.seeds else plans[0](step)
  if source.arrays is not None:
    each, spec = (plan(step) for step in range(start, config.steps)), P()
  else:
    each = data.stream(source, plan, start, config.steps)
    shared = turns * config.batch_size % (game.mesh.shape['data'] * game.mesh.shape['fsdp']) == 0   # else transforms.devices says what it takes
    spec = P(None, *(['seed'] if game.family.seeds else []), *([('data', 'fsdp')] if shared else []))

  def dispatches():
    while block := list(itertools.islice(each, config.steps_per_dispatch)):
      yield jax.tree.map(lambda *xs: run.put(np.stack(xs), NamedSharding(game.mesh, spec)), *block)
  return dispatches(), run.replicated(game, source.arrays) if source.arrays is not None else None


def _step(game, resident):
  """(state, arrays, inputs of one step) -> (state, metrics)."""
  config, family = game.config, game.family

  def step(state, arrays, given):
    raw = jax.tree.map(lambda a: a[given], arrays) if resident else given
    n = jax.tree.leaves(raw)[0].shape[core.batch_axis(family)]

    def keyed(root):
      key = jax.random.fold_in(root, state.step)
      return core.per_example(core.fold(key, 'example'), np.arange(n)), core.fold(key, 'batch')
    prepare = lambda raw, keys: data.prepare(config, raw, core.fold(keys, 'prepare'))
    if family.seeds:
      keyed, prepare = jax.vmap(keyed), jax.vmap(prepare)
    keys, key = keyed(core.fold(game.key, 'step'))
    return family.step(family, state, prepare(raw, keys), keys, key)
  return step


def _dispatch(game, state, resident):
  step = _step(game, resident)
  placed = (run.placement(game, state), NamedSharding(game.mesh, P()))

  def dispatch(state, arrays, inputs):
    return core.scan(lambda state, given: step(state, arrays, given), state, inputs)
  return jax.jit(dispatch, donate_argnums=0, out_shardings=placed)


def _flops(game, state, resident, given):
  """Of one step, as XLA counts the program before it optimises; of one, because it counts a loop's body once."""
  one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), given)
  cost = jax.jit(_step(game, resident is not None)).lower(state, resident, one).cost_analysis()
  return (cost or {}).get('flops')


def _read(config, workdir, writer, step, metrics):
  """A dispatch's metrics, [K] or [K, S] each: stops at the first that is not finite, logs their mean at multiples of log_every."""
  metrics = {name: np.asarray(values) for name, values in metrics.items()}
  for i in range(config.steps_per_dispatch):
    broken = [name for name, values in metrics.items() if not np.isfinite(values[i]).all()]
    if broken:
      raise core.RunError(f'step {step - config.steps_per_dispatch + i + 1}: {_list(broken)} not finite; {_last_good(workdir)}; '
                          + (f'{config.reward.name} gave no finite reward' if config.reward.name and 'model/reward' in broken else
                             'try a lower learning rate, or a clip, in config.roles'))
  if writer:
    writer.progress(step)
    if step % config.log_every == 0 or step == config.steps:
      writer.losses(step, {name: values.mean(0) for name, values in metrics.items()})


def _list(names):
  shown = names if len(names) < 5 else [*names[:3], f'{len(names) - 3} more']
  return ', '.join(shown) + (' are' if names[1:] else ' is')


def _last_good(workdir):
  saved = checkpoint.steps(workdir / 'checkpoints')
  return f'the last good checkpoint is {workdir}/checkpoints/{saved[-1]}' if saved else 'there is no checkpoint yet'


def _finite(game):
  """state -> {path: whether the leaf is finite}. An update may break it whose metrics, from before it, are fine."""
  def finite(state):
    return {k: jnp.isfinite(x).all() for k, x in checkpoint.leaves(state).items() if jnp.issubdtype(x.dtype, jnp.inexact)}
  return jax.jit(finite, out_shardings=NamedSharding(game.mesh, P()))


def _pictures(game, workdir, writer):
  """state, step -> files of samples and of reconstructions, from fixed keys and images, one a seed; logs how far apart the samples lie."""
  config, family = game.config, game.family
  n, condition = run.grid_conditions(game)
  key, columns = core.fold(game.key, 'grid'), config.sample_columns
  sample = run.sampler(game) if family.sample else None
  kept, *others = modalities.of(game.spec).SUFFIXES
  shown = '.png' if '.png' in others else kept   # music is kept to be heard
  if family.reconstruct:
    wanted = max(1, n // columns // 2) * columns
    seen = run.held_out(game, 'validation', wanted)
    seen = jax.tree.map(lambda a: a[np.arange(wanted) % len(a)], seen)   # of a small split some twice
    reconstruct = run.mapped(game, family.reconstruct)

  def apart(x):
    from scipy.spatial.distance import pdist  # slow to import
    return pdist(x.reshape(len(x), -1), 'hamming' if game.spec.tokenizer else 'euclidean').mean() if len(x) > 1 else 0.

  def show(state, step):
    drawn = {}
    if sample:
      drawn['samples'] = sample(state, key, condition, n)
    if family.reconstruct:
      made = reconstruct(state, key, len(seen['x']), run.for_seeds(game, seen))
      rows = lambda x: x.reshape(-1, columns, *game.spec.shape)
      above = lambda made: np.stack([rows(seen['x']), rows(made)], axis=1).reshape(-1, *game.spec.shape)
      drawn['reconstructions'] = np.stack([above(m) for m in made]) if family.seeds else above(made)
    if not writer:
      return
    for name, x in drawn.items():
      for i, one in enumerate(x if family.seeds else [x]):
        stem = f'step_{step}' + ('' if name == 'samples' else '_reconstructions') + (f'_seed{config.seed + i}' if family.seeds else '')
        for suffix in {kept, shown}:
          modalities.save(workdir / 'samples' / f'{stem}{suffix}', one, game.spec, columns)
        writer.file(name + (f'/seed{config.seed + i}' if family.seeds else ''), workdir / 'samples' / f'{stem}{shown}', step)
    if sample:
      x = drawn['samples']
      writer.row(step, {'samples/pairwise_distance': np.array([apart(one) for one in x]) if family.seeds else apart(x)}, {})
  return show


class _Preemption:
  """Whether SIGTERM has come: on one process by a handler of our own, on several by what JAX agrees on among them."""

  def __init__(self, held):
    self.come, self.alone = False, jax.process_count() == 1
    if self.alone:
      old = signal.signal(signal.SIGTERM, self._note)
      held.callback(signal.signal, signal.SIGTERM, old or signal.SIG_DFL)

  def _note(self, *_):
    self.come = True

  def __call__(self, step):
    return self.come if self.alone else multihost_utils.reached_preemption_sync_point(step)
