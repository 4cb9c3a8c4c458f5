"""A small residual classifier: the shipped extractors `mnist-cnn` and `fmnist-cnn` are this, made by experiments/rulers.

  python -m gen_jax.train --config=configs/mnist_classifier.py --workdir=runs/mnist_classifier

On 2 CPU cores 156 s; seed 0: 99.4 % of 500 test digits (experiments/rulers).
"""
from gen_jax.config import base, variant


def get_config(arg='', data='mnist', steps=1500, shift=2, flip=False):
  config = base(data, 'classifier', 'resnet', model=dict(optimizer='adamw', learning_rate=2e-3, weight_decay=.02, schedule='cosine', warmup=100,
                                                         ema=.998))
  config.update(steps=steps, batch_size=128, log_every=100, checkpoint_every=500, evals='score', eval_every=500)
  config.data.update(shift=shift, flip=flip)
  config.network.update(width=16, features=96)
  config.family.smoothing = .05
  return variant(config, arg)
