"""configs/mnist_autoencoder.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_autoencoder.py --workdir=runs/fashion_mnist_autoencoder
"""
from configs import mnist_autoencoder


def get_config(arg=''):
  return mnist_autoencoder.get_config(arg, 'fashion_mnist')
