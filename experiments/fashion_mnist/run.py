"""The three-minute table: trains and evaluates every row under every seed, and writes README.md's table from what is in results/.

  python -m experiments.fashion_mnist.run [--rows=A,B] [--seeds=3] [--runs=runs/fashion_mnist]   # goes on where it stopped
  python -m experiments.fashion_mnist.run --half_hour    # the three best by FID against validation images for ten times as long, seed 0
  python -m experiments.fashion_mnist.run --rows=hour_ROW --seeds=1   # one for twenty times as long
  python -m experiments.fashion_mnist.run --table        # the tables alone
  python -m experiments.fashion_mnist.run --calibrate    # steps in 180 s, alone on the machine; of a row of two stages its ROW_codec first
"""
import argparse
import json
import pathlib
import resource
import shutil
import sys
import tempfile
import time

import numpy as np

from experiments import study
from experiments.fashion_mnist import config as rows
from gen_jax import cli, core, log, manifest

HERE = pathlib.Path(__file__).parent
CONFIG = 'experiments/fashion_mnist/config.py'
EVALS = 'fid,fid_infinity,kid,prdc,inception_score,agreement,memorisation,cas'
BUDGET = 180.
COLUMNS = {'FID': 'fid', 'FID-inf': 'fid_infinity', 'KID x 1000': 'kid', 'precision': 'prdc/precision', 'recall': 'prdc/recall',
           'density': 'prdc/density', 'coverage': 'prdc/coverage', 'CAS': 'cas/samples'}


def train(row, seed, workdir, *flags):
  study.verb('train', f'--config={CONFIG}:{row}', f'--config.seed={seed}', f'--workdir={workdir}', *flags)


def coded(row, seed, workdir) -> list[str]:
  """The flag that names the row's codec, which is trained first; of a row without one, nothing."""
  if not two_stages(row):
    return []
  codec = f'{workdir}_codec'
  train(rows.codec_of(row), seed, codec)
  return [f'--config.frozen.codec={codec}']


def calibrate(row) -> int:
  """Steps in the row's share of 180 s, a multiple of 60, from the rate of a short run after its compilation."""
  with tempfile.TemporaryDirectory() as workdir:
    train(row, 0, f'{workdir}/run', *coded(row, 0, f'{workdir}/run'), '--config.steps=240', '--config.eval_every=0', '--config.evals=',
          '--config.sample_every=0', '--config.log_every=40', '--config.checkpoint_every=240')
    return int(rate(log.read(pathlib.Path(workdir) / 'run' / 'metrics.jsonl')) * share(row) * BUDGET // 60 * 60)


def share(row) -> float:
  """Of the budget: a codec has half, what is learnt of it the rest."""
  return .5 if row.endswith('_codec') or two_stages(row) else 1.


def two_stages(row) -> bool:
  return rows.longer(row)[1] in rows.OF_CODEC


def rate(history) -> float:
  """Steps a second of training alone: the median leaves compilation, pictures and evaluations out."""
  return float(np.median([r['time']['steps_per_second'] for r in history if 'steps_per_second' in r.get('time', {})]))


def one(row, seed, runs) -> dict:
  """A run's numbers, kept in results/ROW_SEED.json."""
  path = HERE / 'results' / f'{row}_{seed}.json'
  if path.exists():
    return json.loads(path.read_text())
  workdir = runs / f'{row}_{seed}'
  resumed, spent = any(pathlib.Path(f'{workdir}{codec}').exists() for codec in ('', '_codec')), processor_seconds()
  train(row, seed, workdir, *coded(row, seed, workdir))
  spent = processor_seconds() - spent
  unasked = () if rows.get_config(row).family.get('condition', False) not in (False, 'none') else ('agreement', 'cas')
  names = ','.join(name for name in EVALS.split(',') if name not in unasked)
  began = time.monotonic()
  study.verb('evaluate', f'--workdir={workdir}', f'--config.evals={names}', '--config.eval_examples=10000')
  record = manifest.read(workdir)
  history = log.read(workdir / 'metrics.jsonl')
  codec = manifest.read(pathlib.Path(f'{workdir}_codec')) if two_stages(row) else {'parameters': 0, 'steps': 0, 'wall_seconds': 0}
  found = {'row': row, 'seed': seed, 'steps': record['steps'], **({'codec_steps': codec['steps']} if codec['steps'] else {}),
           **{name: record[name] + codec[name] for name in ('parameters', 'wall_seconds')},
           'processor_seconds': None if resumed else round(spent), 'evaluation_seconds': round(time.monotonic() - began),
           **{name: record[name] for name in ('state_sha256', 'jax', 'git_commit', 'machine')},
           'curve': [[r['step'], v] for r in history for k, v in r.items() if k.startswith('fid@')],
           'metrics': json.loads((workdir / 'report.json').read_text())['runs'][0]['metrics']}
  path.parent.mkdir(exist_ok=True)
  if seed == 0:
    shutil.copy(workdir / 'samples' / f'step_{record["steps"]}.png', HERE / f'{row}.png')
  path.write_text(json.dumps(found, indent=1) + '\n')
  return found


def value(found, name):
  return next((v['mean'] for k, v in found['metrics'].items() if k.split('@')[0] == name), None)


def processor_seconds() -> float:
  """Of both cores, by the verbs so far: unlike wall time, little changed by what else the machine does."""
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  return used.ru_utime + used.ru_stime


def seconds_to(found, target):
  """Of the budget, until FID on 2,000 samples fell to a target; None if it never did."""
  step = next((step for step, fid in found['curve'] if fid <= target), None)
  before = 1 - share(found['row'])   # its codec's
  budget = BUDGET * rows.longer(found['row'])[0]
  return step and budget * (before + (1 - before) * step / found['steps'])


def at_end(fs) -> float:
  """FID of 2,000 samples against validation images, mean over runs: what rows are chosen by."""
  return np.mean([f['curve'][-1][1] for f in fs])


def results() -> dict[str, list[dict]]:
  """Of each row, its runs; the best row first."""
  found = {}
  for path in sorted((HERE / 'results').glob('*.json')):
    run = json.loads(path.read_text())
    found.setdefault(run['row'], []).append(run)
  return dict(sorted(found.items(), key=lambda item: np.mean([value(f, 'fid') for f in item[1]])))


def table() -> str:
  """Of three minutes, and of longer as far as there are such runs."""
  found = results()
  gans = [row for row in found if row in rows.ROWS and row.rsplit('_', 1)[0] in rows.GAMES and row != 'own_start_conv']   # a contrast
  target = float(np.median([at_end(found[row]) for row in gans]))
  titles = ['row', 'seeds', *COLUMNS, f's to FID {target:.1f}', 'parameters', 'steps', 'processor time, s']
  blocks = []
  for long in (False, True):
    lines = ['| ' + ' | '.join(titles) + ' |', '|---|' + '---:|' * (len(titles) - 1)]
    for row, fs in found.items():
      if (rows.longer(row)[0] > 1) == long:
        lines.append(cells(row, fs, target))
    if len(lines) > 2:
      blocks.append('\n'.join(lines))
  return '\n\n'.join(blocks)


def cells(row, fs, target) -> str:
  """A row's line."""
  line = [f'`{row}`', str(len(fs))]
  for title, name in COLUMNS.items():
    values = np.array([value(f, name) for f in fs if value(f, name) is not None]) * (1000 if 'KID' in title else 1)
    line.append('-' if not len(values) else f'{values.mean():.3g}' + (f' ± {values.std(ddof=1) / len(values)**.5:.2g}' if len(values) > 1 else ''))
  followed = [seconds_to(f, target) for f in fs if f['curve']]
  reached = [seconds for seconds in followed if seconds]
  few = f' ({len(reached)} of {len(followed)})' if reached and len(reached) < len(followed) else ''
  line.append(f'{np.mean(reached):.0f}{few}' if reached else '-' if followed else '')
  spent = [f['processor_seconds'] for f in fs if f['processor_seconds'] is not None]   # of a resumed run only the rest is known
  line += [f'{fs[0]["parameters"]:,}', f'{fs[0]["steps"]:,}', f'{np.mean(spent):.0f}' if spent else '-']
  return '| ' + ' | '.join(line) + ' |'


@cli.verb
def main(argv):
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--rows', default=','.join(row for row in rows.ROWS if row in rows.STEPS))
  parser.add_argument('--seeds', type=int, default=3)
  parser.add_argument('--runs', default='runs/fashion_mnist', type=pathlib.Path)
  parser.add_argument('--table', action='store_true')
  parser.add_argument('--calibrate', action='store_true')
  parser.add_argument('--half_hour', action='store_true')
  options = parser.parse_args(argv)
  chosen = options.rows.split(',')
  named = {rows.longer(row)[1] for row in chosen}
  needed = {*map(rows.codec_of, rows.OF_CODEC.keys() & named), *([] if options.calibrate else named)}
  missing = sorted(needed - rows.STEPS.keys())
  if missing and not options.table:
    raise core.InputError(f'no steps for {", ".join(missing)}: --calibrate --rows={",".join(missing)} says how many, for STEPS in config.py')
  if options.calibrate:
    for row in chosen:
      print(f'    {row!r}: {calibrate(row)},', flush=True)
    return
  if options.half_hour:
    found = results()
    for row in sorted((row for row in found if row in rows.ROWS), key=lambda row: at_end(found[row]))[:3]:
      one(f'half_hour_{row}', 0, options.runs)
  elif not options.table:
    for seed in range(options.seeds):   # a whole table of one seed before the next
      for row in chosen:
        one(row, seed, options.runs)
  print(table())


if __name__ == '__main__':
  sys.exit(main())
