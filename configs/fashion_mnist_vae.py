"""configs/mnist_vae.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_vae.py --workdir=runs/fashion_mnist_vae
"""
from configs import mnist_vae


def get_config(arg=''):
  return mnist_vae.get_config(arg, 'fashion_mnist')
