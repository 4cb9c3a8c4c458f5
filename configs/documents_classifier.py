"""The class of a text: by default of BBC news (business, entertainment, politics, sports, tech), by a small transformer.

  python -m gen_jax.fetch topics
  python -m gen_jax.train --config=configs/documents_classifier.py --workdir=runs/topics
  python -m gen_jax.evaluate --workdir=runs/topics

Texts of your own: a folder a class, or a file a class, below --config.data.path. From a run that has read such texts before:
--config.init_from=WORKDIR --config.data.tokenizer=WORKDIR. experiments/classification has both against TF-IDF.
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('documents', 'classifier', 'transformer', model=dict(optimizer='adamw', learning_rate=5e-4, weight_decay=.1, clip=1.,
                                                                     schedule='cosine', warmup=50, ema=.99))
  config.update(steps=600, batch_size=16, log_every=50, sample_every=0, checkpoint_every=300, evals='classification', eval_examples=2000)
  config.data.update(path='topics', labels=True, tokenizer='pairs', vocabulary=8192, length=257)
  config.network.layers = 2
  return variant(config, arg)
