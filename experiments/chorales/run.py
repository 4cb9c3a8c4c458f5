"""JSB Chorales as piano rolls: nats a frame of the test split, against published ones, over seeds.

  python -m experiments.chorales.run --path=JSB_Chorales.mat [--rows=A,B] [--seeds=3]   # goes on where it stopped
  python -m experiments.chorales.run --table

Each run leaves results/ROW_SEED.json.
"""
import pathlib

import jax
import numpy as np

from experiments import study
from gen_jax import core, data
from gen_jax import run as runs
from gen_jax.modalities import music, text

HERE = pathlib.Path(__file__).parent
# What each row changes of configs/rolls_gpt.py.
ROWS = {
    'transformer': (),
    'no_transposition': ('data.transpose=0',),
    'no_dropout': ('network.dropout=0.',),
}
# Of the same split (Bai et al. 2018, https://arxiv.org/abs/1803.01271, table 1).
PUBLISHED = {'RNN': 8.91, 'LSTM': 8.45, 'GRU': 8.43, 'TCN': 8.10}


def measured(workdir, split: str) -> dict[str, float]:
  """Nats a frame of a split, of whole pieces: as the TCN's code counts them, and of all that a sequence tells.

  tcn: the frames after the first of a piece, each given those before it; neither the first, which is given, nor the end of the piece.
  all: the first frame and the end as well, a frame.
  """
  run, state = runs.load(workdir, lambda config: config.update(mesh='data=1'))
  x_NxL = data.make(run.config, split)
  x_NxL = x_NxL.take(np.arange(x_NxL.size))['x'].astype(np.int32)
  score = runs.mapped(run, run.family.score)

  def nats(x_NxL) -> float:
    """Of all tokens after the first that are not padding: those behind a place are left out by padding them."""
    found = score(state, core.fold(jax.random.key(0), 'score'), len(x_NxL), {'x': x_NxL})
    return float(-np.sum(found['log_likelihood'], dtype=np.float64))
  over_NxL = (x_NxL == music.NEXT).cumsum(1) - (x_NxL == music.NEXT)   # frames before the one that a token belongs to
  first, frames = nats(np.where(over_NxL < 1, x_NxL, text.NOTHING)), int((x_NxL == music.NEXT).sum())
  told = nats(np.where((x_NxL == text.END) & (np.arange(x_NxL.shape[1]) > 0)[None], text.NOTHING, x_NxL))
  return {'tcn': (told - first) / (frames - len(x_NxL)), 'all': nats(x_NxL) / frames, 'frames': frames, 'pieces': len(x_NxL)}


def one(row, seed, options) -> dict:
  workdir = options.runs / f'{row}_{seed}'
  changes = [f'--config.{change}' for change in (f'data.path={options.path}', f'seed={seed}', 'sample_every=0', *ROWS[row])]
  study.verb('train', '--config=configs/rolls_gpt.py', f'--workdir={workdir}', *changes)
  return {**{split: measured(workdir, split) for split in ('validation', 'test')}, **study.record(workdir)}


def table() -> str:
  lines = ['| row | seeds | test, nats a frame | with first frames and ends | validation | seconds of training | parameters |',
           '|---|---:|---:|---:|---:|---:|---:|']
  lines += [f'| {name}, published | | {nats:.2f} | | | | |' for name, nats in PUBLISHED.items()]
  for row in ROWS:
    if found := study.results(HERE, row):
      cells = [study.cell([f[split][name] for f in found]) for split, name in (('test', 'tcn'), ('test', 'all'), ('validation', 'tcn'))]
      lines.append(f'| `{row}` | {len(found)} | {" | ".join(cells)} | {study.seconds(found)} | {found[0]["parameters"]:,} |')
  return '\n'.join(lines)


if __name__ == '__main__':
  study.main(__doc__, HERE, ROWS, one, table, path='JSB_Chorales.mat')
