"""Runs the evaluators of a run's config on its newest checkpoint, against the test split; writes evaluation.json beside it.

  python -m gen_jax.evaluate --workdir=runs/a [--config.evals=score,agreement] [--config.frozen.ruler=runs/classifier] [--split=test]
"""
import json
import pathlib
import sys

import numpy as np

from gen_jax import checkpoint, cli, core, evals
from gen_jax import config as configs
from gen_jax import run as runs

CHANGEABLE = ('evals', 'eval_examples', 'frozen', 'mesh')   # what evaluation may change of a trained run


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('workdir',), lambda workdir: configs.load(pathlib.Path(workdir) / 'config.json'), workdir='', split='test')
  workdir = pathlib.Path(flags.workdir)
  changed = [line for line in configs.differences(configs.plain(configs.load(workdir / 'config.json')), configs.plain(flags.config))
             if line.split(':')[0].split('.')[0] not in CHANGEABLE]
  if changed:
    raise core.InputError(f'{workdir} was trained otherwise ({changed[0]}): evaluation may change {", ".join(CHANGEABLE)}')
  if not flags.config.evals:
    raise core.InputError('config.evals names no evaluator: --config.evals=score')
  run, state = runs.load(workdir, lambda config: config.update({name: flags.config[name] for name in CHANGEABLE}))
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
