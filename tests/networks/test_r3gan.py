"""The start that stands in for normalisation, and that all of the network is used."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from gen_jax import data
from gen_jax.networks import r3gan

GIVEN = {'encoder': jax.random.normal(jax.random.key(0), (2, 12, 12, 1)), 'decoder': jax.random.normal(jax.random.key(1), (2, 3))}


def made(part, blocks=2):
  return getattr(r3gan.make(ConfigDict({**r3gan.DEFAULTS, 'width': 4, 'blocks': blocks}), data.Spec((12, 12, 1))), part)


@pytest.mark.parametrize('part', GIVEN)
def test_blocks_start_as_the_identity(part):
  """What comes out is as if there were none."""
  net, bare = made(part), made(part, blocks=0)
  params = net.init(jax.random.key(2), GIVEN[part])['params']
  rest = {name: p for name, p in params.items() if 'Block' not in name}
  np.testing.assert_allclose(net.apply({'params': params}, GIVEN[part]), bare.apply({'params': rest}, GIVEN[part]), atol=1e-6)
  assert sum('Block' in name for name in params) == 4   # two sizes


def test_deeper_networks_start_with_smaller_kernels():
  x = jnp.ones((1, 4, 4, 64))
  few, many = (r3gan.Block(depth, 'float32').init(jax.random.key(2), x)['params'] for depth in (1, 16))
  for name in ('Dense_0', 'Conv_0'):
    np.testing.assert_allclose(many[name]['kernel'], few[name]['kernel'] / 2, rtol=1e-5)   # 16^(-1/4)


@pytest.mark.parametrize('part', GIVEN)
def test_every_parameter_is_used(part):
  net = made(part)
  params = net.init(jax.random.key(2), GIVEN[part])
  params = jax.tree.map(lambda p: p + .1 * jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape), params)   # off the blocks' zeros
  for path, g in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(lambda p: jnp.sin(net.apply(p, GIVEN[part])).sum()))(params)):
    assert (g != 0).any(), jax.tree_util.keystr(path)
