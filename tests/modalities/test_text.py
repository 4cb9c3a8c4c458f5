import numpy as np
import pytest

from gen_jax import core
from gen_jax.modalities import text

CAPTIONS = ['Red heart', 'grinning face with smiling eyes', "woman's hat: blue"]


def test_words_and_their_numbers():
  known = text.vocabulary(CAPTIONS)
  assert known == tuple(sorted(known)) and {'red', 'heart', 'woman', 's', 'blue'} < set(known)
  found = text.encode(['RED  heart!', 'red dog', ''], known, 4)
  assert found.dtype == np.int32 and found.shape == (3, 4)
  red, heart = (known.index(word) + text.FIRST for word in ('red', 'heart'))
  np.testing.assert_array_equal(found, [[red, heart, 0, 0], [red, text.UNKNOWN, 0, 0], [0, 0, 0, 0]])


def test_a_long_caption_is_refused():
  with pytest.raises(core.InputError, match='has 5 words, more than 4'):
    text.encode(CAPTIONS, text.vocabulary(CAPTIONS), 4)
