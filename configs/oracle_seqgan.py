"""SeqGAN on the sequences of a random LSTM, from a run of maximum likelihood.

  python -m gen_jax.train --config=configs/oracle_seqgan.py --workdir=runs/oracle_seqgan --config.init_from=runs/oracle_mle

The discriminator has to learn first: it takes five turns a step, and the policy's learning rate rises over the first 100 steps.

Time and score: not run yet (experiments/oracle).
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('oracle', 'textgan', 'recurrent', discriminator=dict(learning_rate=1e-3, turns=5),
                model=dict(learning_rate=1e-3, clip=5., warmup=100))
  config.update(steps=300, batch_size=64, log_every=10, sample_every=100, checkpoint_every=50, sample_columns=1, evals='oracle,score')
  config.network.width = 32
  return variant(config, arg)
