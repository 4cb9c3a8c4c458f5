"""A model of molecules trained on for drug-likeness, by GRPO, near to the model that it starts from.

  python -m gen_jax.train --config=configs/molecules_gpt.py --workdir=runs/molecules
  python -m gen_jax.train --config=configs/molecules_reward.py --workdir=runs/druglike --config.data.tokenizer=runs/molecules \\
    --config.init_from=runs/molecules --config.frozen.reference=runs/molecules

Not yet run in full. Molecules of one's own: --config.data.path=FILE.
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('molecules', 'autoregressive', 'transformer', reward='qed', model=dict(learning_rate=5e-5, clip=1.))
  config.update(steps=300, batch_size=8, log_every=10, sample_every=100, checkpoint_every=100, evals='score,molecules')
  return variant(config, arg)
