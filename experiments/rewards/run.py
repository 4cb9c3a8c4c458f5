"""What a reward makes of a text model: verse from tiny Shakespeare by REINFORCE, GRPO and DPO, near to the model that they start from.

  python -m experiments.rewards.run --path=tinyshakespeare.txt [--rows=A,B] [--seeds=3]   # goes on where it stopped
  python -m experiments.rewards.run --table

Each run leaves results/ROW_SEED.json, and the first seed's texts ROW.txt.
"""
import pathlib
import shutil

import numpy as np

from experiments import study
from gen_jax import log

HERE = pathlib.Path(__file__).parent
# What each row changes of configs/text_reward.py.
ROWS = {
    'reinforce': ('reward.method=reinforce',),
    'grpo': ('reward.method=grpo',),
    'grpo_free': ('reward.method=grpo', 'reward.kl=0.'),
    'dpo': ('reward.method=dpo',),
}
SHOWN = 50   # steps that a number after training is the mean of


def one(row, seed, options) -> dict:
  reference, workdir = options.runs / 'reference', options.runs / f'{row}_{seed}'
  given = (f'--config.data.path={options.path}', '--config.data.length=129')
  study.verb('train', '--config=configs/text_gpt.py', f'--workdir={reference}', *given)
  study.verb('train', '--config=configs/text_reward.py', f'--workdir={workdir}', f'--config.seed={seed}', *given,
             *(f'--config.{field}={reference}' for field in ('init_from', 'frozen.reference', 'data.tokenizer')),
             '--config.log_every=1', *(f'--config.{change}' for change in ROWS[row]))
  found, rows = {}, log.read(workdir / 'metrics.jsonl')
  for name in ('model/reward', 'model/kl'):
    values = [r[name] for r in rows if name in r]
    found[name.split('/')[1]] = [float(np.mean(part)) for part in (values[:1], values[-SHOWN:])]
  for what, trained in (('before', reference), ('after', workdir)):
    study.verb('evaluate', f'--workdir={trained}', '--split=validation', '--config.evals=score,distinct',
               '--config.eval_examples=500', f'--out={workdir}/{what}')
    metrics = study.metrics(workdir / what)
    found[what] = {'nats': metrics['score/nats_per_token/validation'], 'pairs': metrics['distinct/2/samples']}
  if seed == 0:
    shutil.copy(max((workdir / 'samples').glob('*.txt'), key=lambda path: path.stat().st_mtime), HERE / f'{row}.txt')
  return {**found, **study.record(workdir)}


def table() -> str:
  lines = ['| row | seeds | reward, before | after | divergence, nats | held-out nats a character, before | after | distinct pairs, before | after '
           '| seconds of training |',
           '|---|' + '---:|' * 9]
  for row in ROWS:
    if found := study.results(HERE, row):
      columns = [[f['reward'][0] for f in found], [f['reward'][1] for f in found], [f['kl'][1] for f in found],
                 *([f[what][name] for f in found] for name in ('nats', 'pairs') for what in ('before', 'after'))]
      lines.append(f'| `{row}` | {len(found)} | ' + ' | '.join(study.cell(values, '.3g') for values in columns) + f' | {study.seconds(found)} |')
  return '\n'.join(lines)


if __name__ == '__main__':
  study.main(__doc__, HERE, ROWS, one, table, path='the text')
