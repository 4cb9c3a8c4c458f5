"""A small transformer on the drug-like molecules of MOSES, character by character of their SMILES.

  python -m gen_jax.fetch moses
  python -m gen_jax.train --config=configs/molecules_gpt.py --workdir=runs/molecules
  python -m gen_jax.sample --workdir=runs/molecules --num=100 --out=runs/molecules.smi
  python -m gen_jax.evaluate --workdir=runs/molecules --config.evals=molecules,score --config.eval_examples=10000

With `fid` among the evaluators, after python -m gen_jax.fetch chemnet, it is measured by the Frechet ChemNet distance.
Not yet run in full. Molecules of one's own: --config.data.path=FILE, a SMILES a line.
"""
from gen_jax.config import base, variant


def get_config(arg=''):
  config = base('molecules', 'autoregressive', 'transformer', model=dict(optimizer='adamw', learning_rate=1e-3, b2=.99, weight_decay=.1, clip=1.,
                                                                         schedule='cosine', warmup=100))
  config.update(steps=6000, batch_size=64, log_every=100, sample_every=1000, checkpoint_every=1000, evals='score')
  return variant(config, arg)
