"""What every verb needs of a run: its family with the transformations that the config asks for, its state, and draws from it."""
import functools
import math
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from ml_collections import ConfigDict

from gen_jax import checkpoint, core, data, manifest
from gen_jax import config as configs
from gen_jax.modalities import text
from gen_jax.transforms.accumulated import accumulated
from gen_jax.transforms.adversarial import adversarial
from gen_jax.transforms.devices import devices, make_mesh, shardings, specs_of
from gen_jax.transforms.latent import latent
from gen_jax.transforms.lora import lora
from gen_jax.transforms.rewarded import rewarded
from gen_jax.transforms.seeds import seeds


class Run(NamedTuple):
  config: ConfigDict
  spec: data.Spec
  family: core.Family
  mesh: jax.sharding.Mesh
  key: jax.Array             # the root: [] or, under seeds, [S]
  frozen: dict               # state.frozen: trained parts of other runs, on the host


def build(config: ConfigDict, spec: data.Spec) -> Run:
  """Raises InputError for what the modules and transformations refuse."""
  for name, low in dict(seed=0, seeds=1, steps=1, batch_size=1, accumulate=1, steps_per_dispatch=1, keep_checkpoints=1, log_every=1,
                        checkpoint_every=1, sample_every=0, eval_every=0, sample_rows=1, sample_columns=1, eval_examples=1).items():
    if config[name] < low:
      raise core.InputError(f'{name}={config[name]}: must be at least {low}')
  family, frozen = game(config, spec)
  if set(family.roles) != set(config.roles):
    raise core.InputError(f'config.roles has {sorted(config.roles)}, the family {config.family.name} plays {sorted(family.roles)}')
  mesh = make_mesh(config.mesh)
  if config.accumulate > 1:
    family = accumulated(family, config.accumulate)
  if config.seeds > 1:
    family = seeds(family, config.seeds)
  if mesh.size > 1:
    family = devices(family, mesh)
  key = jax.random.key(config.seed)
  if config.seeds > 1:
    key = jax.vmap(jax.random.key)(config.seed + jnp.arange(config.seeds))
  return Run(config, spec, family, mesh, key, frozen)


def game(config: ConfigDict, spec: data.Spec) -> tuple[core.Family, dict]:
  """The family that config names, in the space of its codec if it has one, and its frozen parts: config.family without the transformations of a mesh,
  seeds and microbatches. Raises InputError where the codec is of other examples."""
  def make(config, spec):
    module = core.module('families', config.family.name)
    if spec.tokenizer and not getattr(module, 'OF_TOKENS', False):
      raise core.InputError(f'{config.data.name} is of tokens, and the family {config.family.name} is not')
    family = module.make(config, spec)
    if config.adversary.method:
      family = adversarial(family, config.adversary, text.NOTHING if spec.tokenizer else None)
    if config.frozen.base and config.reward.name:
      raise core.InputError('config.frozen.base with a reward: adapters are trained by likelihood alone')
    if config.frozen.base:
      return lora(family, config.lora_rank), {'base': params_like(config, spec, family, 'base')}
    if not config.reward.name:
      if config.frozen.reference:
        raise core.InputError('config.frozen.reference is what a run with a reward stays near to: config.reward.name is missing')
      return family, {}
    if config.adversary.method:
      raise core.InputError('config.adversary with a reward: the loss of what is drawn is another one')
    if spec.between_turns or config.family.get('condition') and spec.tokenizer:
      raise core.InputError('a reward is of texts without turns and without family.condition: what is drawn of these is not all told')
    if not config.frozen.reference:
      raise core.InputError('a reward needs config.frozen.reference=WORKDIR, the run near to which it stays; start from it by config.init_from')
    reward = core.module('rewards', config.reward.name).make(config.reward, spec)
    plain = ConfigDict(config)   # however the run is asked to sample
    plain.sample = configs.defaults('families', config.family.name, 'SAMPLE')
    draw = core.module('families', config.family.name).make(plain, spec).sample
    return rewarded(family, draw, reward, config.reward, text.END), {'reference': params_like(config, spec, family, 'reference')}
  if not config.frozen.codec:
    return make(config, spec)
  codec, coder, state, _ = codec_of(config)
  if tuple(codec.spec.shape) != tuple(spec.shape):
    raise core.InputError(f'the codec in {config.frozen.codec} is of {tuple(codec.spec.shape)}, the data of {tuple(spec.shape)}')
  z = jax.eval_shape(coder.encode, state, jax.ShapeDtypeStruct((1, *spec.shape), jnp.float32))
  if z.shape[1:] == tuple(spec.shape):   # by their shape latents are told from examples
    raise core.InputError(f'the codec in {config.frozen.codec} makes latents of the shape of the data, {tuple(spec.shape)}: it is no codec')
  count = coder.codes.count if coder.codes else 0
  inner, frozen = make(config, spec._replace(shape=z.shape[1:], bounded=count > 0, codes=count))
  return latent(inner, coder, z.shape[1:]), {**frozen, 'codec': state}


def codec_of(config: ConfigDict) -> tuple[Run, core.Family, core.TrainState, str]:
  """The trained codec, what encodes and decodes for this family (with `codes` where it does so by them), its state and its hash. Raises InputError
  where it does not encode, or has no codes and the family is of them."""
  workdir = config.frozen.codec
  codec, state, sha256 = trained(workdir)
  if codec.family.encode is None:
    raise core.InputError(f'{workdir} holds a {codec.config.family.name}, which does not encode: vqvae does, and vae without condition')
  if not getattr(core.module('families', config.family.name), 'OF_CODES', False):
    return codec, codec.family._replace(codes=None), state, sha256
  if codec.family.codes is None:
    raise core.InputError(f'{config.family.name} is of codes, and the codec in {workdir} has none: vqvae has, with quantizer vq or fsq')
  return codec, codec.family._replace(encode=codec.family.codes.encode, decode=codec.family.codes.decode), state, sha256


def params_like(config: ConfigDict, spec: data.Spec, family: core.Family, part: str) -> dict:
  """The parameters by role of the run in config.frozen.<part>. Raises InputError where those are not the family's."""
  workdir = config.frozen[part]
  there, state, _ = trained(workdir)
  same_tokenizer(f'frozen.{part}', workdir, there.spec, spec)
  params = jax.eval_shape(lambda: family.init(jax.random.key(0), example(spec)))[0]
  if jax.tree.map(jnp.shape, params) != jax.tree.map(jnp.shape, state.params):
    raise core.InputError(f'config.frozen.{part}={workdir} holds other parameters than this family and network have')
  return state.params


def same_tokenizer(field: str, workdir: str, before: data.Spec, spec: data.Spec):
  if before.tokenizer != spec.tokenizer:
    raise core.InputError(f'config.{field}={workdir} has another tokenizer: --config.data.tokenizer={workdir} takes its own')


@functools.lru_cache(maxsize=4)
def trained(workdir: str) -> tuple[Run, core.TrainState, str]:
  """A run of one seed from its workdir, on the host and by its averaged parameters alone, and the hash of its state."""
  # Of several processes each needs a part of every array, or it cannot read it.
  run, state = load(workdir, lambda config: config.update(mesh='data=1' if jax.process_count() == 1 else ''))
  if run.config.seeds > 1:
    raise core.InputError(f'{workdir} holds {run.config.seeds} seeds: a frozen part is of one')
  run = run._replace(family=game(run.config, run.spec)[0])   # whole on every device: within another's loss nothing is shared out
  kept = state.replace(params={name: state.averaged(name) for name in state.params}, opt_state={}, ema={})
  return run, jax.device_get(kept), checkpoint.state_sha256(state)


def hashes(config: ConfigDict) -> dict[str, str]:
  """The state hash of each frozen part, for the manifest."""
  return {name: trained(config.frozen[name])[2] for name in ('codec', 'base', 'reference') if config.frozen[name]}


def encoded(config: ConfigDict, source: data.Source) -> data.Source:
  """A source whose x are the codec's latents, made once. Raises InputError without a codec, and where x would be augmented first."""
  if not config.frozen.codec or config.data.flip or config.data.shift or config.data.crop:
    raise core.InputError('encode_ahead needs config.frozen.codec, and data without flip, shift and crop')
  codec, coder, state, sha256 = codec_of(config)
  call = mapped(codec, lambda state, arrays, keys: coder.encode(state, data.normalise(arrays)['x']))
  every = source.take(np.arange(source.size))
  x = call(replicated(codec, state), jax.random.key(0), source.size, {'x': every['x']})
  made = data.from_arrays(x, every.get('condition'), source.spec)
  return made._replace(checksum=f'{source.checksum} by {sha256}')


def load(workdir: str | pathlib.Path, change=None, say=print) -> tuple[Run, core.TrainState]:
  """A run from its workdir and its newest whole checkpoint, to sample and score with. change: a function that edits the config first.

  A mesh that the devices here can't fill gives way to all of them on data. Raises InputError where there is no run or no checkpoint.
  """
  workdir = pathlib.Path(workdir)
  config = configs.load(workdir / 'config.json')
  if change:
    change(config)
  try:
    make_mesh(config.mesh)
  except core.InputError as e:
    say(f'{e}; using all devices on data')
    config.mesh = ''
  record = manifest.read(workdir)
  if not record:
    raise core.InputError(f'{workdir} has no readable manifest.json: train it first')
  run = build(config, spec_of(record, workdir))
  same_parts(record, config)
  state = checkpoint.restore(workdir / 'checkpoints', abstract(run), say)
  if state is None:
    raise core.InputError(f'{workdir} has no checkpoint yet: train it first')
  return run, with_frozen(run, state)


def spec_of(record: dict, workdir: pathlib.Path) -> data.Spec:
  """The spec in a manifest."""
  try:
    return data.Spec(**{name: tuple(value) if isinstance(value, list) else value for name, value in record['spec'].items()})
  except TypeError as e:
    raise core.InputError(f'{workdir} is of another version: {e}') from None


def same_parts(record: dict, config: ConfigDict):
  """Raises InputError where a frozen part is not what the run of this manifest was trained with."""
  for name, sha256 in hashes(config).items():
    if record.get('frozen', {}).get(name, sha256) != sha256:
      raise core.InputError(f'config.frozen.{name}={config.frozen[name]} has the state {sha256[:12]}, this run was trained with '
                            f'{record["frozen"][name][:12]}: name the workdir that has it')


def with_frozen(run: Run, state: core.TrainState) -> core.TrainState:
  return state.replace(frozen=replicated(run, run.frozen))


def example(spec: data.Spec) -> dict:
  """A batch of one, for shapes."""
  x = jnp.zeros((1, *spec.shape), jnp.int32 if spec.tokenizer else jnp.float32)
  if spec.paired:
    return {'x': x, 'condition': x}
  return {'x': x, **({'condition': jnp.zeros((1, spec.length) if spec.words else (1,), jnp.int32)} if spec.words or spec.classes else {})}


def _create(run):
  return core.create(run.family, core.fold(run.key, 'init'), example(run.spec))


def abstract(run: Run) -> core.TrainState:
  """The shapes, dtypes and shardings of the run's state."""
  shapes = jax.eval_shape(lambda: _create(run))
  return jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, placement(run, shapes))


def placement(run: Run, state):
  """A sharding for every leaf of the state."""
  if run.family.mesh:
    return shardings(run.family, specs_of(run.family, state))
  return jax.tree.map(lambda _: NamedSharding(run.mesh, P()), state)


def initial(run: Run, say=lambda text: None) -> core.TrainState:
  """The state before the first step, made where it will lie; told to say: what config.init_from lacks. Raises InputError where that does not fit."""
  state = with_frozen(run, jax.jit(lambda: _create(run), out_shardings=placement(run, abstract(run)))())
  return started(run, state, say) if run.config.init_from else state


def started(run: Run, state: core.TrainState, say) -> core.TrainState:
  """The state with the averaged parameters, and the variables, of the roles that config.init_from has trained; what is new here stays as it is."""
  workdir = run.config.init_from
  before, given, _ = trained(workdir)
  same_tokenizer('init_from', workdir, before.spec, run.spec)
  old = {jax.tree_util.keystr(path): x for path, x in jax.tree_util.tree_leaves_with_path((given.params, given.variables))}
  taken, new = set(), []

  def start(path, x):
    name = path = jax.tree_util.keystr(path)
    if path not in old:   # a part that was trained by itself is an encoder here
      path = path.replace("['encoder']", '', 1)
    if path not in old:
      new.append(name)
      return x
    shape = x.shape[1:] if run.family.seeds else x.shape
    if old[path].shape != shape:
      raise core.InputError(f'config.init_from={workdir}: {path} is {old[path].shape} there, {shape} here')
    taken.add(path)
    return put(np.broadcast_to(old[path], x.shape), x.sharding)
  params, variables = jax.tree_util.tree_map_with_path(start, (state.params, state.variables))
  if not taken:
    raise core.InputError(f'config.init_from={workdir} holds a {before.config.family.name} with nothing that a {run.config.family.name} has')
  if new:
    say(f'not in {workdir}, so new: {len(new)} arrays, as {new[0][3:]}')   # without its place in the pair
  # Copies, for donating a state that holds one buffer twice raises.
  return state.replace(params=params, variables=variables, ema={name: jax.tree.map(jnp.copy, params[name]) for name in state.ema})


def put(x, sharding):
  """The same host value on every process, as one global array."""
  x = np.asarray(x)
  return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])


def replicated(run: Run, tree):
  return jax.tree.map(lambda x: put(x, NamedSharding(run.mesh, P())), tree)


def alone(run: Run) -> Run:
  """The run of the first seed by itself; `parts` gives it the states of them all."""
  if run.config.seeds == 1:
    return run
  config = ConfigDict(run.config)
  config.update(seeds=1, mesh='')
  return build(config.lock(), run.spec)


def parts(run: Run, one: Run, state: core.TrainState) -> list[core.TrainState]:
  """The state of each seed, placed for `alone(run)`."""
  if run.config.seeds == 1:
    return [state]
  host = jax.tree.map(checkpoint.whole, state.replace(step=(), frozen=()))
  states = [jax.tree.map(lambda x, i=i: x[i], host).replace(step=checkpoint.whole(state.step)) for i in range(run.config.seeds)]
  return [jax.tree.map(put, part, placement(one, part)).replace(frozen=replicated(one, one.frozen)) for part in states]


def examples_at_once(run: Run, n: int) -> int:
  """How many of n examples a sampling or scoring call takes: a multiple of the devices that share them."""
  parts = run.mesh.shape['data'] * run.mesh.shape['fsdp']
  return math.ceil(min(n, 100) / parts) * parts


def chunked(run: Run, f):
  """f(state, batch of arrays, keys) over any number of examples N, in calls of one size (one compilation): yields numpy parts, in order.

  Under seeds, keys are [S] and the arrays [S, N, ...]. Example i's key is folded from its position, so it is the same for any N.
  """
  axis = core.batch_axis(run.family)

  @jax.jit
  def call(state, key, positions, arrays):
    keys = core.per_example(key, positions) if axis == 0 else jax.vmap(core.per_example, (0, None))(key, positions)
    out = f(state, arrays, keys)
    return jax.lax.with_sharding_constraint(out, NamedSharding(run.mesh, P()))

  def g(state, key, n, arrays):
    size = examples_at_once(run, n)
    for start in range(0, n, size):
      # Positions past the end fill the last call up and are dropped.
      positions = np.arange(start, start + size)
      there = np.minimum(positions, n - 1)
      part = jax.tree.map(lambda a, there=there: np.take(a, there, axis=axis), arrays)
      out = jax.device_get(call(state, key, positions, part))
      yield jax.tree.map(lambda a, start=start: np.take(a, np.arange(min(size, n - start)), axis=axis), out)
  return g


def mapped(run: Run, f):
  """As `chunked`, in one piece."""
  parts, axis = chunked(run, f), core.batch_axis(run.family)

  def g(state, key, n, arrays):
    return jax.tree.map(lambda *p: np.concatenate(p, axis=axis), *parts(state, key, n, arrays))
  return g


def sampler(run: Run, mapped=mapped):
  """(state, key, condition [N, ...] or a dict of arrays or None, n) -> x_N, or [S, N, ...] under seeds; its parts with `chunked`.

  Raises InputError for a family that does not sample.
  """
  if run.family.sample is None:
    raise core.InputError(f'the family {run.config.family.name} does not sample')
  call = mapped(run, lambda state, arrays, keys: run.family.sample(state, keys, arrays.get('condition')))

  def draw(state, key, condition_N, n):
    if condition_N is not None and not isinstance(condition_N, dict):
      condition_N = np.asarray(condition_N, np.float32 if run.spec.paired else np.int32)
    return call(state, key, n, for_seeds(run, {} if condition_N is None else {'condition': condition_N}))
  return draw


def for_seeds(run: Run, tree):
  """The same arrays for every seed."""
  return jax.tree.map(lambda a: np.broadcast_to(a, (run.config.seeds, *a.shape)), tree) if run.family.seeds else tree


def same_data(run: Run, split: str) -> data.Source:
  """A split of the data that the run was trained on. Raises InputError where they are of another kind now."""
  source = data.make(run.config, split)
  if not source.spec.alike(run.spec):
    differ = next(name for name, a, b in zip(data.Spec._fields, source.spec, run.spec) if a != b and name != 'names')
    raise core.InputError(f'{run.config.data.name} is not what this run was trained on: its {differ} is another')
  return source


def held_out(run: Run, split: str, n: int) -> dict:
  """At most n examples of a split, spread over it, normalised: {'x': [n, ...], ...}, on the host."""
  source = same_data(run, split)
  n = min(n, source.size)
  return data.normalise(source.take(data.Plan(0, source.size, n)(0)))


def goes_on(spec: data.Spec) -> bool:
  """Whether samples are shown to go on from what is held out."""
  return spec.modality in ('text', 'music') and not spec.classes


def prompts(spec: data.Spec, x_NxL) -> np.ndarray:
  """What samples go on from, [N, P], with NOTHING behind: of dialogues the first turns, of other sequences the first quarters, each from its last
  END on: what follows an END that is given has ended."""
  if not spec.between_turns:
    x_NxP = x_NxL[:, :max(1, spec.shape[0] // 4)]
    starts_N = np.where(x_NxP == text.END, np.arange(x_NxP.shape[1]), 0).max(axis=1)
    return np.stack([np.pad(x[start:], (0, start), constant_values=text.NOTHING) for x, start in zip(x_NxP, starts_N)])
  given_NxL = np.cumsum(x_NxL == spec.between_turns, axis=1) - (x_NxL == spec.between_turns) == 0
  return np.where(given_NxL, x_NxL, text.NOTHING)


def grid_conditions(run: Run) -> tuple[int, np.ndarray | None]:
  """How many samples a grid has, and their labels, a row a class, or held-out captions or images, or beginnings of held-out texts (`prompts`)."""
  rows, columns = run.config.sample_rows, run.config.sample_columns
  if run.spec.words or run.spec.paired or goes_on(run.spec):
    seen = held_out(run, 'validation', rows * columns)
    asked = prompts(run.spec, seen['x']) if goes_on(run.spec) else seen['condition']
    return rows * columns, asked[np.arange(rows * columns) % len(asked)]
  if not run.spec.classes:
    return rows * columns, None
  rows = min(rows, run.spec.classes)
  return rows * columns, np.repeat(np.arange(rows), columns)
