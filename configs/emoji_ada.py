"""A GAN of 64x64 emoji, conditional on their nine categories, with adaptive augmentation (Karras et al. 2020, https://arxiv.org/abs/2006.06676): a
discriminator would learn 3,000 pictures by heart.

  python -m gen_jax.fetch emoji
  python -m gen_jax.train --config=configs/emoji_ada.py --workdir=runs/emoji_ada
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  player = dict(learning_rate=5e-4, b1=.5, b2=.99)
  config = base('emoji', 'gan', 'conv', discriminator=player, generator={**player, 'ema': .999})
  config.update(steps=4000, batch_size=32, log_every=100, sample_every=1000, checkpoint_every=500, sample_rows=9, evals='score,fid,kid,memorisation')
  config.family.update(loss='nonsaturating', penalty='r1', penalty_weight=1., condition='projection', start=.02,
                       augment='flip,rotation,translation,brightness,saturation,contrast', adaptive=.6)
  return variant(config, arg)
