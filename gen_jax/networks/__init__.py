"""flax.linen modules without losses: one file a network, `make(options, spec) -> (encoder, decoder)`.

encoder: (x_BxHxWxC or x_BxD) -> h_BxF. decoder: (z_BxZ) -> x_BxHxWxC or x_BxD, before any squashing; its field `channels` says how many C are
made. Families put heads on them. Parameters are float32, `dtype` is what is computed in, and what leaves a network is float32.
"""
import jax
import jax.numpy as jnp


def append_label(x_B, condition_B, classes: int):
  """x with a one-hot label as further channels: planes behind an image, numbers behind a vector. classes = 0: x as it is."""
  if not classes:
    return x_B
  planes = jax.nn.one_hot(condition_B, classes, dtype=x_B.dtype).reshape(len(x_B), *[1] * (x_B.ndim - 2), classes)
  return jnp.concatenate([x_B, jnp.broadcast_to(planes, (*x_B.shape[:-1], classes))], axis=-1)
