"""How near the answers to held-out turns come to those that people gave: ROUGE-1, -2 and -L, the F measure (Lin 2004), by rouge-score.

Words are modalities.text.words. A dialogue counts by its first answer.
"""
import importlib.util

import numpy as np

from gen_jax import core
from gen_jax import run as runs
from gen_jax.modalities import text

NEEDS = ('x',)
OF_ANSWERS = True
KINDS = ('rouge1', 'rouge2', 'rougeL')


class Words:
  """As rouge-score takes a tokenizer: its own drops whatever is not ASCII."""
  tokenize = staticmethod(text.words)


def make(run, split):
  """Raises InputError for a run that is not of dialogues, and without rouge-score."""
  if not run.spec.between_turns:
    raise core.InputError('answers is of dialogues (data.turns): leave it out of config.evals')
  if importlib.util.find_spec('rouge_score') is None:
    raise core.InputError("answers needs rouge-score: pip install 'gen_jax[text]'")
  asked = lambda x_NxL: text.texts(runs.prompts(run.spec, x_NxL), run.spec.tokenizer)
  answered = lambda x_NxL: [said[len(before):].split('\n')[0] for said, before in zip(text.texts(x_NxL, run.spec.tokenizer), asked(x_NxL))]
  real = answered(runs.held_out(run, split, run.config.eval_examples)['x'])

  def evaluate(state, samples):
    each = [rouge(said, meant) for said, meant in zip(answered(samples.x), real, strict=True)]
    return {kind: (float(np.mean([one[kind] for one in each])), float(np.std([one[kind] for one in each]) / len(each)**.5)) for kind in KINDS}
  return evaluate


def rouge(said: str, meant: str) -> dict[str, float]:
  """The F measures, in [0, 1]."""
  from rouge_score import rouge_scorer
  scores = rouge_scorer.RougeScorer(list(KINDS), tokenizer=Words()).score(meant, said)
  return {kind: scores[kind].fmeasure for kind in KINDS}
