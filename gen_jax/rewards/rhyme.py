"""Verse: of the pairs of one line and the next, how many end in the same letters, though not in the same word."""
import re

import numpy as np

from gen_jax import core
from gen_jax.modalities import text

DEFAULTS = dict(letters=2)


def make(options, spec):
  if spec.modality != 'text':
    raise core.InputError('reward.name=rhyme is of text')
  return lambda x_NxL: np.array([rhymes(said, options.letters) for said in text.texts(x_NxL, spec.tokenizer)])


def rhymes(said: str, letters: int) -> float:
  """In [0, 1]; the last line of a text is whole only where it ends with a newline, and counts only then. 0 without two lines."""
  lines = [re.findall(r'\w+', line.lower()) for line in said.split('\n')[:-1]]
  ends = [words[-1] for words in lines if words]
  alike = [a != b and a[-letters:] == b[-letters:] and min(len(a), len(b)) >= letters for a, b in zip(ends, ends[1:])]
  return float(np.mean(alike)) if alike else 0.
