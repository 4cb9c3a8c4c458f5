"""Every config of a data set on one machine: trains it, evaluates it on the test split, prints the table, and writes the
pictures of this folder.

  python -m experiments.mnist.run [--data=mnist|fashion_mnist|gaussians] [--runs=runs/study] [--seeds=1]

Resumable: a run that is complete is not run again. Run it alone on the machine: the table holds wall times.
"""
import argparse
import json
import pathlib
import shutil
import sys

import numpy as np

from experiments import study
from gen_jax import cli

HERE = pathlib.Path(__file__).parent
IMAGES = ('classifier', 'gan', 'acgan', 'wgan_gp', 'mlp_gan', 'vae', 'autoencoder')
# What a config reached: the evaluator, the metric's beginning, what it is.
REACHED = {
    'classifier': ('score', 'score/accuracy/test', 'test accuracy'),
    'vae': ('score', 'score/iwae_64_grey/test', 'IWAE-64 on test images, nats'),
    'autoencoder': ('score', 'score/reconstruction_grey/test', 'log-likelihood of test reconstructions, nats'),
    'mlp_gan': ('prdc', 'prdc/coverage', 'of test images are covered by 1,000 samples'),
    'gaussians_gan': ('modes', 'modes/high_quality', 'of 2,500 samples within three deviations of a mode'),
}
UNMEASURED = ('classifier', 'gaussians_gan')   # by FID
AGREEMENT = ('agreement', 'agreement/samples', 'of 1,000 samples are the class asked for')


def row(config, kind, runs, seeds):
  """Trains and evaluates a config under every seed; its line of the table."""
  evaluator, metric, what = REACHED.get(kind, AGREEMENT)
  values, manifests = [], []
  for seed in range(seeds):
    workdir = runs / f'{config}_{seed}'
    study.verb('train', f'--config=configs/{config}.py', f'--config.seed={seed}', f'--workdir={workdir}')
    study.verb('evaluate', f'--workdir={workdir}', f'--config.evals={evaluator}{"" if kind in UNMEASURED else ",fid"}')
    found = json.loads((workdir / 'report.json').read_text())['runs'][0]['metrics']
    values.append([next((v['mean'] for k, v in found.items() if k.startswith(start)), np.nan) for start in (metric, 'fid@')])
    manifests.append(json.loads((workdir / 'manifest.json').read_text()))
  steps = manifests[0]['steps']
  if kind != 'classifier':
    shutil.copy(runs / f'{config}_0' / 'samples' / f'step_{steps}.png', HERE / f'{config}.png')
  spread = lambda x: f' +- {np.std(x, ddof=1):.3f}' if seeds > 1 else ''
  reached, fid = np.transpose(values)
  return (f'| `{config}` | {steps} | {np.median([m["wall_seconds"] for m in manifests]):.0f} | {manifests[0]["parameters"]:,} | '
          f'{np.mean(reached):.3f}{spread(reached)} | {what} | {"" if kind in UNMEASURED else f"{np.mean(fid):.2f}{spread(fid)}"} |')


@cli.verb
def main(argv):
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--data', default='mnist', choices=('mnist', 'fashion_mnist', 'gaussians'))
  parser.add_argument('--runs', default='runs/study', type=pathlib.Path)
  parser.add_argument('--seeds', type=int, default=1)
  options = parser.parse_args(argv)
  kinds = {'gaussians_gan': 'gaussians_gan'} if options.data == 'gaussians' else {f'{options.data}_{kind}': kind for kind in IMAGES}
  lines = [f'| config | steps | wall time, s | parameters | reached, {options.seeds} seed(s) | | FID |',
           '| --- | ---: | ---: | ---: | ---: | --- | ---: |']
  for config, kind in kinds.items():
    lines.append(row(config, kind, options.runs, options.seeds))
  print('\n'.join(lines))


if __name__ == '__main__':
  sys.exit(main())
