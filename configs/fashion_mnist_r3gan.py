"""configs/mnist_r3gan.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_r3gan.py --workdir=runs/fashion_mnist_r3gan
"""
from configs import mnist_r3gan


def get_config(arg=''):
  return mnist_r3gan.get_config(arg, 'fashion_mnist')
