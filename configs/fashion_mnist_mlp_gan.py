"""configs/mnist_mlp_gan.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_mlp_gan.py --workdir=runs/fashion_mnist_mlp_gan
"""
from configs import mnist_mlp_gan


def get_config(arg=''):
  return mnist_mlp_gan.get_config(arg, 'fashion_mnist')
