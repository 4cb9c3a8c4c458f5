"""configs/mnist_diffusion.py on Fashion-MNIST.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_diffusion.py --workdir=runs/fashion_mnist_diffusion
"""
from configs import mnist_diffusion


def get_config(arg=''):
  return mnist_diffusion.get_config(arg, 'fashion_mnist')
