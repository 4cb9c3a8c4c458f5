import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gen_jax import core, penalties

SHAPE = (2, 2, 1)


@pytest.mark.parametrize('norm', [0., .5, 1., 3.])
def test_penalties_of_a_linear_critic(norm):
  """Its slope is w everywhere."""
  w = norm * jnp.array([.5, -.5, .5, .5])
  real, fake = jax.random.normal(jax.random.key(0), (2, 5, *SHAPE))
  keys = core.per_example(jax.random.key(1), jnp.arange(5))
  found = {name: f(lambda x_B: x_B.reshape(len(x_B), -1) @ w, real, fake, keys) for name, f in penalties.PENALTIES.items()}
  wanted = {'none': 0., 'gradient_penalty': (norm - 1)**2, 'r1': norm**2 / 2, 'r1r2': norm**2}
  for name, value in found.items():
    np.testing.assert_allclose(value, np.full(5, wanted[name]), atol=1e-5, err_msg=name)


def test_where_the_slope_is_taken():
  """The slope of |x|^2 / 2 is x: at real examples, at both, and in between, each at its own place."""
  real, fake = jnp.full((64, *SHAPE), 1.), jnp.full((64, *SHAPE), 3.)   # |slope| = 2 and 6
  critic = lambda x_B: .5 * (x_B.reshape(len(x_B), -1)**2).sum(-1)
  keys = lambda: core.per_example(jax.random.key(1), jnp.arange(64))
  np.testing.assert_allclose(penalties.r1(critic, real, fake, keys()), 2., rtol=1e-6)
  np.testing.assert_allclose(penalties.r1r2(critic, real, fake, keys()), 20., rtol=1e-6)
  between = jnp.sqrt(penalties.gradient_penalty(critic, real, fake, keys())) + 1
  assert between.min() >= 2 and between.max() <= 6 and between.min() < 2.5 and between.max() > 5.5 and abs(between.mean() - 4) < .5


def test_a_penalty_can_be_trained_at_a_flat_critic():
  slope = jax.grad(lambda w: penalties.gradient_penalty(lambda x_B: x_B @ w, jnp.ones((3, 4)), jnp.zeros((3, 4)),
                                                        core.per_example(jax.random.key(0), jnp.arange(3))).sum())(jnp.zeros(4))
  assert jnp.isfinite(slope).all()


def test_clipped_weights_stay_within_the_limit():
  optimizer = optax.chain(optax.sgd(1.), penalties.clipped_weights(.1))
  params = {'w': jnp.array([.05, -.3, .09]), 'b': jnp.array(.02)}
  updates, _ = optimizer.update({'w': jnp.array([-1., 0., .01]), 'b': jnp.array(.05)}, optimizer.init(params), params)
  new = optax.apply_updates(params, updates)
  np.testing.assert_allclose(new['w'], [.1, -.1, .08], rtol=1e-5)
  np.testing.assert_allclose(new['b'], -.03, rtol=1e-5)


def test_spectral_normalisation():
  """The largest singular value becomes 1 (numpy's), kernels of any shape; vectors are left alone."""
  shapes = {'dense': (6, 4), 'conv': (3, 3, 2, 5), 'row': (7, 1)}
  params = {name: 3 * jax.random.normal(core.fold(jax.random.key(0), name), shape) for name, shape in shapes.items()} | {'bias': jnp.ones(4)}
  u = penalties.spectral_init(params, jax.random.key(1))
  assert len(u) == 3
  step = jax.jit(penalties.spectral)
  for _ in range(100):
    normal, u = step(params, u)
  for name, shape in shapes.items():
    before, after = (np.asarray(tree[name]).reshape(-1, shape[-1]) for tree in (params, normal))
    np.testing.assert_allclose(np.linalg.norm(after, 2), 1, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(before, after * np.linalg.norm(before, 2), atol=1e-3)
  np.testing.assert_array_equal(normal['bias'], params['bias'])


def test_spectral_gradient_is_that_of_the_largest_singular_value():
  w = jax.random.normal(jax.random.key(0), (5, 4))
  u = penalties.spectral_init({'w': w}, jax.random.key(1))
  for _ in range(200):
    _, u = penalties.spectral({'w': w}, u)
  loss = lambda w, normal: (jnp.arange(20.).reshape(5, 4) * normal(w)).sum()
  found = jax.grad(lambda w: loss(w, lambda w: penalties.spectral({'w': w}, u)[0]['w']))(w)
  wanted = jax.grad(lambda w: loss(w, lambda w: w / jnp.linalg.svd(w, compute_uv=False)[0]))(w)
  np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())
