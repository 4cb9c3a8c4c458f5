"""The class of a text: a transformer from scratch, the same one after it has read the training texts, and TF-IDF with logistic regression.

  python -m gen_jax.fetch topics; python -m gen_jax.fetch sentiment
  python -m experiments.classification.run [--rows=A,B] [--seeds=3]   # goes on where it stopped
  python -m experiments.classification.run --table

Each run leaves results/ROW_SEED.json.
"""
import pathlib

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from experiments import study
from gen_jax import data
from gen_jax.config import base
from gen_jax.modalities import text

HERE = pathlib.Path(__file__).parent
SETS = {
    'topics': {'path': 'topics', 'vocabulary': 8192, 'length': 257},
    'sentiment': {'path': 'sentiment', 'between': '\n', 'vocabulary': 4096, 'length': 65},
}
KINDS = ('tfidf', 'scratch', 'finetuned')
ROWS = [f'{name}_{kind}' for name in SETS for kind in KINDS]
READING = ('steps=1200', 'network.layers=2', 'eval_every=0', 'sample_every=0', 'batch_size=16')


def flags(name, **options):
  return [f'--config.data.{field}={value}'.replace('\n', '\\n') for field, value in {**SETS[name], **options}.items()]


def baseline(name) -> dict:
  config = base('documents', 'classifier', 'transformer', model={})
  config.data.update(**SETS[name], labels=True, tokenizer='pairs')
  config.data.length = 8192   # whole texts
  x, y = {}, {}
  for split in ('train', 'test'):
    source = data.make(config, split)
    taken = source.take(np.arange(source.size))
    x[split], y[split] = text.texts(taken['x'], source.spec.tokenizer), taken['condition']
  features = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
  model = LogisticRegression(C=10., max_iter=1000).fit(features.fit_transform(x['train']), y['train'])
  return {'accuracy': float((model.predict(features.transform(x['test'])) == y['test']).mean()), 'examples': len(y['test'])}


def one(row, seed, options) -> dict:
  name, kind = row.rsplit('_', 1)
  if kind == 'tfidf':
    return baseline(name)
  workdir, read = options.runs / f'{row}_{seed}', options.runs / f'{name}_read_{seed}'
  more = []
  if kind == 'finetuned':   # the training texts again, without their classes: what is held out there is held out here
    study.verb('train', '--config=configs/poems_gpt.py', f'--workdir={read}', f'--config.seed={seed}', *flags(name, tokenizer='pairs'),
               *(['--config.data.between='] if name == 'topics' else []), *(f'--config.{field}' for field in READING))
    more = [f'--config.init_from={read}', f'--config.data.tokenizer={read}']
  study.verb('train', '--config=configs/documents_classifier.py', f'--workdir={workdir}', f'--config.seed={seed}', *flags(name), *more)
  study.verb('evaluate', f'--workdir={workdir}', f'--out={workdir}/test')
  found = study.metrics(workdir / 'test')
  return {'accuracy': found['classification/accuracy'], 'f1': found['classification/macro/f1-score'], **study.record(workdir)}


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
