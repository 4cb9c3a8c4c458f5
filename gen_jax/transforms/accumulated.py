"""Gradients accumulated over microbatches: the batch of a turn that does not fit a device's memory, for the price of time."""
import jax
import jax.numpy as jnp

from gen_jax import core


def accumulated(family: core.Family, n: int) -> core.Family:
  """Each gradient becomes the weighted mean over n microbatches; equal to the plain one up to the order of summation.

  Raises InputError for n < 1, for a role whose loss mixes examples, and outside `seeds` or `devices` (they go around it).
  """
  if n < 1:
    raise core.InputError(f'accumulate={n}: needs at least one microbatch')
  if family.seeds or family.mesh:
    raise core.InputError('accumulated goes inside seeds and devices: devices(seeds(accumulated(family, n), s), mesh)')
  mixed = [name for name, role in family.roles.items() if not role.per_example]
  if mixed:
    raise core.InputError(f'accumulated: the loss of {mixed} mixes the examples of a batch, so microbatches would change it')
  return family._replace(roles={name: role._replace(gradient=_accumulated(role.gradient, n)) for name, role in family.roles.items()})


def _accumulated(inner, n):
  def gradient(loss, own, state, batch, keys_B, key):
    if keys_B.size % n:
      raise core.InputError(f'accumulate={n} does not divide the {keys_B.size} examples that a device holds')
    parts = jax.tree.map(lambda x: x.reshape(n, -1, *x.shape[1:]), (batch, keys_B))

    def weighted(part):
      g = inner(loss, own, state, *part, key)
      return g._replace(**{k: jax.tree.map(lambda x: x * g.count, getattr(g, k)) for k in ('grads', 'metrics', 'statistics')})
    shapes = jax.eval_shape(lambda parts: weighted(jax.tree.map(lambda x: x[0], parts)), parts)
    zero = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    total, _ = core.scan(lambda total, part: (jax.tree.map(jnp.add, total, weighted(part)), None), zero, parts)
    means = {k: jax.tree.map(lambda x: x / jnp.maximum(total.count, 1e-9), getattr(total, k)) for k in ('grads', 'metrics', 'statistics')}
    return core.Gradient(**means, count=total.count)
  return gradient
