"""Fashion-MNIST (Xiao et al. 2017, https://arxiv.org/abs/1708.07747): 28x28 grey images of ten kinds of clothes.

55,000 for training, the last 5,000 of the original training set for validation, and the original 10,000 for testing.
"""
import gzip
import math
import pathlib
import zlib

import numpy as np
from ml_collections.config_dict import placeholder

from gen_jax import core, data
from gen_jax.data import tfds

DEFAULTS = dict(folder=placeholder(str))   # of the four original files, gzipped or not
NAMES = ('T-shirt', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'ankle boot')
SPEC = data.Spec((28, 28, 1), classes=10, names=NAMES)
FILES = {'train': ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte'), 'test': ('t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte')}
VALIDATION = 5000
DEBIAN = pathlib.Path('/usr/share/datasets/fashion-mnist')   # of the package dataset-fashion-mnist


def make(config, split):
  """uint8 [n, 28, 28, 1] and labels [n]: from config.folder, else what was fetched, else Debian's package, else what TFDS has prepared.

  Raises InputError where there is none of them or a file is damaged.
  """
  original = 'test' if split == 'test' else 'train'
  places = [pathlib.Path(config.folder)] if config.folder else [data.directory() / 'fashion_mnist', DEBIAN]
  for place in places:
    found = [find(place, name) for name in FILES[original]]
    if all(found):
      x, labels = map(read_idx, found)
      if x.shape[1:] != (28, 28) or labels.shape != x.shape[:1] or labels.max(initial=0) > 9:
        raise core.InputError(f'{place} is not Fashion-MNIST: images {x.shape}, labels {labels.shape} up to {labels.max(initial=0)}')
      part = {'train': slice(0, -VALIDATION), 'validation': slice(-VALIDATION, None), 'test': slice(None)}[split]
      return data.from_arrays(x[part, ..., None], labels[part], SPEC)
  if config.folder:
    raise core.InputError(f'{config.folder} lacks {" or ".join(FILES[original])} (.gz or not)')
  prepared = tfds.find('fashion_mnist')
  if prepared is None:
    raise core.InputError('Fashion-MNIST is not here: `python -m gen_jax.fetch fashion_mnist`, or name its folder in config.data.folder')
  return tfds.read(prepared, split, config.resident_mb, held_out=VALIDATION)


def find(folder: pathlib.Path, name: str) -> pathlib.Path | None:
  return next((p for p in (folder / name, folder / f'{name}.gz') if p.is_file()), None)


def payload(path: pathlib.Path) -> bytes:
  """A file's bytes, decompressed where it is gzipped. Raises InputError where it cannot be."""
  try:
    return gzip.decompress(path.read_bytes()) if path.suffix == '.gz' else path.read_bytes()
  except (OSError, EOFError, zlib.error) as e:
    raise core.InputError(f'{path} is damaged: {e}') from None


def read_idx(path: pathlib.Path) -> np.ndarray:
  """The uint8 array of an idx file, gzipped or not. Raises InputError that names a file that is not one, or is cut short."""
  raw = payload(path)
  # Two zero bytes, the type (8: uint8), the number of axes, their sizes as big-endian int32, the values.
  axes = raw[3] if raw[:3] == b'\0\0\x08' and len(raw) > 3 else 0
  if not axes or len(raw) < 4 + 4 * axes:
    raise core.InputError(f'{path} is not an idx file of bytes')
  shape = [int(n) for n in np.frombuffer(raw, '>i4', axes, 4)]
  values = np.frombuffer(raw, np.uint8, offset=4 + 4 * axes)
  if values.size != math.prod(shape):
    raise core.InputError(f'{path} is damaged: {values.size} bytes of {math.prod(shape)}')
  return values.reshape(shape)
