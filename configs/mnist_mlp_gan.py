"""The GAN of the tutorials: fully connected on 784 pixels, non-saturating loss, no labels, no tricks.

  python -m gen_jax.train --config=configs/mnist_mlp_gan.py --workdir=runs/mnist_mlp_gan

On 2 CPU cores 83 s; seed 0: digits with the speckle of fully connected nets, FID@mnist-cnn 14.76 (experiments/mnist).
"""
from gen_jax.config import base, variant


def get_config(arg='', data='mnist'):
  player = dict(learning_rate=2e-4, b1=.5)
  config = base(data, 'gan', 'mlp', discriminator=player, generator=player)
  config.update(steps=10_000, batch_size=64, steps_per_dispatch=2, log_every=250, sample_every=2500, checkpoint_every=2500,
                evals='score,fid,kid,prdc')
  config.network.update(width=512, layers=2)
  config.family.latent = 100
  return variant(config, arg)
