"""A contrastive judge of emoji and their names: which of a hundred captions is a picture's? (experiments/text_to_image)

  python -m gen_jax.fetch emoji
  python -m gen_jax.train --config=configs/emoji_judge.py --workdir=runs/emoji_judge
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('emoji', 'contrastive', 'conv', model=dict(optimizer='adamw', learning_rate=1e-3, weight_decay=.05, schedule='cosine', warmup=100))
  config.update(steps=2000, batch_size=128, log_every=100, sample_every=0, checkpoint_every=1000, evals='score')
  config.data.update(captions=True, crop=6)
  return variant(config, arg)
