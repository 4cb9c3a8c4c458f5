"""How much of the samples' n-grams stands in held-out text (BLEU, Papineni et al. 2002), and in the other samples (self-BLEU, Zhu et al. 2018,
https://arxiv.org/abs/1802.01886): high in the first is quality, high in the second one text told again. By sacrebleu, per text, n up to 2, 3 and 4.

Held-out texts have the self-BLEU that samples should have; both are of as many texts.
"""
import importlib.util
import re

import numpy as np

from gen_jax import core, evals
from gen_jax.modalities import text

NEEDS = ('x',)
MOST = 200   # texts; both numbers grow with it
ORDERS = (2, 3, 4)


def make(run, split):
  if run.spec.modality != 'text':
    raise core.InputError('bleu is of text: leave it out of config.evals')
  if importlib.util.find_spec('sacrebleu') is None:
    raise core.InputError("bleu needs sacrebleu: pip install 'gen_jax[text]'")
  real = text.texts(evals.real(run, split, NEEDS, MOST).x, run.spec.tokenizer)

  def evaluate(state, samples):
    said = text.texts(samples.x[:MOST], run.spec.tokenizer)
    found, alike = {}, min(len(said), len(real))
    for n in ORDERS:
      found |= {f'{n}/samples': against(said, real, n), f'{n}/self': within(said[:alike], n), f'{n}/self_{split}': within(real[:alike], n)}
    return {name: (float(each.mean()), float(each.std(ddof=1) / len(each)**.5)) for name, each in found.items()}
  return evaluate


def against(said: list[str], references: list[str], n: int) -> np.ndarray:
  """The BLEU of each text, in [0, 1], with all references at once. Chinese by character."""
  import sacrebleu
  words = 'zh' if re.search(r'[\u4e00-\u9fff]', ''.join(references)) else '13a'
  metric = sacrebleu.BLEU(tokenize=words, max_ngram_order=n, effective_order=True, references=[[one] for one in references])
  return np.array([metric.corpus_score([one], None).score / 100 for one in said])


def within(said: list[str], n: int) -> np.ndarray:
  """The BLEU of each text with the others for references."""
  if len(said) < 2:
    raise core.InputError('self-BLEU compares texts: more config.eval_examples than 1')
  return np.concatenate([against(said[i:i + 1], said[:i] + said[i + 1:], n) for i in range(len(said))])
