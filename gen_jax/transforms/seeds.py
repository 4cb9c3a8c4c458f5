"""Several seeds in one program: error bars for the price of one compilation, and an axis of the mesh."""
import jax

from gen_jax import core


def seeds(family: core.Family, n: int) -> core.Family:
  """n independent runs side by side: params, variables, opt_state, ema, batch and keys lead with [n]; step and frozen are shared.

  Raises InputError for n < 1, twice, and outside `devices` (it goes around this).
  """
  if n < 1:
    raise core.InputError(f'seeds={n}: needs at least one')
  if family.seeds or family.mesh:
    raise core.InputError('seeds goes inside devices, once: devices(seeds(family, n), mesh)')

  def lifted(role):
    def gradient(loss, own, state, batch, keys_B, key):
      return core.over_seeds(lambda state, own, *rest: role.gradient(loss, own, state, *rest))(state, own, batch, keys_B, key)
    return role._replace(gradient=gradient)

  def init(key_S, batch):
    def one(key):
      params, variables, frozen = family.init(key, batch)
      return (params, variables), frozen
    (params, variables), frozen = jax.vmap(one, out_axes=(0, None))(key_S)
    return params, variables, frozen

  def lift(f):
    return lambda state, *rest: core.over_seeds(f)(state, *rest)
  return family._replace(init=init, roles={name: lifted(role) for name, role in family.roles.items()}, seeds=n, **core.reading(family, lift))
