"""Image to image from pairs: Twitter's emoji as Google would draw them (pix2pix, Isola et al. 2017).

  python -m gen_jax.fetch emoji
  python -m gen_jax.train --config=configs/emoji_pix2pix.py --workdir=runs/emoji_pix2pix
  python -m gen_jax.sample --workdir=runs/emoji_pix2pix --edit=translate --image=emoji.png --out=runs/translated.png
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  player = dict(learning_rate=2e-4, b1=.5)
  config = base('emoji', 'translation', 'unet', discriminator=player, generator={**player, 'ema_width': .1})
  config.update(steps=4000, batch_size=16, log_every=100, sample_every=1000, checkpoint_every=500, sample_rows=8, sample_columns=8, evals='score')
  # Letters are mirrored too, but by both vendors.
  config.data.update(other='twitter', flip=True)
  config.network.update(width=64, stages=2, blocks=1, patch=4)
  config.family.discriminator_width = 32
  return variant(config, arg)
