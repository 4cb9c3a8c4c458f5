"""A trained family, fine-tuned by matrices of low rank beside its own, which stay as they are (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""
import math

import jax
import jax.numpy as jnp

from gen_jax import core


def lora(family: core.Family, rank: int) -> core.Family:
  """The family whose parameters are adapters: of each matrix W in its roles but embeddings, {'a': [in, rank], 'b': [rank, out]}, and W + a b is used.

  W, the parameters by role, lies in state.frozen['base'] and is never trained. b starts at zero: before the first step the family is the trained one.
  Raises InputError outside the other transformations, for a rank below 1, and of a family with variables.
  """
  if family.seeds or family.mesh:
    raise core.InputError('lora goes inside accumulated, seeds and devices')
  if rank < 1:
    raise core.InputError(f'lora_rank={rank}: must be at least 1')

  def init(key, batch):
    params, variables, frozen = family.init(key, batch)
    if jax.tree.leaves(variables):
      raise core.InputError('adapters are of parameters alone, and this family keeps more of a run (codes, moments): use config.init_from')

    def adapters(name):
      found = {}
      for path, w in jax.tree_util.tree_leaves_with_path(params[name]):
        path = jax.tree_util.keystr(path)
        if w.ndim > 1 and not path.endswith("['embedding']"):
          # Kernels of more than two axes are cut where the matrix is nearest to square: (heads, size, width) before its width.
          size = min((math.prod(w.shape[:i]) for i in range(1, w.ndim)), key=lambda n: max(n, w.size // n))
          a = jax.random.normal(core.fold(core.fold(key, name), path), (size, rank)) / math.sqrt(size)
          found[path] = {'a': a, 'b': jnp.zeros((rank, w.size // size))}
      return found
    return {name: adapters(name) for name in params}, variables, frozen

  def merged(own, base):
    def add(path, w):
      one = own.get(jax.tree_util.keystr(path))
      return w if one is None else w + (one['a'] @ one['b']).reshape(w.shape)
    return jax.tree_util.tree_map_with_path(add, base)

  def whole(state):
    base = state.frozen['base']
    every = lambda trees: {name: merged(own, base[name]) for name, own in trees.items()}
    rest = {name: part for name, part in state.frozen.items() if name != 'base'}
    return state.replace(params=every(state.params), ema=every(state.ema), frozen=rest)

  def lifted(name, role):
    def loss(own, state, batch, keys_B, key):
      return role.loss(merged(own, state.frozen['base'][name]), whole(state), batch, keys_B, key)
    return role._replace(loss=loss)
  return family._replace(init=init, roles={name: lifted(name, role) for name, role in family.roles.items()},
                         **core.reading(family, lambda f: lambda state, *rest: f(whole(state), *rest)))
