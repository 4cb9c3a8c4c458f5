"""The one loop. It knows no family: images, points and tokens are arrays to it.

A dispatch is K steps in one compiled program; its boundaries lie at absolute multiples of K, so a resumed run plays the same programs. The
metrics of a dispatch are read after the next is sent, and before anything is kept of its state.
"""
import itertools
import pathlib
import shlex
import signal
import sys
import time

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from scipy.spatial.distance import pdist

from gen_jax import checkpoint, core, data, log, manifest, run
from gen_jax import config as configs
from gen_jax import evals as evaluators
from gen_jax.data._stream import stream
from gen_jax.modalities import image


class Preempted(SystemExit):
  """SIGTERM: the state is saved; exits 143, so that `train && evaluate` stops."""

  def __init__(self):
    super().__init__(143)


def train(config, workdir: str | pathlib.Path, force: bool = False) -> dict:
  """Trains to config.steps, from the newest whole checkpoint in the workdir if there is one; returns the manifest.

  force: go on although the workdir's config differs in more than a larger `steps`. Raises InputError for what can't be run, RunError for
  a NaN or a checkpoint that can't be written, Preempted after SIGTERM.
  """
  workdir = pathlib.Path(workdir)
  for name in ('steps', 'checkpoint_every', 'log_every', 'sample_every', 'eval_every'):
    if config[name] % config.steps_per_dispatch:
      raise core.InputError(f'steps_per_dispatch={config.steps_per_dispatch} does not divide {name}={config[name]}')
  source = data.make(config, 'train')
  game = run.build(config, source.spec)
  turns = max(role.turns for role in game.family.roles.values())
  if turns * config.batch_size > source.size:
    raise core.InputError(f'a step takes {turns} x {config.batch_size} examples, the training set has {source.size}: lower batch_size')
  evaluate = evaluators.make(game)
  chief = jax.process_index() == 0
  say = print if chief else lambda text: None
  if chief:
    _open(config, workdir, force)
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices('workdir')

  state = checkpoint.restore(workdir / 'checkpoints', run.abstract(game), say)
  if state is None:
    state = run.initial(game)
  start = int(state.step)
  before = manifest.read(workdir) or {}
  if start > config.steps:
    raise core.InputError(f'{workdir} is at step {start}, beyond steps={config.steps}')
  if start == config.steps and before.get('state_sha256'):
    say(f'{workdir} is complete at step {start}')
    return before

  inputs, resident = _inputs(game, source, turns, start)
  dispatch = _dispatch(game, state, resident is not None)
  record = {
      'command': shlex.join(sys.orig_argv), 'seed': config.seed, **manifest.environment(game.mesh), 'data': source.checksum,
      'spec': source.spec._asdict(), 'parameters': sum(x.size for x in jax.tree.leaves(state.params)) // config.seeds,
      'bytes': sum(x.nbytes for x in jax.tree.leaves(state)),
      'bytes_a_device': sum(x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(state)),
      'wall_seconds': before.get('wall_seconds', 0.)}
  say(f'{config.family.name} on {source.size} {config.data.name}: {record["parameters"]:,} parameters; state {record["bytes"] / 1e6:.1f} MB, '
      f'{record["bytes_a_device"] / 1e6:.1f} MB on each of {game.mesh.size} device(s)' + (f'; resuming at step {start}' if start else ''))
  writer = log.Log(workdir, configs.plain(config), start, config.steps) if chief else None
  pictures = _pictures(game, workdir, writer)
  preempted = _Preemption()
  began, pending = time.monotonic(), None
  try:
    for after in range(start + config.steps_per_dispatch, config.steps + 1, config.steps_per_dispatch):
      given = next(inputs)
      if pending is None and 'flops_per_step' not in record:
        record['flops_per_step'] = _flops(game, state, resident, given)
        if chief:
          manifest.write(workdir, record)
      state, metrics = dispatch(state, resident, given)
      if pending:
        _read(config, workdir, writer, *pending)
      pending = (after, metrics)
      due = [name for name in ('sample', 'eval', 'checkpoint')
             if config[f'{name}_every'] and (after % config[f'{name}_every'] == 0 or after == config.steps)]
      stop = preempted(after)
      if due or stop:   # nothing is kept of a state whose metrics have not been looked at
        _read(config, workdir, writer, *pending)
        pending = None
      if 'sample' in due:
        pictures(state, after)
      if 'eval' in due:
        found = evaluate(state)
        if writer:
          writer.row(after, found, {})
      if 'checkpoint' in due or stop:
        checkpoint.save(workdir / 'checkpoints', state, config.keep_checkpoints)
        if chief:
          manifest.write(workdir, {**record, 'wall_seconds': round(record['wall_seconds'] + time.monotonic() - began, 1)})
      if stop:
        say(f'SIGTERM: saved step {after} of {config.steps} in {workdir}; the same command goes on from there')
        raise Preempted
  finally:
    preempted.restore()
    if writer:
      writer.close()
  record |= {'steps': config.steps, 'wall_seconds': round(record['wall_seconds'] + time.monotonic() - began, 1),
             'state_sha256': checkpoint.state_sha256(state)}
  if chief:
    log.plot(log.read(workdir / 'metrics.jsonl'), workdir / 'curves.png')
    manifest.write(workdir, record)
  say(f'step {config.steps} after {record["wall_seconds"]:.0f} s: {workdir}/samples, {workdir}/curves.png, state {record["state_sha256"][:12]}')
  return record


def _open(config, workdir, force):
  """Makes the workdir, or checks that it is this run's."""
  path = workdir / 'config.json'
  if path.exists():
    old, new = configs.plain(configs.load(path)), configs.plain(config)
    changed = configs.differences(old, new)
    if [c for c in changed if not c.startswith('steps:')] and not force:
      raise core.InputError(f'{workdir} belongs to another config ({"; ".join(changed)}): take another workdir, or --force to go on with the new one')
    if new['steps'] < old['steps'] and not force:
      raise core.InputError(f'{workdir} was made for {old["steps"]} steps: resuming may only extend them')
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / 'checkpoints').mkdir(exist_ok=True)
    (workdir / 'samples').mkdir(exist_ok=True)
    configs.save(config, path)
  except OSError as e:
    raise core.InputError(f'the workdir {workdir} can not be written: {e.strerror}') from None


def _inputs(game, source, turns, start):
  """(iterator over what each dispatch takes from `start` on, the arrays it gathers from or None)."""
  config = game.config
  plans = [data.Plan(config.seed + i, source.size, turns * config.batch_size) for i in range(config.seeds)]

  def plan(step):
    return np.stack([p(step) for p in plans]) if game.family.seeds else plans[0](step)
  if source.arrays is not None:
    each, spec = (plan(step) for step in range(start, config.steps)), P()
  else:
    each, spec = stream(source, plan, start, config.steps), P(None, *(['seed'] if game.family.seeds else []), ('data', 'fsdp'))

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
      saved = checkpoint.steps(workdir / 'checkpoints')
      last = f'the last good checkpoint is {workdir}/checkpoints/{saved[-1]}' if saved else 'there is no checkpoint yet'
      raise core.RunError(f'step {step - config.steps_per_dispatch + i + 1}: {broken[0]} is {metrics[broken[0]][i]}, as are '
                          f'{len(broken) - 1} more metrics; {last}; try a lower learning rate or a clip in config.roles')
  if writer:
    writer.progress(step)
    if step % config.log_every == 0 or step == config.steps:
      writer.losses(step, {name: values.mean(0) for name, values in metrics.items()})


def _pictures(game, workdir, writer):
  """state, step -> files of samples and of reconstructions, from fixed keys and images, one a seed; logs how far apart the samples lie."""
  config, family = game.config, game.family
  n, condition = run.grid_conditions(game)
  key, columns = core.fold(game.key, 'grid'), config.sample_columns
  sample = run.sampler(game) if family.sample else None
  if family.reconstruct:
    seen = run.held_out(game, 'validation', max(1, n // columns // 2) * columns)
    reconstruct = run.mapped(game, family.reconstruct)

  def apart(x):
    return pdist(x.reshape(len(x), -1)).mean() if len(x) > 1 else 0.

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
        path = workdir / 'samples' / f'{stem}.png'
        image.save(path, one, columns)
        writer.image(name + (f'/seed{config.seed + i}' if family.seeds else ''), path, step)
    if sample:
      x = drawn['samples']
      writer.row(step, {'samples/pairwise_distance': np.array([apart(one) for one in x]) if family.seeds else apart(x)}, {})
  return show


class _Preemption:
  """Whether SIGTERM has come: on one process by a handler of our own, on several by what JAX agrees on among them."""

  def __init__(self):
    self.come = False
    self.old = None
    if jax.process_count() == 1:
      self.old = signal.signal(signal.SIGTERM, self._note)

  def _note(self, *_):
    self.come = True

  def __call__(self, step):
    return self.come if jax.process_count() == 1 else multihost_utils.reached_preemption_sync_point(step)

  def restore(self):
    if self.old is not None:
      signal.signal(signal.SIGTERM, self.old)
