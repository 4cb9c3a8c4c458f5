"""Tiny Shakespeare by character: a transformer against the same one in plain PyTorch, in turn on the same machine, and the best loss in 20 minutes.

  python3 -m venv runs/reference && runs/reference/bin/pip install torch numpy
  python -m experiments.shakespeare.run --path=tinyshakespeare.txt [--rows=A,B] [--seeds=3]   # goes on where it stopped
  python -m experiments.shakespeare.run --table

Where PyTorch is elsewhere: --torch=PYTHON. Wall time is what is compared, so nothing else may run on the machine. Each run leaves
results/ROW_SEED.json.
"""
import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
# What each row changes of configs/text_gpt.py.
ROWS = {
    'peer': None,
    'gpt2': ('network.style=gpt2',),
    'llama': ('network.style=llama',),
    'llama_1000': ('network.style=llama', 'steps=1000'),
    'best': ('network.width=192', 'network.heads=6', 'data.length=129', 'batch_size=32', 'steps=1800', 'roles.model.learning_rate=2e-3'),
}
QUIET = ('--config.sample_every=0', '--config.checkpoint_every=1000000', '--config.log_every=100')


def verb(name, *flags):
  subprocess.run([sys.executable, '-m', f'gen_jax.{name}', *map(str, flags)], check=True)


def one(row, seed, options):
  path = HERE / 'results' / f'{row}_{seed}.json'
  if path.exists():
    return
  if ROWS[row] is None:
    said = subprocess.run([options.torch, HERE / 'peer.py', options.path, str(seed)], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(said)
  else:
    workdir = options.runs / f'{row}_{seed}'
    changes = [f'--config.{change}' for change in ROWS[row]]
    verb('train', '--config=configs/text_gpt.py', f'--workdir={workdir}', f'--config.data.path={options.path}', f'--config.seed={seed}', *QUIET,
         *changes)
    record, nats = json.loads((workdir / 'manifest.json').read_text()), []
    for split in ('validation', 'test'):   # the last tenth in two halves of one size
      verb('evaluate', f'--workdir={workdir}', f'--split={split}', '--config.eval_examples=2000', f'--out={workdir}/{split}')
      nats.append(json.loads((workdir / split / 'report.json').read_text())['runs'][0]['metrics'][f'score/nats_per_token/{split}']['mean'])
    found = {'nats': float(np.mean(nats)), 'train_seconds': record['wall_seconds'], 'parameters': record['parameters'], 'jax': record['jax'],
             'state_sha256': record['state_sha256'], 'machine': record['machine']}
  path.parent.mkdir(exist_ok=True)
  path.write_text(json.dumps({'row': row, 'seed': seed, **found}, indent=1) + '\n')


def table() -> str:
  lines = ['| row | seeds | validation loss, nats a character | seconds of training | parameters |', '|---|---:|---:|---:|---:|']
  for row in ROWS:
    found = [json.loads(path.read_text()) for path in sorted((HERE / 'results').glob(f'{row}_[0-9].json'))]
    if found:
      nats, seconds = ([f[name] for f in found] for name in ('nats', 'train_seconds'))
      spread = f' ± {np.std(nats, ddof=1) / len(nats)**.5:.3f}' if len(nats) > 1 else ''
      lines.append(f'| `{row}` | {len(found)} | {np.mean(nats):.3f}{spread} | {np.median(seconds):.0f} ({min(seconds):.0f} to {max(seconds):.0f}) | '
                   f'{found[0]["parameters"]:,} |')
  return '\n'.join(lines)


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--path')
  parser.add_argument('--rows', default=','.join(ROWS))
  parser.add_argument('--seeds', type=int, default=3)
  parser.add_argument('--torch', default='runs/reference/bin/python')
  parser.add_argument('--runs', default='runs/shakespeare', type=pathlib.Path)
  parser.add_argument('--table', action='store_true')
  options = parser.parse_args()
  if not options.table and not (options.path and pathlib.Path(options.path).is_file()):
    sys.exit('--path=FILE: the text')
  if not options.table:
    for seed in range(options.seeds):   # the rows in turn
      for row in options.rows.split(','):
        one(row, seed, options)
  print(table())


if __name__ == '__main__':
  main()
