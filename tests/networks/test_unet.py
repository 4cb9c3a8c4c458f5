"""What a U-Net may be given beside its pixels."""
import jax
import jax.numpy as jnp
import numpy as np
from test_every_network import networks
from toys import weights


def test_waves_are_in_step_with_256_levels():
  """Without the pixels themselves: two levels more change nothing, half a level does."""
  (net, (x, level, _), _), *_ = networks('unet', (8, 8, 1), fourier=True)
  params = jax.tree.map(jnp.asarray, weights(net.init, jax.random.key(0), x, level))['params']
  kernel = params['Conv_0']['kernel']
  assert kernel.shape[2] == 4 * 5
  params = {**params, 'Conv_0': {**params['Conv_0'], 'kernel': kernel.at[:, :, ::5].set(0)}}
  apply = jax.jit(lambda x: net.apply({'params': params}, x, level))
  out, two, half = apply(x), apply(x + 4 / 255), apply(x + 1 / 255)
  np.testing.assert_allclose(out, two, atol=1e-3)
  assert np.abs(out - half).max() > .1
