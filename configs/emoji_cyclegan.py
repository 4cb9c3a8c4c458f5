"""configs/emoji_pix2pix.py without pairs: in training no emoji is seen beside itself (CycleGAN, Zhu et al. 2017).

  python -m gen_jax.fetch emoji
  python -m gen_jax.train --config=configs/emoji_cyclegan.py --workdir=runs/emoji_cyclegan
"""
from configs import emoji_pix2pix


def get_config(arg=''):
  config = emoji_pix2pix.get_config(arg)
  config.batch_size = 8   # a step takes five times as long an example
  config.data.unpaired = True
  config.family.cycle = 10.
  return config
