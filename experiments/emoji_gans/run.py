"""GANs of 64x64 emoji: grown, R3GAN, and one with and without adaptive augmentation, beside the training pictures themselves.

  python -m gen_jax.fetch emoji
  python -m experiments.emoji_gans.run [--rows=A,B] [--seeds=1]   # goes on where it stopped
  python -m experiments.emoji_gans.run --table

Each run leaves results/ROW_SEED.json, and ROW.png.
"""
import json
import pathlib
import shutil

import numpy as np

from experiments import study
from gen_jax import evals, extractors, log
from gen_jax.config import base
from gen_jax.data import emoji
from gen_jax.evals import fid, kid

HERE = pathlib.Path(__file__).parent
SAMPLES = 2000
# The config of each row, and what is changed of it.
ROWS = {'training_pictures': None, 'progressive': ('emoji_progressive',), 'r3gan': ('emoji_r3gan',), 'ada': ('emoji_ada',),
        'without_ada': ('emoji_ada', 'family.augment=', 'family.adaptive=0', 'data.flip=True')}
COLUMNS = {'FID': 'fid', 'KID x 1000': 'kid', 'logit of training pictures': 'discriminator/train', 'of held-out ones': 'discriminator/test',
           'nearer to training than held-out ones are': 'memorisation/nearer_to_train'}


def floor() -> dict:
  """The distances from the held-out pictures of training pictures, which are of other emoji: about as many of each category as of the samples."""
  config = base('emoji', 'gan', 'conv', discriminator={}, generator={})
  sources = {split: emoji.make(config.data, split) for split in ('train', 'test')}
  ruler = extractors.make('random', 'emoji', sources['test'].spec)
  labels = sources['train'].take(np.arange(sources['train'].size))['condition']
  of_each = [np.flatnonzero(labels == label) for label in range(len(emoji.CATEGORIES))]
  # Over the whole of each; of few some twice.
  chosen = np.concatenate([at[np.linspace(0, len(at) - 1, SAMPLES // len(of_each)).astype(int)] for at in of_each])
  x, y = (evals.collect([source.take(at)['x']], None, source.spec, ruler, ('moments', 'features'))
          for source, at in ((sources['train'], chosen), (sources['test'], np.arange(sources['test'].size))))
  size = min(kid.SIZE, len(y.features) // 2)
  return {'fid': fid.between(x.moments, y.moments), 'kid': float(kid.kid(x.features, y.features, size=size).mean())}


def one(row, seed, options) -> dict:
  if ROWS[row] is None:
    return {'metrics': floor()}
  config, *changes = ROWS[row]
  workdir = options.runs / f'{row}_{seed}'
  study.verb('train', f'--config=configs/{config}.py', f'--workdir={workdir}', f'--config.seed={seed}', *(f'--config.{change}' for change in changes))
  study.verb('evaluate', f'--workdir={workdir}', f'--config.eval_examples={SAMPLES}', f'--out={workdir}/test')
  if seed == 0:
    steps = json.loads((workdir / 'manifest.json').read_text())['steps']
    shutil.copy(workdir / 'samples' / f'step_{steps}.png', HERE / f'{row}.png')
  last = [r['discriminator/probability'] for r in log.read(workdir / 'metrics.jsonl') if 'discriminator/probability' in r][-1:]
  return {'metrics': study.metrics(workdir / 'test'), **({'probability': last[0]} if last else {}), **study.record(workdir)}


def value(found, name):
  return next((v for key, v in found['metrics'].items() if key.split('@')[0].removeprefix('score/') == name), None)


def table() -> str:
  titles = ['row', 'seeds', *COLUMNS, 'augmented in the end', 'seconds of training', 'parameters']
  lines = [f'| {" | ".join(titles)} |', '|---|' + '---:|' * (len(titles) - 1)]
  for row in ROWS:
    if found := study.results(HERE, row):
      cells = [[value(f, name) for f in found] for name in COLUMNS.values()]
      cells = [study.cell([v * (1000 if 'KID' in title else 1) for v in values], '.3g') if None not in values else '-'
               for title, values in zip(COLUMNS, cells)]
      augmented = study.cell([f['probability'] for f in found], '.2f') if 'probability' in found[0] else '-'
      lines.append(f'| `{row}` | {len(found)} | {" | ".join(cells)} | {augmented} | '
                   + (f'{study.seconds(found)} | {found[0]["parameters"]:,} |' if 'parameters' in found[0] else '- | - |'))
  return '\n'.join(lines)


if __name__ == '__main__':
  study.main(__doc__, HERE, ROWS, one, table)
