"""Trains the shipped extractors from their configs and writes them into gen_jax/extractors, or says whether the same come out again.

  python -m experiments.rulers.run [--check] [--runs=runs/rulers]

Resumable: a run that is complete is not run again.
"""
import argparse
import hashlib
import json
import pathlib
import sys

import jax
import numpy as np

from experiments import study
from gen_jax import cli, core, evals, extractors
from gen_jax import run as runs
from gen_jax.extractors import classifier

CONFIGS = {'mnist-cnn': 'mnist_classifier', 'fmnist-cnn': 'fashion_mnist_classifier'}


def accuracy(run, state):
  """(on the whole test split, its size)."""
  test = evals.real(run, 'test', ('x',), 10**9)
  batch = {'x': test.x.astype(np.float32) / 127.5 - 1, 'condition': test.condition}
  found = runs.mapped(run, run.family.score)(state, core.fold(jax.random.key(0), 'score'), len(test.x), batch)
  return float(found['accuracy'].mean()), len(test.x)


@cli.verb
def main(argv):
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--check', action='store_true')
  parser.add_argument('--runs', default='runs/rulers', type=pathlib.Path)
  options = parser.parse_args(argv)
  rows, other = [], []
  for name, config in CONFIGS.items():
    workdir = options.runs / name
    study.verb('train', f'--config=configs/{config}.py', f'--workdir={workdir}')
    run, state = runs.load(workdir)
    value, n = accuracy(run, state)
    shipped, made = extractors.HERE / f'{name}.safetensors', workdir / f'{name}.safetensors'
    about = {'config': config, 'steps': int(state.step), 'test_accuracy': value, 'test_examples': n}
    sha = classifier.write(made, state.averaged('model'), run.config.network.to_dict(), run.spec, **about)
    if options.check and sha != hashlib.sha256(shipped.read_bytes()).hexdigest():
      other.append(name)
    elif not options.check:
      shipped.write_bytes(made.read_bytes())
    record = json.loads((workdir / 'manifest.json').read_text())
    cells = [f'`{name}`', f'`{config}`', int(state.step), round(record['wall_seconds']), f'{record["parameters"]:,}', f'{value:.4f} of {n:,}',
             f'`{sha[:16]}`']
    rows.append('| ' + ' | '.join(map(str, cells)) + ' |')
  print('| extractor | config | steps | wall time, s | parameters | test accuracy | sha256 |', '|---|---|---:|---:|---:|---:|---|', *rows, sep='\n')
  if other:
    sys.exit(f'not the same to the bit: {", ".join(other)}')


if __name__ == '__main__':
  sys.exit(main())
