"""What networks.dot_general rests on, in milliseconds: python -m experiments.speed.dense

A transformer layer's MLP on 12 sequences of 64 tokens, 128 wide, forward and backward, with flax's own product and with ours; some seconds.
"""
from experiments.speed.conv import measure


def main():
  import flax.linen as nn
  import jax
  import jax.numpy as jnp

  from gen_jax.networks import dot_general

  def mlp(**how):
    wide, narrow = nn.Dense(512, use_bias=False, **how), nn.Dense(128, use_bias=False, **how)

    def loss(weights, x):
      return (narrow.apply(weights[1], nn.gelu(wide.apply(weights[0], x)))**2).mean()
    return jax.grad(loss, (0, 1))
  normal = lambda i, *shape: .1 * jax.random.normal(jax.random.fold_in(jax.random.key(0), i), shape)
  weights = [{'params': {'kernel': normal(i, *shape)}} for i, shape in enumerate(((128, 512), (512, 128)))]
  given = weights, jnp.asarray(normal(2, 12, 64, 128))
  for name, ms in measure({"flax's": (mlp(), given), 'ours': (mlp(dot_general=dot_general), given)}, rounds=101).items():
    print(f'{name}: {ms:.1f} ms')


if __name__ == '__main__':
  main()
