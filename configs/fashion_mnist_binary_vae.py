"""The VAE whose likelihood papers report: dynamically binarised Fashion-MNIST, 40 latent dimensions, two layers of 300.

  python -m gen_jax.train --config=configs/fashion_mnist_binary_vae.py --workdir=runs/binary_vae
  python -m experiments.fashion_mnist.likelihood --workdir=runs/binary_vae

Published: 228.70 nats by IWAE-5000 on the test images (Norouzi et al. 2020, https://arxiv.org/abs/2004.04795, table 1). Reached with 1,116,864
parameters: 230.11 +- 0.76 over images, and 228.75 by 350,000 steps with a warm-up (experiments/fashion_mnist); with
--config.network.gated=False, 688,464 parameters: 230.92.
"""
from gen_jax.config import base, variant


def get_config(arg='', **roles):
  config = base('fashion_mnist', 'vae', 'mlp', model=dict(learning_rate=5e-4, schedule='cosine', ema=.999), **roles)
  config.update(steps=150_000, batch_size=100, steps_per_dispatch=5, log_every=5000, sample_every=50_000, checkpoint_every=25_000, evals='score')
  config.network.update(width=300, layers=2, gated=True)
  config.family.update(latent=40, likelihood='bernoulli', binarize='dynamic', score_samples=5000)
  return variant(config, arg)
