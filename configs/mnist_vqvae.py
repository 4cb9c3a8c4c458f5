"""A codec of digits: 7 x 7 codes out of 256 each, a codebook that follows its latents.

  python -m gen_jax.train --config=configs/mnist_vqvae.py --workdir=runs/mnist_vqvae
"""
from gen_jax.config import base, variant


def get_config(arg='', data='mnist'):
  config = base(data, 'vqvae', 'codec', model=dict(learning_rate=1e-3, warmup=50, schedule='cosine'))
  config.update(steps=1500, batch_size=64, log_every=50, sample_every=500, checkpoint_every=500, evals='score')
  return variant(config, arg)
