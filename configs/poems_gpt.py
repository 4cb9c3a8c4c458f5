"""A small transformer that writes texts one by one: by default poems of the Tang dynasty, by character.

  python -m gen_jax.fetch poems
  python -m gen_jax.train --config=configs/poems_gpt.py --workdir=runs/poems
  python -m gen_jax.sample --workdir=runs/poems --prompt='明月' --num=4 --out=runs/poems.txt

Not yet run in full; after a third of its steps most lines have five or seven characters, and stops where poems have them.
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('documents', 'autoregressive', 'transformer', model=dict(optimizer='adamw', learning_rate=1e-3, b2=.99, weight_decay=.1, clip=1.,
                                                                         schedule='cosine', warmup=100))
  config.update(steps=3000, batch_size=32, log_every=100, sample_every=1000, checkpoint_every=1000, sample_rows=4, sample_columns=1, evals='score')
  config.data.update(path='poems', between='\n\n', length=69)   # four couplets of seven syllables have 67 characters
  return variant(config, arg)
