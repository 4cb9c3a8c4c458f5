"""Headlines of BBC news: a small transformer that answers an article's beginning with its headline, from scratch and after it has read the articles,
beside the first words of the article themselves.

  python -m gen_jax.fetch topics
  python -m experiments.headlines.run [--rows=A,B] [--seeds=3]   # goes on where it stopped
  python -m experiments.headlines.run --table

Each run leaves results/ROW_SEED.json.
"""
import importlib.util
import pathlib

import numpy as np
from ml_collections import ConfigDict

from experiments import study
from gen_jax import core, data
from gen_jax.data import documents
from gen_jax.evals import answers

HERE = pathlib.Path(__file__).parent
ROWS = ('lead', 'scratch', 'finetuned')
WORDS, LENGTH = 80, 161
TELLING = ('steps=1500', 'network.layers=4', 'batch_size=16', 'sample_every=750', 'checkpoint_every=750', 'log_every=100',
           'sample.temperature=0.', 'eval_examples=240')


def articles(folder: pathlib.Path):
  """As dialogues: an article's beginning in one line, and its headline in the next, so short that hardly one is cut: what room is left
  behind the one would tell how long the other is."""
  folder.mkdir(parents=True, exist_ok=True)
  found = sorted((data.directory() / 'topics').rglob('*.txt'))
  if not found:
    raise core.InputError('the articles are not here: `python -m gen_jax.fetch topics`')
  for path in found:
    headline, *rest = (' '.join(line.split()) for line in path.read_text().strip().splitlines() if line.strip())
    (folder / f'{path.parent.name}_{path.stem}.txt').write_text(f'{" ".join(" ".join(rest).split()[:WORDS])}\n{headline}\n')


def one(row, seed, options) -> dict:
  pairs = options.runs / 'articles'
  if importlib.util.find_spec('rouge_score') is None:
    raise core.InputError("ROUGE needs rouge-score: pip install 'gen_jax[text]'")
  articles(pairs)
  if row == 'lead':   # as many words as headlines have
    of, _, _ = documents.divided(ConfigDict({**documents.DEFAULTS, 'path': str(pairs), 'turns': True}))
    words = round(np.mean([len(headline.split()) for (_, headline), _ in of['train']]))
    each = [answers.rouge(' '.join(article.split()[:words]), headline) for (article, headline), _ in of['test']]
    return {kind: float(np.mean([found[kind] for found in each])) for kind in answers.KINDS}
  workdir, read = options.runs / f'{row}_{seed}', options.runs / f'read_{seed}'
  given = [f'--config.data.path={pairs}', '--config.data.between=', '--config.data.tokenizer=pairs', '--config.data.vocabulary=8192',
           f'--config.data.length={LENGTH}', f'--config.seed={seed}']
  more = []
  if row == 'finetuned':   # every line of the training articles is told
    study.verb('train', '--config=configs/poems_gpt.py', f'--workdir={read}', *given, '--config.steps=1500', '--config.batch_size=16',
               '--config.sample_every=0', '--config.checkpoint_every=750')
    more = [f'--config.init_from={read}', f'--config.data.tokenizer={read}']
  study.verb('train', '--config=configs/dialogues_gpt.py', f'--workdir={workdir}', *given, *more, *(f'--config.{field}' for field in TELLING))
  study.verb('evaluate', f'--workdir={workdir}', f'--out={workdir}/test')
  found = study.metrics(workdir / 'test')
  return {**{kind: found[f'answers/{kind}'] for kind in answers.KINDS}, 'nats': found['score/nats_per_token/test'],
          **study.record(workdir, *([read] if more else []))}


def table() -> str:
  lines = ['| row | seeds | ROUGE-1 | ROUGE-2 | ROUGE-L | nats a token | seconds of training |', '|---|---:|---:|---:|---:|---:|---:|']
  for row in ROWS:
    if found := study.results(HERE, row):
      cells = [study.cell([f[kind] for f in found]) for kind in answers.KINDS]
      more = [study.cell([f['nats'] for f in found]), study.seconds(found)] if 'nats' in found[0] else ['-', '-']
      lines.append(f'| `{row}` | {len(found)} | {" | ".join(cells + more)} |')
  return '\n'.join(lines)


if __name__ == '__main__':
  study.main(__doc__, HERE, ROWS, one, table)
