"""A small transformer on Bach's chorales, four voices on a grid of sixteenth notes, four bars at once, in every key within five semitones.

  python -m gen_jax.fetch chorales
  python -m gen_jax.train --config=configs/chorales_gpt.py --workdir=runs/chorales
  python -m gen_jax.sample --workdir=runs/chorales --num=4 --out=runs/chorales.mid     (or .musicxml, .wav, .png)
  python -m gen_jax.sample --workdir=runs/chorales --num=4 --out=runs/more.mid --prompt=BEGINNING.musicxml

Not run yet.
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('chorales', 'autoregressive', 'transformer', model=dict(optimizer='adamw', learning_rate=1e-3, b2=.99, weight_decay=.1, clip=1.,
                                                                        schedule='cosine', warmup=100))
  config.update(steps=2000, batch_size=16, log_every=100, sample_every=500, checkpoint_every=500, sample_rows=4, sample_columns=1,
                evals='score,harmony', eval_examples=100)
  config.data.transpose = 5
  config.network.dropout = .1
  return variant(config, arg)
