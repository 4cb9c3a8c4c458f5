"""AC-GAN (Odena et al. 2017): hinge loss, spectral normalisation, and a discriminator that also names the class.

  python -m gen_jax.train --config=configs/mnist_acgan.py --workdir=runs/mnist_acgan

On 2 CPU cores 78 s; seed 0: 969 of 1,000 samples are the digit asked for (experiments/mnist).
"""
from gen_jax.config import base, variant


def get_config(arg='', data='mnist'):
  player = dict(learning_rate=1e-3, b1=.5, b2=.99)
  config = base(data, 'gan', 'conv', discriminator=player, generator={**player, 'ema': .99})
  config.update(steps=2000, batch_size=32, log_every=50, sample_every=500, checkpoint_every=500,
                evals='score,agreement,fid,kid,prdc')
  config.family.update(loss='hinge', spectral=True, condition='classifier', start=.02)
  return variant(config, arg)
