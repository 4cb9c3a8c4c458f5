"""Bach's chorales: the 331 of four parts among Riemenschneider's 371 that music21 holds, on a grid of sixteenth notes, as windows of one length.

Split by tune, for harmonisations of one differ little: a hash of the first six intervals that the soprano makes from beat to beat, so that passing
and repeated notes do not matter, about 5 % of the beginnings for validation and 10 % for testing.
"""
import hashlib
import json
import pathlib

import numpy as np

from gen_jax import core, data
from gen_jax.modalities import music, text

DEFAULTS = dict(
    length=257,                 # of a window: one token that is given, and four each sixteenth note, here four bars
    stride=4,                   # quarter notes from one training window of a piece to the next; held-out tokens are told once
    transpose=0,                # the training split also holds each piece moved by 1 .. so many semitones up and down
)


def path() -> pathlib.Path:
  """Where `python -m gen_jax.fetch chorales` puts them: JSON of {name: [[soprano, alto, tenor, bass], ...]}, tokens of modalities.music."""
  return data.directory() / 'chorales' / 'chorales.json'


def make(options, split) -> data.Source:
  """Windows [n, length] of the encoding 'voices': the first token, END or the bass before, is given; what is behind a piece is padding.

  Raises InputError where the chorales are not there or damaged, and for options out of range.
  """
  music.music21()   # the samples need it: better missed now than after some hundred steps
  if options.length < 5 or options.length % 4 != 1:
    raise core.InputError(f'data.length={options.length}: 1 and a multiple of 4, for four voices')
  if options.stride < 1 or not 0 <= options.transpose <= 12:
    raise core.InputError(f'data.stride={options.stride} must be at least 1, and data.transpose={options.transpose} at most 12')
  try:
    content = path().read_bytes()
  except OSError:
    raise core.InputError('the chorales are not here: `python -m gen_jax.fetch chorales`') from None
  try:
    pieces = [np.append(music.from_grid(np.array(grid).reshape(-1, 4)), text.END) for _, grid in sorted(json.loads(content).items())]
  except (ValueError, TypeError, AttributeError) as e:
    raise core.InputError(f'{path()} is damaged ({e}): delete it, and `python -m gen_jax.fetch chorales`') from None
  by = range(-options.transpose, options.transpose + 1) if split == 'train' else [0]
  stride = options.stride * 4 * music.STEPS['voices'] if split == 'train' else options.length - 1
  every = [windows(music.moved(x, n, 'voices'), options.length, stride) for n in by for x in pieces if split_of(x) == split]
  spec = data.Spec((options.length,), bounded=False, modality='music', tokenizer='voices')
  checksum = hashlib.sha256(repr((options.length, options.stride, options.transpose, 'split by beats')).encode() + content).hexdigest()
  return data.from_arrays(np.concatenate(every or [np.zeros((0, options.length))]).astype(np.uint16), None, spec)._replace(checksum=checksum)


def windows(x, length: int, stride: int) -> np.ndarray:
  """[n, length] of a sequence, until its last token is in one, with padding behind."""
  more = -(-max(0, len(x) - length) // stride) * stride
  padded = np.pad(x, (0, length + more - len(x)), constant_values=text.NOTHING)
  return np.lib.stride_tricks.sliding_window_view(padded, length)[::stride]


def split_of(x) -> str:
  """The split of a piece: the same in every key."""
  soprano = [note for note in music.notes(x, 'voices') if note[0] == 0]
  end = max((stop for _, _, stop, _ in soprano), default=0)
  on_beat = [pitch for beat in range(0, end, music.STEPS['voices']) for _, start, stop, pitch in soprano if start <= beat < stop]
  moves = np.diff(on_beat)
  return data.split_of(repr(moves[moves != 0][:6].tolist()), .05, .1)
