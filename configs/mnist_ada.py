"""configs/mnist_gan.py with adaptive augmentation (Karras et al. 2020, https://arxiv.org/abs/2006.06676): for few images, of which the discriminator
would otherwise learn the training set by heart.

  python -m gen_jax.train --config=configs/mnist_ada.py --workdir=runs/mnist_ada
"""
from configs import mnist_gan


def get_config(arg=''):
  config = mnist_gan.get_config(arg)
  config.family.update(augment='flip,rotation,translation,brightness,contrast', adaptive=.6)
  return config
