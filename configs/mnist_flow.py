"""Flow matching on a rectified path with a diffusion transformer: logit-normal times, ten midpoint steps.

  python -m gen_jax.train --config=configs/mnist_flow.py --workdir=runs/mnist_flow
"""
from gen_jax.config import base, variant


def get_config(arg='', data='mnist'):
  config = base(data, 'diffusion', 'dit', model=dict(learning_rate=1e-3, warmup=100, schedule='cosine', ema_width=.1))
  config.update(steps=3000, batch_size=64, log_every=100, sample_every=1000, checkpoint_every=1000, evals='score,agreement,fid,kid,prdc,memorisation')
  config.network.update(width=96, layers=4)
  config.family.update(schedule='logit_normal', objective='flow', condition=True)
  config.sample.update(sampler='midpoint')
  return variant(config, arg)
