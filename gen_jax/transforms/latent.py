"""Any family in the latent space of a trained codec (latent diffusion: Rombach et al. 2022, https://arxiv.org/abs/2112.10752)."""
import jax.numpy as jnp

from gen_jax import core


def latent(family: core.Family, codec: core.Family, shape: tuple[int, ...]) -> core.Family:
  """The family, made for latents of a shape, becomes one of what the codec encodes: losses and scores encode first, samples are decoded last.

  The codec's own state lies in state.frozen['codec'] and is never trained. Examples that have the latents' shape are taken for latents: a source may
  be encoded ahead. Scores are of latents, and called so. Raises InputError for a codec that does not encode and decode, and outside the others.
  """
  if family.seeds or family.mesh:
    raise core.InputError('latent goes inside accumulated, seeds and devices')
  if codec.encode is None or codec.decode is None:
    raise core.InputError('a codec encodes and decodes, and this family does not: vqvae does, and an unconditional vae')

  def inner(state):
    return state.replace(frozen={name: part for name, part in state.frozen.items() if name != 'codec'})

  def encoded(state, x_B):
    return x_B if x_B.shape[1:] == shape else codec.encode(state.frozen['codec'], x_B)

  def decoded(f):
    return f and (lambda state, *rest: codec.decode(state.frozen['codec'], f(inner(state), *rest)))

  def lifted(role):
    def loss(own, state, batch, keys_B, key):
      return role.loss(own, inner(state), {**batch, 'x': encoded(state, batch['x'])}, keys_B, key)
    return role._replace(loss=loss)

  def init(key, batch):
    return family.init(key, {**batch, 'x': jnp.zeros((len(batch['x']), *shape))})

  def score(state, batch, keys_B):
    found = family.score(inner(state), {**batch, 'x': encoded(state, batch['x'])}, keys_B)
    return {f'latent_{name}': value for name, value in found.items()}

  def reconstruct(state, batch, keys_B):
    return codec.decode(state.frozen['codec'], encoded(state, batch['x']))
  of_x = lambda f: f and (lambda state, x_B: f(inner(state), encoded(state, x_B)))
  codes = family.codes and family.codes._replace(encode=of_x(family.codes.encode), decode=decoded(family.codes.decode))
  return family._replace(
      init=init, roles={name: lifted(role) for name, role in family.roles.items()}, sample=decoded(family.sample), decode=decoded(family.decode),
      score=family.score and score, reconstruct=reconstruct, encode=of_x(family.encode), codes=codes, classify=of_x(family.classify))
