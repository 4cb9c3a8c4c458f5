"""The bound of a trained run on the test images, importance-weighted of a VAE: in nats, and of a diffusion in bits per dimension too.

  python -m gen_jax.train --config=configs/fashion_mnist_binary_vae.py --workdir=runs/binary_vae
  python -m experiments.fashion_mnist.likelihood --workdir=runs/binary_vae [--workdir=runs/another ...] \\
    [--split=test] [--images=10000] [--samples=5000]

Samples are latents, of a diffusion levels of noise (50 are many), in an image's bound. Of several VAEs also their mixture's: a sample is drawn from
one of them, each as likely, so p(x) is their mean. What was computed once is kept beside the data.
"""
import functools
import json
import math
import pathlib
import sys

import jax
import numpy as np
import tqdm

from gen_jax import checkpoint, cli, core, data, evals
from gen_jax import run as runs


def asked(workdir, samples, config):
  field = next((name for name in ('score_samples', 'score_draws') if name in config.family), None)
  if not field:
    raise core.InputError(f'{workdir} is of {config.family.name}, which has no bound of samples: vae and diffusion have')
  config.family[field] = samples


def bounds(workdir, flags) -> tuple[dict, dict]:
  """({'step', 'state_sha256', 'split', 'examples', 'parameters'}, nats of each image by the bound's name), kept as `evals.cached` keeps them."""
  run, state = runs.load(workdir, functools.partial(asked, workdir, flags.samples))
  if run.config.seeds > 1:
    raise core.InputError(f'{workdir} is no run of one seed')
  images = runs.held_out(run, flags.split, flags.images)
  n = len(images['x'])
  of = {'step': int(state.step), 'state_sha256': checkpoint.state_sha256(state), 'split': flags.split, 'examples': n,
        'parameters': sum(x.size for x in jax.tree.leaves(state.params))}

  def make():
    size, parts = runs.examples_at_once(run, n), []
    bar = tqdm.tqdm(runs.chunked(run, run.family.score)(state, core.fold(jax.random.key(0), 'score'), n, images),
                    total=-(-n // size), unit=f'{size} images', disable=None)   # None: only on a terminal
    for part in bar:
      parts.append(part)
      if bar.disable and len(parts) % 10 == 0:
        print(f'{len(parts) * size} of {n} images', flush=True)
    return {'names': list(parts[0]), 'nats': np.concatenate([np.stack(list(part.values())) for part in parts], axis=1)}
  kept = evals.cached({'bounds': of, 'samples': flags.samples, 'data': data.make(run.config, flags.split).checksum}, ('names', 'nats'), make)
  return of, dict(zip(kept['names'].tolist(), kept['nats']))


def told(name, nats_N) -> dict:
  mean, stderr = float(np.mean(nats_N, dtype=np.float64)), float(np.std(nats_N, dtype=np.float64) / len(nats_N)**.5)
  print(f'{name:24s} {mean:.3f} +- {stderr:.3f}', flush=True)
  return {'mean': mean, 'stderr': stderr}


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('workdir',), workdir='', split='test', images=10_000, samples=5000)
  if min(flags.images, flags.samples) < 1:
    raise core.InputError(f'--images={flags.images}, --samples={flags.samples}: at least 1')
  found = []
  for workdir in [flag.removeprefix('--workdir=') for flag in argv if flag.startswith('--workdir=')] or [flags.workdir]:
    of, nats = bounds(workdir, flags)
    found.append(nats)
    print(f'{workdir}: {of["parameters"]:,} parameters')
    result = of | {name: told(name, nats_N) for name, nats_N in nats.items()}
    kept = pathlib.Path(workdir) / f'likelihood_{flags.split}_{of["examples"]}_{flags.samples}.json'
    kept.write_text(json.dumps(result, indent=1) + '\n')
  if len({frozenset(nats) for nats in found}) > 1:
    raise core.InputError('these runs have bounds of other names: only those of one name are of one mixture')
  if len(found) > 1:
    for name in found[0]:
      if name.startswith('iwae'):
        told(f'{name}, the mixture', np.logaddexp.reduce([nats[name].astype(np.float64) for nats in found]) - math.log(len(found)))


if __name__ == '__main__':
  sys.exit(main())
