"""Positions are relative; layers computed again are the same; heads that share keys give a smaller cache."""
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gen_jax import data
from gen_jax.networks import transformer


def make(**options):
  o = ConfigDict({**transformer.DEFAULTS, 'width': 16, 'layers': 2, **options})
  net = transformer.make(o, data.Spec((9,), bounded=False)).causal.clone(vocabulary=11)
  x = np.random.default_rng(0).integers(0, 11, (2, 9))
  params = jax.jit(net.init)(jax.random.key(0), x)
  return net, jax.tree.map(lambda p: p + .2 * jnp.sin(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape), params), x


def test_a_cache_holds_the_groups():
  net, params, x = make(groups=2)
  _, cache = jax.jit(lambda: net.apply(params, x, cache=net.empty(2, 9)))()
  assert int(cache['length']) == 9 and cache['layers'][0][0].shape == (2, 2, 9, 4)


def test_remat_changes_nothing():
  (net, params, x), (again, _, _) = make(), make(remat=True)
  loss = lambda net: lambda params: (net.apply(params, x)**2).mean()
  for a, b in zip(*(jax.tree.leaves(jax.jit(jax.grad(loss(n)))(params)) for n in (net, again))):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_rotated_products_depend_on_the_distance_alone():
  q, k = np.random.default_rng(0).standard_normal((2, 1, 1, 1, 8)).astype(np.float32)
  product = lambda a, b: (transformer.rotated(q, np.array([[a]])) * transformer.rotated(k, np.array([[b]]))).sum()
  np.testing.assert_allclose(product(3, 1), product(40, 38), rtol=1e-4)
  assert abs(product(3, 1) - product(3, 2)) > 1e-3
