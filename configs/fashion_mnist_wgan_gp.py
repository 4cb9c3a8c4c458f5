"""configs/mnist_wgan_gp.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_wgan_gp.py --workdir=runs/fashion_mnist_wgan_gp
"""
from configs import mnist_wgan_gp


def get_config(arg=''):
  return mnist_wgan_gp.get_config(arg, 'fashion_mnist')
