"""A GAN of emoji grown from 8 to 16, 32 and 64 pixels over its first half (Karras et al. 2018, https://arxiv.org/abs/1710.10196).

  python -m gen_jax.fetch emoji
  python -m gen_jax.train --config=configs/emoji_progressive.py --workdir=runs/emoji_progressive
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  player = dict(learning_rate=5e-4, b1=.5, b2=.99)
  config = base('emoji', 'gan', 'progressive', discriminator=player, generator={**player, 'ema': .999})
  config.update(steps=4000, batch_size=32, log_every=100, sample_every=500, checkpoint_every=500, sample_rows=9, evals='score,fid,kid,memorisation')
  config.network.width = 8
  config.data.flip = True
  config.family.update(loss='nonsaturating', penalty='r1', penalty_weight=1., condition='projection')
  config = variant(config, arg)
  config.family.grow = config.steps // 2   # of the smoke run's steps too
  return config
