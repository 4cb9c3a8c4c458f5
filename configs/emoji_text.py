"""Text to image: 64x64 emoji from their names, by captioned diffusion with guidance.

  python -m gen_jax.fetch emoji
  python -m gen_jax.train --config=configs/emoji_text.py --workdir=runs/emoji_text
  python -m gen_jax.sample --workdir=runs/emoji_text --caption='red heart' --out=runs/hearts.png
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('emoji', 'diffusion', 'unet', model=dict(learning_rate=1e-3, warmup=200, schedule='cosine', clip=1., ema_width=.1))
  config.update(steps=6000, batch_size=32, log_every=100, sample_every=1000, checkpoint_every=500, sample_rows=8, sample_columns=8)
  config.data.captions = True
  config.network.update(width=64, stages=2, blocks=1, patch=4)
  config.family.update(schedule='edm', objective='edm', weight='edm', condition=True)
  config.sample.update(steps=16, guidance=2.)
  return variant(config, arg)
