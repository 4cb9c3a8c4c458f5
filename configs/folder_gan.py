"""configs/mnist_gan.py without labels, on a directory of images of one's own.

  python -m gen_jax.train --config=configs/folder_gan.py --config.data.folder=DIRECTORY --workdir=runs/folder_gan
"""
from configs import mnist_gan


def get_config(arg=''):
  config = mnist_gan.get_config(arg, 'folder')
  config.family.condition = 'none'
  config.evals = 'score'
  return config
