"""What keeps a discriminator smooth: penalties [B] on its input gradient, spectral normalisation and weight clipping of its parameters."""
import jax
import jax.numpy as jnp
import optax

from gen_jax import core


def squared_slope(critic, x_B):
  """|d critic / dx|^2 of each example, [B]. critic: x_B -> [B], example by example."""
  slope = jax.grad(lambda x_B: critic(x_B).sum())(x_B)
  return (slope.reshape(len(x_B), -1)**2).sum(-1)


def none(critic, real_B, fake_B, keys_B):
  return jnp.zeros(len(real_B))


def gradient_penalty(critic, real_B, fake_B, keys_B):
  """(|slope| - 1)^2 between a real and a generated example (Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, eq. 3)."""
  def between(real, fake, key):
    t = jax.random.uniform(key)
    return t * real + (1 - t) * fake
  x_B = jax.vmap(between)(real_B, fake_B, core.fold(keys_B, 'between'))
  return (jnp.sqrt(squared_slope(critic, x_B) + 1e-12) - 1)**2


def r1(critic, real_B, fake_B, keys_B):
  """|slope|^2 / 2 at real examples (Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, eq. 9)."""
  return .5 * squared_slope(critic, real_B)


def r1r2(critic, real_B, fake_B, keys_B):
  """|slope|^2 / 2 at real and at generated examples."""
  return .5 * squared_slope(critic, real_B) + .5 * squared_slope(critic, fake_B)


PENALTIES = {'none': none, 'gradient_penalty': gradient_penalty, 'r1': r1, 'r1r2': r1r2}


def clipped_weights(limit: float) -> optax.GradientTransformation:
  """After the optimizer: parameters stay in [-limit, limit] (Arjovsky et al. 2017, algorithm 1)."""
  def update(updates, state, params):
    return jax.tree.map(lambda u, p: jnp.clip(p + u, -limit, limit) - p, updates, params), state
  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


# Spectral normalisation (Miyato et al. 2018, https://arxiv.org/abs/1802.05957, algorithm 1) of a tree of parameters rather than of a network, so
# that every network can have it. u: a vector for each kernel, by its path; one power iteration a turn, kept through Role.update.

def _kernels(params):
  return {jax.tree_util.keystr(path): w.reshape(-1, w.shape[-1]) for path, w in jax.tree_util.tree_leaves_with_path(params)
          if w.ndim > 1}


def spectral_init(params, key) -> dict:
  return {path: jax.random.normal(core.fold(key, path), w.shape[-1:]) for path, w in _kernels(params).items()}


def spectral(params, u) -> tuple:
  """(parameters with every kernel divided by its largest singular value, u after one power iteration)."""
  new, scale = {}, {}
  for path, w in _kernels(params).items():
    fixed = jax.lax.stop_gradient(w)
    v = _unit(fixed @ u[path])
    new[path] = _unit(v @ fixed)
    scale[path] = v @ w @ new[path]
  divide = lambda path, w: w / scale[jax.tree_util.keystr(path)] if w.ndim > 1 else w
  return jax.tree_util.tree_map_with_path(divide, params), new


def _unit(x):
  return x / jnp.sqrt((x**2).sum() + 1e-12)
