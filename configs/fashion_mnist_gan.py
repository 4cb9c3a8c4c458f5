"""configs/mnist_gan.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_gan.py --workdir=runs/fashion_mnist_gan
"""
from configs import mnist_gan


def get_config(arg=''):
  return mnist_gan.get_config(arg, 'fashion_mnist')
