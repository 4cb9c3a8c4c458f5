"""Runs the evaluators of a run's config on its newest checkpoint, against the test split; writes evaluation.json beside it.

  python -m gen_jax.evaluate --workdir=runs/a [--split=test] [--config.FIELD=VALUE ...]

The fields that can be changed: evals, eval_examples, mesh, frozen.ruler (the workdir of a classifier).
"""
import json
import pathlib
import sys

import numpy as np
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gen_jax import checkpoint, cli, core, evals
from gen_jax import config as configs
from gen_jax import run as runs


def changeable(workdir):
  """What evaluation may change of a trained run, as the run has it."""
  config = configs.load(pathlib.Path(workdir) / 'config.json')
  frozen = {name: part or placeholder(str) for name, part in config.frozen.items()}
  return ConfigDict({'evals': config.evals, 'eval_examples': config.eval_examples, 'mesh': config.mesh, 'frozen': frozen})


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('workdir',), changeable, workdir='', split='test')
  workdir = pathlib.Path(flags.workdir)
  if not flags.config.evals:
    raise core.InputError('config.evals names no evaluator: --config.evals=score')
  run, state = runs.load(workdir, lambda config: config.update(flags.config))
  found = evals.make(run, flags.split)(state)
  result = {'step': int(state.step), 'state_sha256': checkpoint.state_sha256(state), 'split': flags.split,
            'examples': run.config.eval_examples, 'metrics': {}}
  for name, value in found.items():
    value = np.asarray(value, np.float64)
    entry = {'mean': float(value.mean())}
    if value.ndim:
      entry |= {'stderr': float(value.std(ddof=1) / len(value)**.5), 'seeds': value.tolist()}
    result['metrics'][name] = entry
    print(f'{name:40s} {entry["mean"]:.4f}' + (f' +- {entry["stderr"]:.4f}' if value.ndim else ''))
  (workdir / 'evaluation.json').write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
  sys.exit(main())
