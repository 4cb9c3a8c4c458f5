"""configs/mnist_vqvae.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_vqvae.py --workdir=runs/fashion_mnist_vqvae
"""
from configs import mnist_vqvae


def get_config(arg=''):
  return mnist_vqvae.get_config(arg, 'fashion_mnist')
