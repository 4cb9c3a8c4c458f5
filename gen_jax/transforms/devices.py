"""One family over many devices: a mesh with the axes 'seed', 'data' and 'fsdp', and a `shard_map` around each gradient.

Only the gradient runs on shards. All that follows it sees the whole averaged gradient under `jit`, so clipping, noise and codebooks are
right on any number of devices. With an 'fsdp' axis parameters, optimizer state and averages are stored in shards; the gradient gathers
them and scatters its result (ZeRO-3, Rajbhandari et al. 2020, https://arxiv.org/abs/1910.02054, without prefetching).
"""
import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gen_jax import core

AXES = ('seed', 'data', 'fsdp')
EXAMPLES = ('data', 'fsdp')   # the batch is cut over both


def make_mesh(text: str, devices=None) -> jax.sharding.Mesh:
  """A mesh from 'data=4,fsdp=2': axes left out are 1, and without 'data' it takes what the others leave ('': all devices on data).

  Raises InputError for an unknown axis, a size that is no number, or a product that the devices can't fill.
  """
  devices = jax.devices() if devices is None else devices
  sizes = {}
  for part in filter(None, text.replace(' ', '').split(',')):
    axis, _, size = part.partition('=')
    if axis not in AXES or not size.isdigit() or int(size) < 1:
      raise core.InputError(f'mesh={text!r}: {part!r} is not AXIS=SIZE with an axis of {", ".join(AXES)}')
    sizes[axis] = int(size)
  taken = sizes.get('seed', 1) * sizes.get('fsdp', 1)
  shape = [sizes.get('seed', 1), sizes.get('data', max(1, len(devices) // taken)), sizes.get('fsdp', 1)]
  total = shape[0] * shape[1] * shape[2]
  if total > len(devices) or 'data' not in sizes and total != len(devices):
    raise core.InputError(f'mesh={text!r} needs {total} devices or a divisor, there are {len(devices)}')
  # Auto axes: under the default, Explicit, gathers and concatenations raise.
  return jax.make_mesh(shape, AXES, axis_types=(jax.sharding.AxisType.Auto,) * 3, devices=devices[:total])


def devices(family: core.Family, mesh: jax.sharding.Mesh) -> core.Family:
  """Batches over 'data' and 'fsdp', seeds over 'seed', parameters over 'fsdp'. The result equals the plain family's up to summation order.

  A role whose loss mixes examples sees the whole batch on every device. Raises InputError when applied twice or when the seeds do not
  divide; tracing raises InputError for a batch that the devices do not divide.
  """
  if family.mesh:
    raise core.InputError('devices goes outermost, once: devices(family, mesh)')
  if (family.seeds or 1) % mesh.shape['seed']:
    raise core.InputError(f"seeds={family.seeds or 1} do not divide over the mesh's {mesh.shape['seed']} 'seed' devices")
  sharded = family._replace(mesh=mesh)

  def over(f):
    """All that only reads the state: examples are independent, so each device does its own."""
    def g(state, *arrays):
      specs = tuple(jax.tree.map(lambda _: batch_spec(sharded), a) for a in arrays)
      def local(state, *arrays):
        return f(_gathered(state, state_specs), *arrays)
      state_specs = specs_of(sharded, state)
      _check(sharded, jax.tree.leaves(arrays)[0].shape)
      return jax.shard_map(local, mesh=mesh, in_specs=(state_specs, *specs), out_specs=batch_spec(sharded), check_vma=False)(state, *arrays)
    return g

  roles = {name: role._replace(gradient=_sharded(role, sharded)) for name, role in family.roles.items()}
  return sharded._replace(roles=roles, **core.reading(family, over))


def _sharded(role, family):
  mesh = family.mesh
  examples = EXAMPLES if role.per_example else ()
  batch = P(*(('seed',) if family.seeds else ()), *((examples,) if examples else ()))
  lead = P('seed') if family.seeds else P()

  def gradient(loss, own, state, data, keys_B, key):
    if examples:
      _check(family, keys_B.shape)
    own_specs = jax.tree.map(lambda x: leaf_spec(family, x), own)
    state_specs = specs_of(family, state)

    def local(own, state, data, keys_B, key):
      g = role.gradient(loss, _gathered(own, own_specs), _gathered(state, state_specs), data, keys_B, key)
      if not examples:
        return g._replace(grads=jax.tree.map(_shard, g.grads, own_specs))
      count = jax.lax.psum(g.count, EXAMPLES)
      weight = g.count / jnp.maximum(count, 1e-9)
      scaled = lambda tree: jax.tree.map(lambda x: x * weight.reshape(weight.shape + (1,) * (x.ndim - weight.ndim)), tree)
      return core.Gradient(grads=jax.tree.map(_reduce, scaled(g.grads), own_specs), count=count,
                           **jax.lax.psum({'metrics': scaled(g.metrics), 'statistics': scaled(g.statistics)}, EXAMPLES))

    # check_vma=False: what is differentiated holds no collective, and its transpose must not sum over devices before we average (with the
    # check on, gradients of replicated parameters come out N times too large unless cast to varying, and so must every scan's carry be).
    out = core.Gradient(grads=own_specs, metrics=lead, statistics=lead, count=lead)
    return jax.shard_map(local, mesh=mesh, in_specs=(own_specs, state_specs, batch, batch, lead), out_specs=out,
                         check_vma=False)(own, state, data, keys_B, key)
  return gradient


def leaf_spec(family, x) -> P:
  """How a leaf of the state is stored: its seed axis over 'seed', its longest axis that divides over 'fsdp'."""
  lead = 1 if family.seeds else 0
  n = family.mesh.shape['fsdp']
  spec = ['seed'] * lead + [None] * (x.ndim - lead)
  fits = [i for i in range(lead, x.ndim) if x.shape[i] % n == 0 and x.shape[i] >= n]
  if n > 1 and fits:
    spec[max(fits, key=lambda i: x.shape[i])] = 'fsdp'
  return P(*spec)


def specs_of(family, state: core.TrainState):
  """A PartitionSpec for every leaf of a state: step, frozen and variables whole, the rest by `leaf_spec`."""
  lead = P('seed') if family.seeds else P()
  whole = lambda tree, spec: jax.tree.map(lambda _: spec, tree)
  stored = lambda tree: jax.tree.map(lambda x: leaf_spec(family, x), tree)
  return state.replace(step=P(), frozen=whole(state.frozen, P()), variables=whole(state.variables, lead),
                       params=stored(state.params), opt_state=stored(state.opt_state), ema=stored(state.ema))


def batch_spec(family) -> P:
  return P('seed', EXAMPLES) if family.seeds else P(EXAMPLES)


def shardings(family, specs):
  return jax.tree.map(lambda spec: NamedSharding(family.mesh, spec), specs, is_leaf=lambda x: isinstance(x, P))


def _check(family, shape):
  examples, n = shape[core.batch_axis(family)], family.mesh.shape['data'] * family.mesh.shape['fsdp']
  if examples % n:
    raise core.InputError(f'a batch of {examples} does not divide over {n} devices: make config.batch_size a multiple of {n}, or set config.mesh')


def _axis(spec):
  return spec.index('fsdp') if 'fsdp' in spec else None


def _gathered(tree, specs):
  return jax.tree.map(lambda x, s: x if _axis(s) is None else jax.lax.all_gather(x, 'fsdp', axis=_axis(s), tiled=True), tree, specs)


def _shard(x, spec):
  if _axis(spec) is None:
    return x
  n = jax.lax.axis_size('fsdp')
  size = x.shape[_axis(spec)] // n
  return jax.lax.dynamic_slice_in_dim(x, jax.lax.axis_index('fsdp') * size, size, axis=_axis(spec))


def _reduce(x, spec):
  if _axis(spec) is None:
    return jax.lax.psum(x, EXAMPLES)
  return jax.lax.psum(jax.lax.psum_scatter(x, 'fsdp', scatter_dimension=_axis(spec), tiled=True), 'data')
