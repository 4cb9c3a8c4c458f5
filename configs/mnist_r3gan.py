"""R3GAN (Huang et al. 2024, https://arxiv.org/abs/2501.05441): relativistic pairing, both zero-centred penalties, a network without normalisation;
class-conditional by projection.

  python -m gen_jax.train --config=configs/mnist_r3gan.py --workdir=runs/mnist_r3gan

Seed 0: 871 of 1,000 samples are the digit asked for (`python -m gen_jax.evaluate --workdir=runs/mnist_r3gan`).
"""
from gen_jax.config import base, variant


def get_config(arg='', data='mnist'):
  player = dict(learning_rate=1e-3, b1=0., b2=.99, schedule='cosine')
  config = base(data, 'gan', 'r3gan', discriminator=player, generator={**player, 'ema': .99})
  config.update(steps=1000, batch_size=32, log_every=50, sample_every=250, checkpoint_every=250,
                evals='score,agreement,fid,kid,prdc,memorisation')
  config.family.update(loss='relativistic', penalty='r1r2', penalty_weight=1., condition='projection')
  return variant(config, arg)
