"""A small transformer that answers: of dialogues, a turn a line, how every second turn answers the one before.

  python -m gen_jax.fetch dialogues
  python -m gen_jax.train --config=configs/dialogues_gpt.py --workdir=runs/dialogues
  python -m gen_jax.sample --workdir=runs/dialogues --prompt='My mouse is not responding.' --num=4 --out=runs/answers.txt

  python -m gen_jax.evaluate --workdir=runs/dialogues

It knows its 756 dialogues by heart then (.04 nats a token) and little else: 6.4 nats on held-out ones, ROUGE-1 .079. experiments/assistant makes
use of that. In Chinese: --config.data.path=dialogues/chinese --config.data.tokenizer=characters. Your own: a blank line between dialogues. A longer
text and its summary are a dialogue too, if each is one line, and so short that it is not cut, for that would tell how long its summary is.
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('documents', 'autoregressive', 'transformer', model=dict(optimizer='adamw', learning_rate=1e-3, b2=.99, weight_decay=.1, clip=1.,
                                                                         schedule='cosine', warmup=50))
  config.update(steps=2000, batch_size=16, log_every=100, sample_every=1000, checkpoint_every=500, sample_rows=4, sample_columns=1,
                evals='score,answers')
  config.data.update(path='dialogues/english', between='\n\n', turns=True, tokenizer='pairs', vocabulary=2048, length=97)
  return variant(config, arg)
