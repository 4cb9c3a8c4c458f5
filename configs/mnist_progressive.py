"""configs/mnist_gan.py grown from 7 to 14 and 28 pixels (Karras et al. 2018, https://arxiv.org/abs/1710.10196) over its first 1,200 steps.

  python -m gen_jax.train --config=configs/mnist_progressive.py --workdir=runs/mnist_progressive
"""
from gen_jax.config import base, variant


def get_config(arg='', data='mnist'):
  player = dict(learning_rate=1e-3, b1=.5, b2=.99)
  config = base(data, 'gan', 'progressive', discriminator=player, generator={**player, 'ema': .99})
  config.update(steps=2400, batch_size=32, log_every=50, sample_every=400, checkpoint_every=400,
                evals='score,agreement,fid,kid,prdc,memorisation')
  config.family.update(loss='nonsaturating', penalty='r1', penalty_weight=1., condition='projection')
  config = variant(config, arg)
  config.family.grow = config.steps // 2   # of the smoke run's steps too
  return config
