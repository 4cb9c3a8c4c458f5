"""A text model trained on for verse: lines that rhyme with the next, by GRPO, near to the model that it starts from.

  python -m gen_jax.train --config=configs/text_gpt.py --workdir=runs/text --config.data.path=FILE --config.data.length=129
  python -m gen_jax.train --config=configs/text_reward.py --workdir=runs/verse --config.data.path=FILE --config.data.tokenizer=runs/text \\
    --config.init_from=runs/text --config.frozen.reference=runs/text

Not yet run in full (experiments/rewards). Another reward is its name behind the config's: --config=configs/text_reward.py:length (gen_jax/rewards).
"""
from gen_jax.config import base, variant


def get_config(arg='rhyme'):
  smoke = arg == 'smoke'
  config = base('text', 'autoregressive', 'transformer', reward='rhyme' if smoke else arg, model=dict(learning_rate=5e-5, clip=1.))
  config.data.update(length=129, stride=1)
  config.update(steps=300, batch_size=8, log_every=10, sample_every=100, checkpoint_every=100, sample_rows=4, sample_columns=1, evals='score')
  config.reward.prompt = 17
  return variant(config, 'smoke' if smoke else '')
