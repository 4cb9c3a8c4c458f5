"""Bits per dimension of 8-bit Fashion-MNIST: a diffusion model trained with its own bound, whose ends are learnt (VDM, Kingma et al. 2021,
https://arxiv.org/abs/2107.00630).

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_bits.py --workdir=runs/fashion_mnist_bits
  python -m experiments.fashion_mnist.likelihood --workdir=runs/fashion_mnist_bits --samples=50

Not trained in full yet.
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('fashion_mnist', 'diffusion', 'unet', model=dict(learning_rate=1e-3, warmup=500, clip=1., schedule='cosine', ema=.999))
  config.update(steps=20_000, batch_size=64, log_every=500, sample_every=10_000, checkpoint_every=2500, eval_every=5000, eval_examples=1000,
                evals='score')
  config.network.fourier = True
  config.family.update(schedule='learned', objective='edm', weight='bound', deviation=1.)
  return variant(config, arg)
