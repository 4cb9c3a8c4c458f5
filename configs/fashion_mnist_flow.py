"""configs/mnist_flow.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_flow.py --workdir=runs/fashion_mnist_flow
"""
from configs import mnist_flow


def get_config(arg=''):
  return mnist_flow.get_config(arg, 'fashion_mnist')
