"""A small transformer on piano rolls of whole pieces, a .mat file of one's own such as JSB Chorales, in every key within five semitones.

  python -m gen_jax.train --config=configs/rolls_gpt.py --workdir=runs/rolls --config.data.path=JSB_Chorales.mat
  python -m gen_jax.sample --workdir=runs/rolls --num=4 --out=runs/rolls.mid     (or .musicxml, .wav, .png)

Half an hour on 2 cores beside other work; 5.12 nats a frame of the test split of JSB Chorales, seed 0 (experiments/chorales).
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('rolls', 'autoregressive', 'transformer', model=dict(optimizer='adamw', learning_rate=1e-3, b2=.99, weight_decay=.1, clip=1.,
                                                                     schedule='cosine', warmup=100))
  config.update(steps=1500, batch_size=4, log_every=100, sample_every=500, checkpoint_every=500, sample_rows=4, sample_columns=1,
                evals='score,harmony', eval_examples=100)
  config.data.transpose = 5
  config.family.documents = True   # a sequence holds several pieces
  config.network.update(dropout=.2, heads=2)   # with sequences so long, heads cost more than width
  return variant(config, arg)
