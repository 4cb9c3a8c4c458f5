"""The family's own per-example scores (bounds on the log-likelihood, accuracies, the discriminator's verdict), on held-out, training and generated
examples.

What a model knows by heart is the difference of the first two; what a discriminator tells from real, that of the last two. Where examples are told
token by token, the nats of all over the tokens of all, for examples differ in length; its exponential, the perplexity; of text, bits per character.
"""
import math

import jax
import numpy as np

from gen_jax import core, data, evals
from gen_jax import run as runs
from gen_jax.modalities import text

NEEDS = ('x',)
WITHOUT_SAMPLES = True   # of real examples all the same
OF_ANSWERS = True


def make(run, split):
  if run.family.score is None:
    raise core.InputError(f'the family {run.config.family.name} has no score: leave score out of config.evals')
  call = runs.mapped(run, run.family.score)
  batches = {name: evals.real(run, name, NEEDS) for name in (split, 'train')}

  def evaluate(state, samples):
    found = {}
    # Translations are scored by how near they come to the truth, which they themselves are not.
    for name, draw in {**batches, **({'samples': samples} if samples and not run.spec.paired else {})}.items():
      batch = data.normalise({'x': draw.x, **({} if draw.condition is None else {'condition': draw.condition})})
      scores = call(state, core.fold(jax.random.key(0), 'score'), len(draw.x), batch)
      if 'tokens' in scores:
        nats, error = ratio(-scores['log_likelihood'], scores.pop('tokens'))
        perplexity = float(np.exp(nats))   # infinite of a model that is far off
        found |= {f'nats_per_token/{name}': (nats, error), f'perplexity/{name}': (perplexity, perplexity * error)}
        if run.spec.modality == 'text' and not run.spec.between_turns:   # of dialogues some characters are given
          told = np.where(draw.x == text.END, text.NOTHING, draw.x)[:, 1:]
          said_N = np.array([len(one) for one in text.texts(told, run.spec.tokenizer)]) + (told == text.UNKNOWN).sum(-1)   # a character each
          characters = ratio(-scores['log_likelihood'], said_N)
          found[f'bits_per_character/{name}'] = tuple(v / math.log(2) for v in characters)
      for key, values in scores.items():
        found[f'{key}/{name}'] = float(np.mean(values, dtype=np.float64)), float(np.std(values, dtype=np.float64) / len(values)**.5)
    return found
  return evaluate


def ratio(a_N, b_N) -> tuple[float, float]:
  """(sum of a / sum of b, its standard error over examples); nan where b is 0."""
  a, b = np.asarray(a_N, np.float64), np.asarray(b_N, np.float64)
  if not b.sum():
    return math.nan, math.nan
  return float(a.sum() / b.sum()), float(np.std(a - b * a.sum() / b.sum()) / (b.mean() * len(a)**.5))
