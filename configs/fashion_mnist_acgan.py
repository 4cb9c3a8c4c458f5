"""configs/mnist_acgan.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_acgan.py --workdir=runs/fashion_mnist_acgan
"""
from configs import mnist_acgan


def get_config(arg=''):
  return mnist_acgan.get_config(arg, 'fashion_mnist')
