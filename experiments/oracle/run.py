"""SeqGAN and RelGAN against maximum likelihood where the truth is known: sequences of random LSTMs (configs/oracle_*.py).

  python -m experiments.oracle.run [--rows=mle,seqgan,relgan] [--oracles=3]   # goes on where it stopped
  python -m experiments.oracle.run --table

Both start from the run of maximum likelihood on the same oracle, whose samples are taken at several temperatures too. Each run leaves
results/ROW_ORACLE.json.
"""
import argparse
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np

from gen_jax import evals
from gen_jax import run as runs

HERE = pathlib.Path(__file__).parent
TEMPERATURES = {'mle': (1.2, 1.1, 1., .9, .8, .7, .6, .5), 'seqgan': (1.,), 'relgan': (1.,)}
QUIET = ('--config.sample_every=0',)


def one(row, oracle, options):
  path = HERE / 'results' / f'{row}_{oracle}.json'
  if path.exists():
    return
  workdir, start = options.runs / f'{row}_{oracle}', options.runs / f'mle_{oracle}'
  before = () if row == 'mle' else (f'--config.init_from={start}',)
  subprocess.run([sys.executable, '-m', 'gen_jax.train', f'--config=configs/oracle_{row}.py', f'--workdir={workdir}', f'--config.seed={oracle}',
                  f'--config.data.oracle={oracle}', *before, *QUIET], check=True)
  record = json.loads((workdir / 'manifest.json').read_text())
  found = {str(t): measured(workdir, t) for t in TEMPERATURES[row]}
  kept = {name: record[name] for name in ('wall_seconds', 'parameters', 'jax', 'state_sha256', 'machine')}
  path.parent.mkdir(exist_ok=True)
  path.write_text(json.dumps({'row': row, 'oracle': oracle, 'temperatures': found, **kept}, indent=1) + '\n')


def measured(workdir, temperature) -> dict:
  """Of 2,000 samples and the 2,000 held-out sequences, in nats a token, of the model at this temperature."""
  run, state = runs.load(workdir, lambda config: config.update(evals='oracle,score', eval_examples=2000))
  # Logits over the temperature, so that the likelihoods are those of what is sampled.
  cooled = {**state.averaged('model')}
  cooled['Dense_0'] = jax.tree.map(lambda x: x / temperature, cooled['Dense_0'])
  found = evals.make(run, 'test')(state.replace(params={**state.params, 'model': cooled}, ema={}))
  return {'nll_oracle': found['oracle/nll'], 'entropy': found['oracle/entropy'], 'impossible': found['oracle/impossible'],
          'nll_gen': found['score/nats_per_token/test'], 'nll_gen_train': found['score/nats_per_token/train']}


def table() -> str:
  lines = ['| row | temperature | oracles | NLL-oracle | its entropy | NLL-gen, test | train | seconds of training |', '|---|' + '---:|' * 7]
  for row, temperatures in TEMPERATURES.items():
    found = [json.loads(path.read_text()) for path in sorted((HERE / 'results').glob(f'{row}_[0-9].json'))]
    for t in temperatures if found else ():
      numbers = [' ± '.join(f'{x:.3f}' for x in spread([f['temperatures'][str(t)][name] for f in found]))
                 for name in ('nll_oracle', 'entropy', 'nll_gen', 'nll_gen_train')]
      lines.append(f'| `{row}` | {t} | {len(found)} | {" | ".join(numbers)} | {np.median([f["wall_seconds"] for f in found]):.0f} |')
  return '\n'.join(lines)


def spread(values):
  """(The mean, its standard error over oracles where there are several)."""
  return (np.mean(values), np.std(values, ddof=1) / len(values)**.5) if len(values) > 1 else (np.mean(values),)


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--rows', default=','.join(TEMPERATURES), help='mle before the others')
  parser.add_argument('--oracles', type=int, default=3)
  parser.add_argument('--runs', default='runs/oracle', type=pathlib.Path)
  parser.add_argument('--table', action='store_true')
  options = parser.parse_args()
  if not options.table:
    for oracle in range(options.oracles):
      for row in options.rows.split(','):
        one(row, oracle, options)
  print(table())


if __name__ == '__main__':
  main()
