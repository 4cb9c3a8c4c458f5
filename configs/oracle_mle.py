"""Maximum likelihood on the sequences of a random LSTM (data.oracle), the LSTM as small as that of Yu et al. 2017.

  python -m gen_jax.train --config=configs/oracle_mle.py --workdir=runs/oracle_mle
  python -m gen_jax.evaluate --workdir=runs/oracle_mle --config.sample.temperature=.8

Time and score: not run yet (experiments/oracle).
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('oracle', 'autoregressive', 'recurrent', model=dict(learning_rate=1e-2, clip=5., schedule='cosine'))
  config.update(steps=4000, batch_size=64, steps_per_dispatch=5, log_every=100, sample_every=2000, checkpoint_every=500, sample_columns=1,
                evals='oracle,score')
  config.network.width = 32
  return variant(config, arg)
