"""A VAE that beats the published ones: fashion_mnist_binary_vae with a decoder that also reads the 24 earlier pixels of a 7x7 window.

  python -m gen_jax.train --config=configs/fashion_mnist_pixel_vae.py --workdir=runs/pixel_vae
  python -m experiments.fashion_mnist.likelihood --workdir=runs/pixel_vae
"""
from configs import fashion_mnist_binary_vae
from gen_jax.config import variant


def get_config(arg=''):
  config = fashion_mnist_binary_vae.get_config()
  config.family.window = 7
  config.update(steps=40_000)
  return variant(config, arg)
