"""A family is a game: a record of roles, each of which says what it minimises; `play` says how.

Shapes: B examples of one role's turn, T the largest number of turns, S seeds. Keys are typed (`jax.random.key`).
"""
import functools
import importlib
import pathlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import optax

Tree = Any


class InputError(ValueError):
  """A user's mistake: the verbs print it as one line and exit non-zero."""


class RunError(RuntimeError):
  """What ends a run through no fault of the command (a NaN, a full disk): one line, exit non-zero, earlier checkpoints intact."""


class Aux(NamedTuple):
  """What a loss reports beside its value."""
  metrics: dict[str, jax.Array]        # [B] each
  statistics: Tree = ()                # means over these examples (codebook counts, moments), averaged by weight before `Role.update`
  weight_B: jax.Array | None = None    # packed and padded tokens count right; None: every example counts once


class Gradient(NamedTuple):
  """A mean over `count` examples (or their weight); everything in it averages over shards and microbatches by `count`."""
  grads: Tree
  metrics: dict[str, jax.Array]        # scalars
  statistics: Tree
  count: jax.Array


@flax.struct.dataclass
class TrainState:
  """All that a run is. params, variables, opt_state and ema are mappings by role; frozen holds pretrained parts, never updated."""
  step: jax.Array
  params: dict[str, Tree]
  variables: dict[str, Tree]
  opt_state: dict[str, Tree]
  ema: dict[str, Tree]
  frozen: dict[str, Tree]

  def averaged(self, role: str) -> Tree:
    """The role's parameters to sample and score with: their moving average where the role keeps one."""
    return self.ema.get(role, self.params[role])


def mean_gradient(loss, own, state, batch, keys_B, key) -> Gradient:
  """The gradient of the weighted mean of a per-example loss with respect to `own`."""
  def objective(own):
    loss_B, aux = loss(own, state, batch, keys_B, key)
    weight_B = jnp.ones_like(loss_B) if aux.weight_B is None else aux.weight_B
    count = weight_B.sum()
    metrics = jax.tree.map(lambda x_B: (weight_B * x_B).sum() / jnp.maximum(count, 1e-9), {**aux.metrics, 'loss': loss_B})
    return metrics['loss'], (metrics, aux.statistics, count)
  grads, (metrics, statistics, count) = jax.grad(objective, has_aux=True)(own)
  return Gradient(grads, metrics, statistics, count)


def advance(role, name, state, gradient, key):
  """What follows the averaged gradient: finish, clip, optimizer, update, EMA. Returns (the role's entry of each field of the state, metrics)."""
  grads = role.finish(gradient.grads, gradient.count, fold(key, 'finish'))
  norm = optax.global_norm(grads)
  if role.clip is not None:
    grads = jax.tree.map(lambda g: g * jnp.minimum(1., role.clip / jnp.maximum(norm, 1e-9)), grads)
  updates, opt_state = role.optimizer.update(grads, state.opt_state[name], state.params[name])
  params = optax.apply_updates(state.params[name], updates)
  variables = role.update(state.variables[name], gradient.statistics, fold(key, 'update'))
  new = {'params': params, 'variables': variables, 'opt_state': opt_state}
  if role.ema is not None:
    # (1 + t) / (10 + t) forgets the random start, as in Polyak averages since TF-1's ExponentialMovingAverage.
    decay = role.ema(state.step) if callable(role.ema) else jnp.minimum(role.ema, (1. + state.step) / (10. + state.step))
    new['ema'] = jax.tree.map(lambda e, p: decay * e + (1 - decay) * p, state.ema[name], params)
  return new, {**gradient.metrics, 'gradient_norm': norm}


class Role(NamedTuple):
  """A player of the game.

  loss: (own, state, batch, keys_B, key) -> (loss_B, Aux). Differentiated in `own`; the other roles' parameters are read from `state`.
    keys_B are for what is drawn per example, key for what is drawn once a batch.
  """
  loss: Callable
  optimizer: optax.GradientTransformation             # schedules count this role's turns
  turns: int = 1                                       # turns a step (n_critic); each plays its own slice of the batch
  ema: float | Callable | None = None                  # decay of the moving average of the parameters, or step -> decay
  clip: float | None = None                            # largest global norm of the finished gradient
  per_example: bool = True                             # False: the loss mixes examples; devices gather, accumulated refuses
  gradient: Callable = mean_gradient                   # (loss, own, state, batch, keys_B, key) -> Gradient, on the examples at hand
  finish: Callable = lambda grads, count, key: grads   # once, on the averaged gradient
  update: Callable = lambda variables, statistics, key: variables   # once, from the averaged statistics


def play(family, state, batch, keys, key):
  """One update of every role, in order. batch leaves are [T*B, ...] and keys [T*B], with a leading S under `seeds`. Returns (state, metrics)."""
  metrics = {}
  turns = max(role.turns for role in family.roles.values())
  slices = split((batch, keys), turns, axis=batch_axis(family))
  for name, role in family.roles.items():
    for turn in range(role.turns):
      batch_B, keys_B = slices[turn]
      turn_key = fold(fold(key, name), turn)
      gradient = role.gradient(role.loss, state.params[name], state, batch_B, fold(keys_B, name), fold(turn_key, 'loss'))
      after = functools.partial(advance, role, name)
      new, found = (over_seeds(after) if family.seeds else after)(state, gradient, fold(turn_key, 'advance'))
      state = state.replace(**{field: {**getattr(state, field), name: entry} for field, entry in new.items()})
    metrics.update({f'{name}/{k}': v for k, v in found.items()})
  return state.replace(step=state.step + 1), metrics


class Codes(NamedTuple):
  """How a codec whose latents each are one of a few shows their numbers: as pictures of so many levels of grey."""
  count: int
  encode: Callable                      # (state, x_B) -> [B, ..., 1] in [-1, 1], code k at 2 k / (count - 1) - 1
  decode: Callable                      # (state, what encode gives, condition_N or None) -> x_B


class Family(NamedTuple):
  """A generative family: what it is made of, whom it trains, how it samples. Transformations map families to families."""
  init: Callable                        # (key, batch) -> (params by role, variables by role, frozen)
  roles: Mapping[str, Role]             # in the order of play
  sample: Callable | None = None        # (state, keys_N, condition_N or None) -> x_N
  score: Callable | None = None         # (state, batch, keys_B) -> {name: [B]}: log-likelihoods or their bounds, accuracies, verdicts
  reconstruct: Callable | None = None   # (state, batch, keys_B) -> x_B
  prior: Callable | None = None         # (state, keys_N) -> z_NxZ; with decode: sample is decode of prior, to the bit
  decode: Callable | None = None        # (state, z_NxZ, condition_N or None) -> x_N
  encode: Callable | None = None        # (state, x_B) -> z_B, what `decode` takes: a codec (transforms.latent)
  codes: Codes | None = None            # of a codec that has them: what a family of levels is trained on in its place
  classify: Callable | None = None      # (state, x_B) -> logits [B, classes]
  step: Callable = play                 # (family, state, batch, keys, key) -> (state, metrics)
  seeds: int | None = None              # set by transforms.seeds: batch, keys and all of the state but step and frozen lead with [S]
  mesh: jax.sharding.Mesh | None = None # set by transforms.devices


def reading(family, change) -> dict:
  """What reads the family's state, each changed by `change`: fields for Family._replace."""
  fields = ('sample', 'score', 'reconstruct', 'prior', 'decode', 'encode', 'classify')
  codes = family.codes and family.codes._replace(encode=change(family.codes.encode), decode=change(family.codes.decode))
  return {'codes': codes, **{name: getattr(family, name) and change(getattr(family, name)) for name in fields}}


def create(family, key, batch) -> TrainState:
  """The state before the first step. Under `seeds`, key is [S]; batch is one example batch in either case."""
  # Weakly typed numbers (jnp.full(shape, 0.)) would become strong in the first step, and the second would be compiled again.
  params, variables, frozen = jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), family.init(key, batch))
  opt_state = {}
  for name, role in family.roles.items():
    init = jax.vmap(role.optimizer.init) if family.seeds else role.optimizer.init
    opt_state[name] = init(params[name])
  # A copy: donating a state that holds one buffer twice raises.
  ema = {name: jax.tree.map(jnp.copy, params[name]) for name, role in family.roles.items() if role.ema is not None}
  return TrainState(jnp.zeros((), jnp.int32), params, variables, opt_state, ema, frozen)


def batch_axis(family) -> int:
  return 0 if family.seeds is None else 1


def split(tree, n, axis=0) -> list:
  """The tree cut into n equal parts along an axis of every leaf. Raises InputError where they would not be equal."""
  def part(i):
    def cut(x):
      size, rest = divmod(x.shape[axis], n)
      if rest:
        raise InputError(f'{x.shape[axis]} examples do not divide into {n} equal parts')
      return jax.lax.slice_in_dim(x, i * size, (i + 1) * size, axis=axis)
    return jax.tree.map(cut, tree)
  return [tree] if n == 1 else [part(i) for i in range(n)]


def fold(keys, name: str | int):
  """Keys of any shape, folded with a name (by crc32: `hash` differs between processes) or a position."""
  data = zlib.crc32(name.encode()) if isinstance(name, str) else name
  f = jax.random.fold_in
  for _ in range(keys.ndim):
    f = jax.vmap(f, (0, None))
  return f(keys, data)


def per_example(key, positions_B):
  """One key per example from its global position, so that it does not depend on how the batch is held."""
  return jax.vmap(jax.random.fold_in, (None, 0))(key, positions_B)


def scan(body, carry, xs):
  """`lax.scan`, unrolled on CPU: there a convolution's weight gradient inside a loop runs 10 to 100 times slower (experiments/speed/conv.py)."""
  if jax.default_backend() != 'cpu':
    return jax.lax.scan(body, carry, xs)
  ys = []   # by hand: `unroll=True` keeps the loop where there is one step
  for i in range(jax.tree.leaves(xs)[0].shape[0]):
    carry, y = body(carry, jax.tree.map(lambda x, i=i: x[i], xs))
    ys.append(y)
  return carry, jax.tree.map(lambda *y: jnp.stack(y), *ys)


def choose(what: str, name, among):
  """The entry of a table, or what is one of several. Raises InputError with the names there are."""
  if name not in among:
    raise InputError(f'{what}={name!r}: there are {", ".join(map(str, among))}')
  return among[name] if isinstance(among, Mapping) else name


def normal(keys_N, shape):
  """One draw a key, [N, *shape]."""
  return jax.vmap(lambda key: jax.random.normal(key, shape))(keys_N)


def module(kind: str, name: str):
  """gen_jax.<kind>.<name>. Raises InputError with the names there are."""
  package = importlib.import_module(f'gen_jax.{kind}')
  known = sorted(p.stem for p in pathlib.Path(package.__path__[0]).glob('[a-z]*.py'))
  if name not in known:
    raise InputError(f'no {name!r} in gen_jax/{kind}: there are {", ".join(known)}')
  return importlib.import_module(f'gen_jax.{kind}.{name}')


def over_seeds(f):
  """f(state, *rest) for every seed: vmap, or unrolled on CPU, where a batched convolution is slower than several (`scan`)."""
  def g(state, *rest):
    # step and frozen stay unbatched: a `cond` on a batched step would run both its branches.
    def one(part, *rest):
      return f(part.replace(step=state.step, frozen=state.frozen), *rest)
    parts = (state.replace(step=None, frozen=None), *rest)
    if jax.default_backend() == 'cpu':
      return scan(lambda _, xs: (None, one(*xs)), None, parts)[1]
    return jax.vmap(one)(*parts)
  return g
