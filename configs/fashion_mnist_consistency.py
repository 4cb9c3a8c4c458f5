"""configs/mnist_consistency.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_consistency.py --workdir=runs/fashion_mnist_consistency
"""
from configs import mnist_consistency


def get_config(arg=''):
  return mnist_consistency.get_config(arg, 'fashion_mnist')
