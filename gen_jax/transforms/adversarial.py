"""Training on embeddings of tokens that are moved to where the loss is larger, each example's by itself.

fgm     half of each loss is where the embeddings are, half is a distance `radius` up its gradient (Miyato et al. 2017,
        https://arxiv.org/abs/1605.07725, eq. 5)
freelb  the mean of `steps` places on the way up from a random one, `rate` apart and never further than `radius` (Zhu et al. 2020,
        https://arxiv.org/abs/1909.11764, algorithm 1)

Distances are of all embeddings of an example together, in units of their length: the same options do for any network. The papers' are
some hundredths of it. An example costs as much as three losses, or 2 `steps` - 1.
"""
import flax.linen as nn
import jax
import jax.numpy as jnp

from gen_jax import core

METHODS = ('fgm', 'freelb')


def adversarial(family: core.Family, options, nothing: int | None = None) -> core.Family:
  """options: config.DEFAULTS['adversary']; nothing: the token that is padding, which is not moved.

  Raises InputError outside the other transformations and for options out of range, and in training for a role whose loss embeds no tokens, or does so
  more than once.
  """
  o = options
  if family.seeds or family.mesh:
    raise core.InputError('adversarial goes inside accumulated, seeds and devices')
  for name, fine, says in (('method', o.method in METHODS, ', '.join(METHODS)), ('radius', o.radius > 0, 'above 0'), ('rate', o.rate > 0, 'above 0')):
    if not fine:
      raise core.InputError(f'adversary.{name}={o[name]}: must be {says}')

  def lifted(name, role):
    def loss(own, state, batch, keys_B, key):
      plain = lambda: role.loss(own, state, batch, keys_B, key)
      clean, seen = embedded(plain)
      if len(seen) != 1:
        raise core.InputError(f'the loss of {name} embeds tokens {len(seen)} times: config.adversary is of those that do once')
      (tokens_BxL, h_BxLxF), = seen
      there_BxLx1 = (tokens_BxL != nothing)[..., None] if nothing is not None else jnp.ones((*h_BxLxF.shape[:2], 1), bool)
      length_Bx1x1 = jax.lax.stop_gradient(_length(jnp.where(there_BxLx1, h_BxLxF, 0.).astype(jnp.float32)))
      move = lambda offset: moved(plain, jnp.where(there_BxLx1, length_Bx1x1 * offset, 0.))
      climb = jax.grad(lambda offset: move(offset)[0].sum())
      unit = lambda g: g / jnp.maximum(_length(g), 1e-12)
      if o.method == 'fgm':
        places = [o.radius * unit(climb(jnp.zeros(h_BxLxF.shape)))]
      else:
        # Uniform, at most as long as the radius.
        draw = jax.vmap(lambda key: jax.random.uniform(key, h_BxLxF.shape[1:], minval=-1.))(core.fold(keys_B, 'adversary'))
        size_Bx1x1 = there_BxLx1.sum((1, 2), keepdims=True) * h_BxLxF.shape[-1]
        offset = jnp.where(there_BxLx1, draw, 0.) * o.radius / jnp.sqrt(jnp.maximum(1, size_Bx1x1))
        places = [offset]
        for _ in range(o.steps - 1):
          offset += o.rate * unit(climb(offset))
          offset *= jnp.minimum(1., o.radius / jnp.maximum(_length(offset), 1e-12))
          places.append(offset)
      every = [*([clean] if o.method == 'fgm' else []), *(move(jax.lax.stop_gradient(place)) for place in places)]
      return jax.tree.map(lambda *each: sum(each) / len(every), *every)
    return role._replace(loss=loss)
  return family._replace(roles={name: lifted(name, role) for name, role in family.roles.items()})


def _length(g_B):
  return jnp.sqrt((g_B**2).sum(range(1, g_B.ndim), keepdims=True))


def moved(f, offset_BxLxF):
  """What f() is with the embeddings moved."""
  def add(method, args, kwargs, context):
    found = method(*args, **kwargs)
    return found + offset_BxLxF.astype(found.dtype) if _embeds(context, found) else found
  with nn.intercept_methods(add):
    return f()


def embedded(f) -> tuple:
  """(f(), [(tokens, their embeddings)] of each time that it embeds some)."""
  seen = []

  def see(method, args, kwargs, context):
    found = method(*args, **kwargs)
    seen.extend([(args[0], found)] if _embeds(context, found) else [])
    return found
  with nn.intercept_methods(see):
    return f(), seen


def _embeds(context, found) -> bool:
  """Tokens [B, L, F]: of labels there is one an example."""
  return isinstance(context.module, nn.Embed) and context.method_name == '__call__' and found.ndim == 3
