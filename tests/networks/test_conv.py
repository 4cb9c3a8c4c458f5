"""The convolution with derivatives of its own equals JAX's, to the third order, under vmap and in the penalty that it is made for."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax.networks import conv


def made(seed, *shape):
  return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize('strides', [(1, 1), (2, 2)])
def test_derivatives_equal_those_of_jax(strides):
  x, w = made(0, 2, 6, 8, 2), made(1, 4, 4, 2, 3)

  def first(f, x, w):
    return jnp.sin(f(x, w, strides)).sum()

  def second(f, x, w):
    gx, gw = jax.grad(first, (1, 2))(f, x, w)
    return (gx**2).sum() + (gw**3).sum()

  def third(f, x, w):
    gx, gw = jax.grad(second, (1, 2))(f, x, w)
    return (gx**2).sum() + (gw**2).sum()
  for order in (first, second, third):
    ours, theirs = (jax.grad(order, (1, 2))(f, x, w) for f in (conv.convolve, conv._native))
    for a, b in zip(ours, theirs):
      np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * float(jnp.abs(b).max()))


def test_per_example_penalties_under_vmap():
  x, w = made(2, 3, 8, 8, 1), made(3, 4, 4, 1, 2)

  def penalty(f, w, x):
    return (jax.grad(lambda x: jnp.tanh(f(x[None], w, (2, 2))).sum())(x)**2).sum()
  ours, theirs = (jax.vmap(lambda x, f=f: jax.grad(lambda w: penalty(f, w, x))(w))(x) for f in (conv.convolve, conv._native))
  np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * float(jnp.abs(theirs).max()))
