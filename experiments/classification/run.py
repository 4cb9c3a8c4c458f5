"""The class of a text: a transformer from scratch, the same one after it has read the training texts, that against an adversary (fgm, freelb), and
TF-IDF with logistic regression.

  python -m gen_jax.fetch topics; python -m gen_jax.fetch sentiment
  python -m experiments.classification.run [--rows=A,B] [--seeds=3]   # goes on where it stopped
  python -m experiments.classification.run --table

Each run leaves results/ROW_SEED.json.
"""
import pathlib

from ml_collections import ConfigDict

from experiments import study
from gen_jax.data import documents
from gen_jax.rewards import sentiment

HERE = pathlib.Path(__file__).parent
SETS = {
    'topics': {'path': 'topics', 'vocabulary': 8192, 'length': 257},
    'sentiment': {'path': 'sentiment', 'between': '\n', 'vocabulary': 4096, 'length': 65},
}
KINDS = ('tfidf', 'scratch', 'finetuned', 'fgm', 'freelb')
ROWS = [f'{name}_{kind}' for name in SETS for kind in KINDS]
READING = ('steps=1200', 'network.layers=2', 'eval_every=0', 'sample_every=0', 'batch_size=16')


def flags(name, **options):
  return [f'--config.data.{field}={value}'.replace('\n', '\\n') for field, value in {**SETS[name], **options}.items()]


def baseline(name) -> dict:
  of, _, _ = documents.divided(ConfigDict({**documents.DEFAULTS, **SETS[name], 'labels': True}))
  said, labels = ({split: [one[i] for one in of[split]] for split in of} for i in (0, 1))
  model = sentiment.fitted([text for text, in said['train']], labels['train'])
  right = model.predict([text for text, in said['test']]) == labels['test']
  return {'accuracy': float(right.mean()), 'examples': len(right)}


def trained(row, seed, runs) -> list[pathlib.Path]:
  """The workdir of a row, and of the run that it started from, if it did: trained where they are not yet."""
  name, kind = row.rsplit('_', 1)
  workdir, read = runs / f'{row}_{seed}', runs / f'{name}_read_{seed}'
  more = []
  if kind != 'scratch':   # the training texts again, without their classes: what is held out there is held out here
    study.verb('train', '--config=configs/poems_gpt.py', f'--workdir={read}', f'--config.seed={seed}', *flags(name, tokenizer='pairs'),
               *(['--config.data.between='] if name == 'topics' else []), *(f'--config.{field}' for field in READING))
    more = [f'--config.init_from={read}', f'--config.data.tokenizer={read}', *([f'--config.adversary.method={kind}'] if kind != 'finetuned' else [])]
  study.verb('train', '--config=configs/documents_classifier.py', f'--workdir={workdir}', f'--config.seed={seed}', *flags(name), *more)
  return [workdir, read] if more else [workdir]


def one(row, seed, options) -> dict:
  name, kind = row.rsplit('_', 1)
  if kind == 'tfidf':
    return baseline(name)
  workdir, *before = trained(row, seed, options.runs)
  study.verb('evaluate', f'--workdir={workdir}', f'--out={workdir}/test')
  found = study.metrics(workdir / 'test')
  return {'accuracy': found['classification/accuracy'], 'f1': found['classification/macro/f1-score'], **study.record(workdir, *before)}


def table() -> str:
  lines = ['| row | seeds | accuracy on held-out texts | macro F1 | seconds of training | parameters |', '|---|---:|---:|---:|---:|---:|']
  for row in ROWS:
    if found := study.results(HERE, row):
      f1 = study.cell([f['f1'] for f in found]) if 'f1' in found[0] else '-'
      lines.append(f'| `{row}` | {len(found)} | {study.cell([f["accuracy"] for f in found])} | {f1} | '
                   + (f'{study.seconds(found)} | {found[0]["parameters"]:,} |' if 'parameters' in found[0] else '- | - |'))
  return '\n'.join(lines)


if __name__ == '__main__':
  study.main(__doc__, HERE, ROWS, one, table)
