"""A consistency model: one or two network evaluations a sample; trained as diffusion first, then towards itself.

  python -m gen_jax.train --config=configs/mnist_consistency.py --workdir=runs/mnist_consistency
"""
from configs import mnist_diffusion


def get_config(arg='', data='mnist'):
  config = mnist_diffusion.get_config(arg, data)
  config.family.update(consistency=7)
  config.sample.update(sampler='consistency', steps=2)
  return config
