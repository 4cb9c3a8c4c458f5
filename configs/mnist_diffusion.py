"""Class-conditional diffusion: EDM's preconditioning, noise and Heun sampler, a U-Net on 2x2 patches.

  python -m gen_jax.train --config=configs/mnist_diffusion.py --workdir=runs/mnist_diffusion
"""
from gen_jax.config import base, variant


def get_config(arg='', data='mnist'):
  config = base(data, 'diffusion', 'unet', model=dict(learning_rate=1e-3, warmup=100, schedule='cosine', ema_width=.1))
  config.update(steps=3000, batch_size=64, log_every=100, sample_every=1000, checkpoint_every=1000, evals='score,agreement,fid,kid,prdc,memorisation')
  config.family.update(schedule='edm', objective='edm', weight='edm', condition=True)
  return variant(config, arg)
