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
      return over_seeds(lambda state, own, *rest: role.gradient(loss, own, state, *rest))(state, own, batch, keys_B, key)

    def advance(outer, name, state, gradient, key):
      # `outer` is the role as it is played: what later transformations put on it is applied seed by seed too.
      def one(state, *rest):
        new, metrics = role.advance(outer, name, state, *rest)
        return new.replace(step=None, frozen=None), metrics
      new, metrics = over_seeds(one)(state, gradient, key)
      return new.replace(step=state.step, frozen=state.frozen), metrics
    return role._replace(gradient=gradient, advance=advance)

  def init(key_S, batch):
    def one(key):
      params, variables, frozen = family.init(key, batch)
      return (params, variables), frozen
    (params, variables), frozen = jax.vmap(one, out_axes=(0, None))(key_S)
    return params, variables, frozen

  def lift(f):
    return f and (lambda state, *rest: over_seeds(f)(state, *rest))
  return family._replace(init=init, roles={name: lifted(role) for name, role in family.roles.items()}, sample=lift(family.sample),
                         score=lift(family.score), reconstruct=lift(family.reconstruct), seeds=n)


def over_seeds(f):
  """f(state, *rest) for every seed: vmap, or unrolled on CPU, where a batched convolution is slower than several (core.scan)."""
  def g(state, *rest):
    # step and frozen stay unbatched: a `cond` on a batched step would run both its branches.
    def one(part, *rest):
      return f(part.replace(step=state.step, frozen=state.frozen), *rest)
    parts = (state.replace(step=None, frozen=None), *rest)
    if jax.default_backend() == 'cpu':
      return core.scan(lambda _, xs: (None, one(*xs)), None, parts)[1]
    return jax.vmap(one)(*parts)
  return g
