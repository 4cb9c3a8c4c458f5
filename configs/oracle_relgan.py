"""RelGAN's game on the sequences of a random LSTM, from a run of maximum likelihood.

  python -m gen_jax.train --config=configs/oracle_relgan.py --workdir=runs/oracle_relgan --config.init_from=runs/oracle_mle

Time and score: not run yet (experiments/oracle).
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('oracle', 'textgan', 'recurrent', discriminator=dict(learning_rate=1e-3), model=dict(learning_rate=1e-3, clip=5.))
  config.update(steps=400, batch_size=64, log_every=10, sample_every=200, checkpoint_every=50, sample_columns=1, evals='oracle,score')
  config.network.width = 32
  config.family.game = 'relgan'
  return variant(config, arg)
