"""The VAE of Kingma and Welling 2014: fully connected, Bernoulli pixels, 20 latent dimensions.

  python -m gen_jax.train --config=configs/mnist_vae.py --workdir=runs/mnist_vae

On 2 CPU cores 36 s; seed 0: -102.8 nats (IWAE-64, test) (experiments/mnist).
"""
from gen_jax.config import base, variant


def get_config(arg='', data='mnist'):
  config = base(data, 'vae', 'mlp', model=dict(learning_rate=1e-3))
  config.update(steps=6000, batch_size=64, steps_per_dispatch=2, log_every=250, sample_every=2000, checkpoint_every=2000,
                evals='score,fid,kid,prdc')
  config.data.shift = 1
  config.family.update(latent=20, likelihood='bernoulli')
  return variant(config, arg)
