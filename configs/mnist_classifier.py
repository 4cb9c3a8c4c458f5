"""A small conv classifier: the ruler that judges samples (gen_jax/evals/agreement.py).

  python -m gen_jax.train --config=configs/mnist_classifier.py --workdir=runs/mnist_classifier

On 2 CPU cores 67 s; seed 0: 99.0 % of test digits (experiments/mnist).
"""
from gen_jax.config import base, variant


def get_config(arg='', data='mnist'):
  config = base(data, 'classifier', 'conv', model=dict(learning_rate=2e-3, schedule='cosine', warmup=50))
  config.update(steps=1500, batch_size=128, log_every=100, checkpoint_every=500, evals='score', eval_every=500)
  config.data.shift = 2
  config.family.smoothing = .05
  return variant(config, arg)
