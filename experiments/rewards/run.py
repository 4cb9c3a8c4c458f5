"""What a reward makes of a text model: verse from tiny Shakespeare by REINFORCE, GRPO and DPO, near to the model that they start from.

  python -m experiments.rewards.run --path=tinyshakespeare.txt [--rows=A,B] [--seeds=3]   # goes on where it stopped
  python -m experiments.rewards.run --table

Each run leaves results/ROW_SEED.json, and the first seed's texts ROW.txt.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np

from gen_jax import log

HERE = pathlib.Path(__file__).parent
# What each row changes of configs/text_reward.py.
ROWS = {
    'reinforce': ('reward.method=reinforce',),
    'grpo': ('reward.method=grpo',),
    'grpo_free': ('reward.method=grpo', 'reward.kl=0.'),
    'dpo': ('reward.method=dpo', 'reward.kl=.1'),
}
SHOWN = 50   # steps that a number is the mean of


def verb(name, *flags):
  subprocess.run([sys.executable, '-m', f'gen_jax.{name}', *map(str, flags)], check=True)


def one(row, seed, options):
  path = HERE / 'results' / f'{row}_{seed}.json'
  if path.exists():
    return
  reference, workdir = options.runs / 'reference', options.runs / f'{row}_{seed}'
  verb('train', '--config=configs/text_gpt.py', f'--workdir={reference}', f'--config.data.path={options.path}', '--config.data.length=129')
  verb('train', '--config=configs/text_reward.py', f'--workdir={workdir}', f'--config.data.path={options.path}', f'--config.seed={seed}',
       '--config.data.length=129', '--config.data.stride=1', *(f'--config.{field}={reference}' for field in (
           'init_from', 'frozen.reference', 'data.tokenizer')), *(f'--config.{change}' for change in ROWS[row]))
  record, found = json.loads((workdir / 'manifest.json').read_text()), {}
  rows = log.read(workdir / 'metrics.jsonl')
  for name in ('model/reward', 'model/kl'):
    values = [r[name] for r in rows if name in r]
    found[name.split('/')[1]] = [float(np.mean(part)) for part in (values[:1], values[-SHOWN // 10:])]
  for what, trained in (('before', reference), ('after', workdir)):
    verb('evaluate', f'--workdir={trained}', '--config.evals=score,distinct', '--config.eval_examples=500', f'--out={workdir}/{what}')
    metrics = json.loads((workdir / what / 'report.json').read_text())['runs'][0]['metrics']
    found[what] = {name.split('/validation')[0]: metrics[name]['mean'] for name in ('score/nats_per_token/validation', 'distinct/2/samples')}
  path.parent.mkdir(exist_ok=True)
  if seed == 0:
    shutil.copy(workdir / 'samples' / f'step_{record["steps"]}.txt', HERE / f'{row}.txt')
  path.write_text(json.dumps({'row': row, 'seed': seed, 'steps': record['steps'], 'train_seconds': record['wall_seconds'], 'jax': record['jax'],
                              'state_sha256': record['state_sha256'], 'machine': record['machine'], **found}, indent=1) + '\n')


def table() -> str:
  lines = ['| row | seeds | reward, before | after | divergence, nats | held-out nats a character, before | after | distinct pairs, before | after |',
           '|---|' + '---:|' * 8]
  for row in ROWS:
    found = [json.loads(path.read_text()) for path in sorted((HERE / 'results').glob(f'{row}_[0-9].json'))]
    if found:
      columns = [[f['reward'][0] for f in found], [f['reward'][1] for f in found], [f['kl'][1] for f in found],
                 *([f[what][name] for f in found] for name in ('score/nats_per_token', 'distinct/2/samples') for what in ('before', 'after'))]
      cells = [f'{np.mean(c):.3g}' + (f' ± {np.std(c, ddof=1) / len(c)**.5:.2g}' if len(c) > 1 and np.std(c) else '') for c in columns]
      lines.append(f'| `{row}` | {len(found)} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines)


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--path')
  parser.add_argument('--rows', default=','.join(ROWS))
  parser.add_argument('--seeds', type=int, default=3)
  parser.add_argument('--runs', default='runs/rewards', type=pathlib.Path)
  parser.add_argument('--table', action='store_true')
  options = parser.parse_args()
  if not options.table and not (options.path and pathlib.Path(options.path).is_file()):
    sys.exit('--path=FILE: the text')
  if not options.table:
    for seed in range(options.seeds):
      for row in options.rows.split(','):
        one(row, seed, options)
  print(table())


if __name__ == '__main__':
  main()
