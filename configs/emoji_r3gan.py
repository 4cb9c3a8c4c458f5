"""R3GAN of emoji (Huang et al. 2024, https://arxiv.org/abs/2501.05441): no augmentation but mirroring, no normalisation; configs/mnist_r3gan.py.

  python -m gen_jax.fetch emoji
  python -m gen_jax.train --config=configs/emoji_r3gan.py --workdir=runs/emoji_r3gan
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  player = dict(learning_rate=5e-4, b1=0., b2=.99, schedule='cosine')
  config = base('emoji', 'gan', 'r3gan', discriminator=player, generator={**player, 'ema': .999})
  config.update(steps=4000, batch_size=32, log_every=100, sample_every=1000, checkpoint_every=500, sample_rows=9, evals='score,fid,kid,memorisation')
  config.network.width = 16
  config.data.flip = True
  config.family.update(loss='relativistic', penalty='r1r2', penalty_weight=1., condition='projection')
  return variant(config, arg)
