"""Text to image: 64x64 emoji from their names, by captioned diffusion with guidance.

  python -m gen_jax.fetch emoji
  python -m gen_jax.train --config=configs/emoji_text.py --workdir=runs/emoji_text
  python -m gen_jax.sample --workdir=runs/emoji_text --caption='red heart' --out=runs/hearts.png
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('emoji', 'diffusion', 'unet', model=dict(learning_rate=1e-3, warmup=200, schedule='cosine', clip=1., ema_width=.1))
  config.update(steps=12_000, batch_size=32, log_every=100, sample_every=1000, checkpoint_every=500, sample_rows=8, sample_columns=8,
                evals='score')
  config.data.captions = True
  config.network.update(width=64, stages=2, blocks=1, patch=4)
  # The picture and not its noise is predicted: a patch has 48 numbers, of which 64 channels can hold those of a picture and not those of noise
  # (Li and He 2025, https://arxiv.org/abs/2511.13720).
  config.family.update(schedule='cosine', objective='data', weight='min_snr', condition=True)
  config.sample.update(sampler='dpm2m', steps=24, guidance=2.)
  return variant(config, arg)
