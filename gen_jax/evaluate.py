"""Runs the evaluators of a run's config on its newest checkpoint, against the test split; writes report.json, and report.html with pictures.

  python -m gen_jax.evaluate --workdir=runs/a [--workdir=runs/b ...] [--split=test] [--out=DIR] [--config.FIELD=VALUE ...]

Several workdirs are compared; --out is where the report goes, one workdir's into itself. The fields that can be changed, of every run alike: evals,
eval_examples, eval_few, mesh, frozen.extractor (gen_jax/extractors), sample.* (how the family samples).
"""
import json
import math
import pathlib
import sys

import numpy as np

from gen_jax import checkpoint, cli, core, data, evals, log, manifest, pictures, report
from gen_jax import config as configs
from gen_jax import run as runs

CHANGEABLE = ('evals', 'eval_examples', 'eval_few', 'mesh', 'frozen', 'sample')


@cli.verb
def main(argv):
  workdirs = [flag for flag in argv if flag.startswith('--workdir=')]
  shared = [flag for flag in argv if flag not in workdirs]
  every = [cli.parse([*shared, flag], __doc__, ('workdir',), CHANGEABLE, workdir='', split='test', out='')
           for flag in workdirs or ['--workdir=']]
  if len(every) > 1 and not every[0].out:
    raise core.InputError('--out=DIR is missing: where the report on several workdirs goes')
  if not all(flags.config.evals for flags in every):
    raise core.InputError('config.evals names no evaluator: --config.evals=score')
  out = pathlib.Path(every[0].out or every[0].workdir)
  try:
    out.mkdir(parents=True, exist_ok=True)
  except OSError as e:
    raise core.InputError(f'--out={out} can not be written: {e.strerror}') from None
  measured = [measure(flags) for flags in every]
  content = [{name: run[name] for name in ('workdir', 'step', 'state_sha256', 'split', 'examples', 'against', 'metrics')} for run in measured]
  as_json = json.dumps(finite({'runs': content}), indent=1, allow_nan=False) + '\n'
  for name, text in (('report.json', as_json), ('report.html', report.html(measured))):
    partial = out / f'{name}.partial'
    partial.write_text(text)
    partial.replace(out / name)
  print(f'{out}/report.html')


def finite(tree):
  """Infinity and NaN as null: JSON has neither."""
  if isinstance(tree, dict):
    return {k: finite(v) for k, v in tree.items()}
  if isinstance(tree, list):
    return [finite(v) for v in tree]
  return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def measure(flags) -> dict:
  """A run of report.json, and what `report.html` wants beside it; prints the metrics."""
  workdir = pathlib.Path(flags.workdir)
  run, state = runs.load(workdir, lambda config: config.update(flags.config))
  found = evals.make(run, flags.split)(state)
  examples, held_out = evals.asked(runs.alone(run), flags.split)[0], data.make(run.config, flags.split).size
  metrics = {}
  for name, value in found.items():
    value = np.asarray(value, np.float64)
    if name.endswith('_stderr') and name.removesuffix('_stderr') in metrics:
      metrics[name.removesuffix('_stderr')]['stderr'] = float(value)
      continue
    metrics[name] = {'mean': float(value.mean())}
    if value.ndim:
      metrics[name] |= {'stderr': float(value.std(ddof=1) / len(value)**.5), 'seeds': value.tolist()}
  print(f'{workdir}, step {int(state.step)}')
  for name, entry in metrics.items():
    print(f'{name:40s} {entry["mean"]:.4f}' + (f' +- {entry["stderr"]:.4f}' if 'stderr' in entry else ''))
  return {'workdir': str(workdir), 'step': int(state.step), 'state_sha256': checkpoint.state_sha256(state), 'split': flags.split,
          'examples': examples, 'against': min(run.config.eval_examples, held_out), 'metrics': metrics, 'config': configs.plain(run.config),
          'manifest': manifest.read(workdir), 'rows': log.read(workdir / 'metrics.jsonl'), 'pictures': pictures.make(run, state)}


if __name__ == '__main__':
  sys.exit(main())
