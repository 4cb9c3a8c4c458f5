"""Tiny Shakespeare by character: a transformer against the same one in plain PyTorch, in turn on the same machine, and the best loss in 20 minutes.

  python3 -m venv runs/reference && runs/reference/bin/pip install torch numpy
  python -m experiments.shakespeare.run --path=tinyshakespeare.txt [--rows=A,B] [--seeds=3]   # goes on where it stopped
  python -m experiments.shakespeare.run --table

Where PyTorch is elsewhere: --torch=PYTHON. Wall time is what is compared, so nothing else may run on the machine. Each run leaves
results/ROW_SEED.json.
"""
import json
import pathlib
import subprocess

import numpy as np

from experiments import study
from gen_jax import core

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


def one(row, seed, options) -> dict:
  if ROWS[row] is None:
    command = [options.torch, HERE / 'peer.py', options.path, str(seed)]
    try:
      return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    except (OSError, subprocess.CalledProcessError) as e:
      raise core.RunError(f'{e}: --torch={options.torch} must be a Python that has torch and numpy') from None
  workdir = options.runs / f'{row}_{seed}'
  changes = [f'--config.{change}' for change in ROWS[row]]
  study.verb('train', '--config=configs/text_gpt.py', f'--workdir={workdir}', f'--config.data.path={options.path}', f'--config.seed={seed}', *QUIET,
             *changes)
  nats = []
  for split in ('validation', 'test'):   # the last tenth in two halves of one size
    study.verb('evaluate', f'--workdir={workdir}', f'--split={split}', '--config.eval_examples=2000', f'--out={workdir}/{split}')
    nats.append(study.metrics(workdir / split)[f'score/nats_per_token/{split}'])
  return {'nats': float(np.mean(nats)), **study.record(workdir)}


def table() -> str:
  lines = ['| row | seeds | validation loss, nats a character | seconds of training | parameters |', '|---|---:|---:|---:|---:|']
  for row in ROWS:
    if found := study.results(HERE, row):
      nats = study.cell([f['nats'] for f in found])
      lines.append(f'| `{row}` | {len(found)} | {nats} | {study.seconds(found)} | {found[0]["parameters"]:,} |')
  return '\n'.join(lines)


if __name__ == '__main__':
  study.main(__doc__, HERE, ROWS, one, table, path='the text', torch='runs/reference/bin/python')
