"""Piano rolls of whole pieces from a .mat file of one's own, by the protocol of Boulanger-Lewandowski et al. 2012 (https://arxiv.org/abs/1206.6392):
its cells traindata, validdata and testdata hold a matrix [frames, 88] of zeros and ones each piece, as in JSB Chorales.
"""
import hashlib
import io
import pathlib

import numpy as np

from gen_jax import core, data
from gen_jax.modalities import music, text

DEFAULTS = dict(
    path='',                    # of the .mat file
    transpose=0,                # the training split also holds each piece moved by 1 .. so many semitones up and down, where it stays on the keyboard
    length=0,                   # of all sequences, with padding; 0: as the longest piece of the three splits needs
)
CELLS = dict(zip(data.SPLITS, ('traindata', 'validdata', 'testdata')))


def make(options, split) -> data.Source:
  """Sequences [n, length] of the encoding 'roll' with padding behind, each a piece from END to END, in training as many as fit: `family.documents`
  keeps them apart. None is cut, so that the likelihood of a held-out split is that of all its frames.

  Raises InputError for a file that holds no such rolls, and for a length that is too small.
  """
  music.music21()   # the samples need it: better missed now than after some hundred steps
  if not options.path:
    raise core.InputError('config.data.path is missing: a .mat file of piano rolls')
  if options.transpose < 0 or options.length < 0:
    raise core.InputError(f'data.transpose={options.transpose} and data.length={options.length}: at least 0')
  content, rolls = _read(options.path)
  pieces = {name: [np.append(music.from_roll(roll), text.END) for roll in rolls[name]] for name in data.SPLITS}
  longest = max((len(x) for every in pieces.values() for x in every), default=0)
  length = options.length or longest
  if length < longest:
    raise core.InputError(f'data.length={length}: the longest piece has {longest} tokens, and none is cut')
  by = range(-options.transpose, options.transpose + 1) if split == 'train' else [0]
  found = [x for n in by for piece in pieces[split] if (x := music.moved(piece, n, 'roll')) is not None]
  found = packed(found, length) if split == 'train' else found
  x_NxL = np.full((len(found), length), text.NOTHING, np.uint16)
  for row, x in zip(x_NxL, found):
    row[:len(x)] = x
  checksum = hashlib.sha256(repr((options.transpose, length)).encode() + content).hexdigest()
  return data.from_arrays(x_NxL, None, data.Spec((length,), bounded=False, modality='music', tokenizer='roll'))._replace(checksum=checksum)


def packed(pieces, length: int) -> list[np.ndarray]:
  """The pieces in an order drawn once, one after the other in sequences of at most `length` tokens; what ends one begins the next."""
  rows = []
  for i in np.random.default_rng(0).permutation(len(pieces)):
    if rows and len(rows[-1]) + len(pieces[i]) - 1 <= length:
      rows[-1] = np.append(rows[-1], pieces[i][1:])
    else:
      rows.append(pieces[i])
  return rows


def _read(path):
  from scipy.io import loadmat  # slow to import
  try:
    content = pathlib.Path(path).read_bytes()
  except OSError as e:
    raise core.InputError(f'{path} can not be read: {e.strerror}') from None
  try:
    found = loadmat(io.BytesIO(content))
  except Exception as e:   # of a damaged file it raises ValueError, TypeError, struct.error, zlib.error, MatReadError ...
    raise core.InputError(f'{path} can not be read as a .mat file: {type(e).__name__} {" ".join(str(e).split())}') from None
  rolls = {}
  for name, cell in CELLS.items():
    if cell not in found:
      raise core.InputError(f'{path} has no {cell}: piano rolls are in {", ".join(CELLS.values())}')
    rolls[name] = list(found[cell].ravel()) if found[cell].dtype == object else [found[cell]]
    for i, roll in enumerate(rolls[name]):
      if roll.ndim != 2 or roll.shape[1] != music.KEYS or roll.dtype.kind not in 'biuf' or not np.isin(roll, (0, 1)).all():
        raise core.InputError(f'{path}: piece {i + 1} of {cell} is {roll.dtype} {list(roll.shape)}, not [frames, {music.KEYS}] of zeros and ones')
  return content, rolls
