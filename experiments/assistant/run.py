"""A desk that answers: the entry whose question is nearest to a query by its sentence embedding (MiniLM), told by a small model that was fine-tuned
to answer from an entry, with the entry's name; below a likeness it declines.

  python -m gen_jax.fetch dialogues; python -m gen_jax.fetch minilm
  python -m gen_jax.train --config=configs/dialogues_gpt.py --workdir=runs/dialogues
  python -m experiments.assistant.run --base=runs/dialogues                          # fine-tunes, then judges on queries.tsv; writes table.md
  python -m experiments.assistant.run --base=runs/dialogues --ask='my mouse is dead'

The entries are the first questions and answers of chatterbot-corpus. queries.tsv holds questions in other words, each with the entry that is meant,
or none. The likeness below which it declines is chosen on every second of them and judged on the others.
"""
import argparse
import pathlib
import sys

import numpy as np
from ml_collections import ConfigDict

from experiments import study
from gen_jax import cli, core
from gen_jax import run as runs
from gen_jax.data import text as source
from gen_jax.evals import answers
from gen_jax.extractors import minilm
from gen_jax.modalities import text

HERE = pathlib.Path(__file__).parent
SHOWN = 3                   # entries a query
HEARD = 6                   # queries that the model is taught of each entry, its question with words left out
LENGTH = 161
TEACHING = ('steps=1500', 'batch_size=16', 'sample_every=0', 'checkpoint_every=500', 'evals=score')


def entries() -> list[tuple[str, str, str]]:
  """[(name, question, answer)], each question once."""
  found, _ = source.read(ConfigDict({'path': 'dialogues/english', 'between': '\n\n'}))
  said = {}
  for path, document in found:
    question, answer, *_ = document.strip().split('\n')
    said.setdefault(question, (f'{path.stem} {sum(name.startswith(path.stem) for name, _ in said.values()) + 1}', answer))
  return [(name, question, answer) for question, (name, answer) in said.items()]


class Desk:
  """Retrieval, and a run that tells what was retrieved."""

  def __init__(self, workdir):
    self.entries = entries()
    self.keys = minilm.embed([question for _, question, _ in self.entries])
    self.run, self.state = runs.load(workdir, lambda config: config.sample.update(temperature=0.))

  def nearest(self, queries: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(Which entries, their cosines), [N, SHOWN] each, the nearest first."""
    cosines = minilm.embed(queries) @ self.keys.T
    order = np.argsort(-cosines, axis=1, kind='stable')[:, :SHOWN]
    return order, np.take_along_axis(cosines, order, axis=1)

  def told(self, queries: list[str], which) -> list[str]:
    """What the run answers, given an entry each."""
    spec = self.run.spec
    prompts = np.full((len(queries), spec.shape[0] - 1), text.NOTHING)
    for row, query, i in zip(prompts, queries, which):
      given = text.tokens(asked(query, *self.entries[i][1:]), spec.tokenizer)[:len(row) - 2]
      row[:len(given) + 2] = [text.END, *given, spec.between_turns]
    x = runs.sampler(self.run)(self.state, core.fold(self.run.key, 'desk'), prompts, len(prompts))
    return [said.split('\n', 1)[1].split('\n')[0] if '\n' in said else '' for said in text.texts(x, spec.tokenizer)]


def asked(query, question, answer) -> str:
  return f'{query} | {question} {answer}'


def teach(workdir, base, folder):
  """Fine-tunes the run in `base` on queries of each entry, whose answer is to be found in what it is given."""
  rng = np.random.default_rng(0)
  dialogues = []
  for _, question, answer in entries():
    words = question.split()
    for _ in range(HEARD):
      kept = rng.random(len(words)) < .7
      dialogues.append(f'{asked(" ".join(w for w, k in zip(words, kept) if k) or question, question, answer)}\n{answer}')
  folder.mkdir(parents=True, exist_ok=True)
  (folder / 'desk.txt').write_text('\n\n'.join(dialogues) + '\n')
  study.verb('train', '--config=configs/dialogues_gpt.py', f'--workdir={workdir}', f'--config.data.path={folder}', f'--config.init_from={base}',
             f'--config.data.tokenizer={base}', f'--config.data.length={LENGTH}', *(f'--config.{field}' for field in TEACHING))


def threshold(cosine_N, right_N, meant_N) -> float:
  """The likeness from which on answering is right most often: of what means an entry, with that one."""
  every = np.concatenate([[0.], cosine_N + 1e-6])
  return float(max(every, key=lambda t: (np.where(cosine_N >= t, right_N, ~meant_N)).mean()))


def judged(desk: Desk) -> tuple[str, float]:
  """(The table and the answers to held-out queries, the likeness from which on the desk answers)."""
  rows = [line.split('\t') for line in (HERE / 'queries.tsv').read_text().splitlines()]
  queries, meant = [query for query, _ in rows], np.array([bool(question) for _, question in rows])
  which, cosine = desk.nearest(queries)
  questions = [question for _, question, _ in desk.entries]
  hits = np.array([[questions[i] == question for i in shown] for shown, (_, question) in zip(which, rows)])
  chosen, held = np.arange(len(rows)) % 2 == 0, np.arange(len(rows)) % 2 == 1
  least = threshold(cosine[chosen, 0], hits[chosen, 0], meant[chosen])
  answered, right = cosine[:, 0] >= least, hits[:, 0]
  told = desk.told(queries, which[:, 0])
  rouge = [answers.rouge(said, desk.entries[i][2])['rougeL'] for said, i, ok in zip(told, which[:, 0], answered & held) if ok]
  part = lambda mask, of: f'{(mask & of & held).sum()} of {(of & held).sum()}'
  return '\n'.join([
      '| held-out queries | |', '|---|---:|',
      f'| entries | {len(desk.entries)} |', f'| likeness from which on it answers | {least:.2f} |',
      f'| the entry that is meant is the nearest | {part(right, meant)} |', f'| it is among the {SHOWN} nearest | {part(hits.any(1), meant)} |',
      f'| answered, from that entry | {part(answered & right, meant)} |', f'| answered, from another | {part(answered & ~right, meant)} |',
      f'| of those that mean none: declined | {part(~answered, ~meant)} |',
      f"| ROUGE-L of the model's answers with the entries' | {np.mean(rouge):.2f} |", '',
      *(f'- *{query}* — {f"{said} [{desk.entries[i[0]][0]}, {c[0]:.2f}]" if ok else f"declined ({c[0]:.2f})"}'
        for query, said, i, c, ok, out in zip(queries, told, which, cosine, answered, held) if out)]), least


@cli.verb
def main(argv):
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--base', default='runs/dialogues', type=pathlib.Path)
  parser.add_argument('--runs', default='runs/assistant', type=pathlib.Path)
  parser.add_argument('--ask', default='')
  options = parser.parse_args(argv)
  workdir = options.runs / 'desk'
  teach(workdir, options.base, options.runs / 'texts')   # goes on, or is complete
  desk = Desk(workdir)
  table, least = judged(desk)
  if not options.ask:
    (HERE / 'table.md').write_text(table + '\n')
    print(table)
    return
  which, cosine = desk.nearest([options.ask])
  if cosine[0, 0] < least:
    print('I have no answer to that.')
  else:
    print(f'{desk.told([options.ask], which[:, 0])[0]} [{desk.entries[which[0, 0]][0]}]')
  for i, c in zip(which[0], cosine[0]):
    print(f'{c:6.2f}  {desk.entries[i][0]}: {desk.entries[i][1]}')


if __name__ == '__main__':
  sys.exit(main())
