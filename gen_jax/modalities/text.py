"""Captions as words: English phrases <-> arrays of numbers, by a vocabulary that a data.Spec holds."""
import re

import numpy as np

from gen_jax import core

NOTHING, UNKNOWN, FIRST = 0, 1, 2   # padding, a word that the vocabulary lacks, the vocabulary's first word


def words(caption: str) -> list[str]:
  """Lower-cased letters and digits, without what is between them."""
  return re.findall(r'[^\W_]+', caption.lower())


def vocabulary(captions) -> tuple[str, ...]:
  """Every word of the captions, sorted."""
  return tuple(sorted({word for caption in captions for word in words(caption)}))


def encode(captions, vocabulary, length: int) -> np.ndarray:
  """int32 [N, length]. Raises InputError for a caption of more words than that."""
  number = {word: i + FIRST for i, word in enumerate(vocabulary)}
  found = np.full((len(captions), length), NOTHING, np.int32)
  for i, caption in enumerate(captions):
    split = words(caption)
    if len(split) > length:
      raise core.InputError(f'the caption {caption!r} has {len(split)} words, more than {length}')
    found[i, :len(split)] = [number.get(word, UNKNOWN) for word in split]
  return found
