"""Verse: how much of its last letters a line has in common with the next, unless both end in the same word."""
import os
import re

import numpy as np

from gen_jax import core
from gen_jax.modalities import text

DEFAULTS = dict(letters=2)


def make(options, spec):
  if spec.modality != 'text':
    raise core.InputError('reward.name=rhyme is of text')
  if options.letters < 1:
    raise core.InputError(f'reward.letters={options.letters}: at least 1')
  return lambda x_NxL: np.array([rhymes(said, options.letters) for said in text.texts(x_NxL, spec.tokenizer)])


def rhymes(said: str, letters: int) -> float:
  """In [0, 1], the mean over pairs of lines of the letters in common over `letters`, at most 1. What follows the last newline is no whole line and
  does not count; without two lines it is 0."""
  lines = [re.findall(r'\w+', line.lower()) for line in said.split('\n')[:-1]]
  ends = [words[-1] for words in lines if words]
  alike = [0 if a == b else len(os.path.commonprefix([a[::-1], b[::-1]])) for a, b in zip(ends, ends[1:])]
  return float(np.minimum(alike, letters).mean() / letters) if alike else 0.
