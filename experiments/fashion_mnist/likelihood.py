"""The importance-weighted bound of a trained run on the whole test set, in nats: for comparison with print.

  python -m gen_jax.train --config=configs/fashion_mnist_binary_vae.py --workdir=runs/binary_vae
  python -m experiments.fashion_mnist.likelihood --workdir=runs/binary_vae
"""
import json
import pathlib
import sys

import jax
import numpy as np
import tqdm

from gen_jax import checkpoint, cli, core, data
from gen_jax import run as runs


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('workdir',), workdir='')
  run, state = runs.load(flags.workdir)
  if run.config.seeds > 1 or run.family.score is None:
    raise core.InputError(f'{flags.workdir} is no run of one seed of a family with a likelihood')
  source = data.make(run.config, 'test')
  test = data.normalise(source.take(np.arange(source.size)))
  n = len(test['x'])
  size = runs.examples_at_once(run, n)
  parts = []
  bar = tqdm.tqdm(runs.chunked(run, run.family.score)(state, core.fold(jax.random.key(0), 'score'), n, test),
                  total=-(-n // size), unit=f'{size} images', disable=None)   # None: only on a terminal
  for part in bar:
    parts.append(part)
    if bar.disable and len(parts) % 10 == 0:
      print(f'{len(parts) * size} of {n} images', flush=True)
  found = jax.tree.map(lambda *p: np.concatenate(p), *parts)
  result = {'step': int(state.step), 'state_sha256': checkpoint.state_sha256(state), 'examples': n,
            'parameters': sum(x.size for x in jax.tree.leaves(state.params))}
  for name, nats in found.items():
    result[name] = {'mean': float(np.mean(nats, dtype=np.float64)), 'stderr': float(np.std(nats, dtype=np.float64) / len(nats)**.5)}
    print(f'{name:24s} {result[name]["mean"]:.3f} +- {result[name]["stderr"]:.3f}')
  (pathlib.Path(flags.workdir) / 'likelihood.json').write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
  sys.exit(main())
