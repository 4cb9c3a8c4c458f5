"""configs/mnist_classifier.py on Fashion-MNIST, for longer and mirrored.

  python -m gen_jax.fetch fashion_mnist
  python -m gen_jax.train --config=configs/fashion_mnist_classifier.py --workdir=runs/fashion_mnist_classifier
"""
from configs import mnist_classifier


def get_config(arg=''):
  return mnist_classifier.get_config(arg, 'fashion_mnist', steps=5000, shift=1, flip=True)   # trousers may be mirrored, digits may not
