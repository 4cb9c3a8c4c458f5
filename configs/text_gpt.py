"""A small transformer on the characters of a text file of one's own.

  python -m gen_jax.train --config=configs/text_gpt.py --workdir=runs/text --config.data.path=FILE
  python -m gen_jax.sample --workdir=runs/text --prompt='The ' --num=4 --out=runs/texts.txt

Two minutes on 2 cores; 1.69 nats a character of held-out Shakespeare (experiments/shakespeare, row llama).
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('text', 'autoregressive', 'transformer', model=dict(optimizer='adamw', learning_rate=1e-3, b2=.99, weight_decay=.1, clip=1.,
                                                                    schedule='cosine', warmup=100))
  config.update(steps=2000, batch_size=12, log_every=100, sample_every=500, checkpoint_every=500, sample_rows=4, sample_columns=1, evals='score')
  config.data.stride = 1
  return variant(config, arg)
