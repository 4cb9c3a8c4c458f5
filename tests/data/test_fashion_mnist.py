import gzip
import struct

import numpy as np
import pytest

from gen_jax import core
from gen_jax.data import fashion_mnist

RNG = np.random.default_rng(0)
TRAIN, TEST = (RNG.integers(0, 256, (n, 28, 28), np.uint8) for n in (5020, 12))


def idx(a):
  return struct.pack(f'>HBB{a.ndim}i', 0, 8, a.ndim, *a.shape) + a.astype(np.uint8).tobytes()


def write(folder, train=TRAIN, test=TEST, gz=True):
  folder.mkdir(parents=True)
  for name, a in (('train-images-idx3-ubyte', train), ('train-labels-idx1-ubyte', np.arange(len(train)) % 10),
                  ('t10k-images-idx3-ubyte', test), ('t10k-labels-idx1-ubyte', np.arange(len(test)) % 10)):
    if gz:
      (folder / f'{name}.gz').write_bytes(gzip.compress(idx(a), 1))
    else:
      (folder / name).write_bytes(idx(a))
  return folder


@pytest.fixture(autouse=True)
def no_package(monkeypatch, tmp_path):
  monkeypatch.setattr(fashion_mnist, 'DEBIAN', tmp_path / 'debian')


@pytest.mark.parametrize('gz', [True, False])
def test_validation_is_the_end_of_the_training_set(make, tmp_path, gz):
  folder = str(write(tmp_path / 'mine', gz=gz))
  for split, x, labels in (('train', TRAIN[:20], np.arange(20) % 10), ('validation', TRAIN[20:], np.arange(20, 5020) % 10),
                           ('test', TEST, np.arange(12) % 10)):
    source = make('fashion_mnist', split, folder=folder)
    assert source.size == len(x) and source.spec[:3] == ((28, 28, 1), 10, True)
    assert (source.arrays['x'][..., 0] == x).all()
    assert (source.arrays['condition'] == labels).all()


def test_the_places_are_searched_in_order(make, tmp_path, build, monkeypatch):
  def only():
    return make('fashion_mnist', 'test').arrays['x'].max()
  with pytest.raises(core.InputError, match='python -m gen_jax.fetch fashion_mnist'):
    only()
  build('fashion_mnist', {'train': np.ones((20, 28, 28)), 'test': np.ones((3, 28, 28))}, (28, 28, 1), version='3.0.1')
  assert only() == 1
  with monkeypatch.context() as m:
    m.setattr(fashion_mnist, 'VALIDATION', 4)
    assert [make('fashion_mnist', split).size for split in ('train', 'validation', 'test')] == [16, 4, 3]
  write(tmp_path / 'debian', TRAIN, np.full_like(TEST, 2))
  assert only() == 2
  write(tmp_path / 'cache' / 'fashion_mnist', TRAIN, np.full_like(TEST, 3))
  assert only() == 3
  mine = write(tmp_path / 'mine', TRAIN, np.full_like(TEST, 4))
  assert make('fashion_mnist', 'test', folder=str(mine)).arrays['x'].max() == 4


def test_a_folder_that_lacks_a_file_is_refused(make, tmp_path):
  folder = write(tmp_path / 'mine')
  (folder / 't10k-labels-idx1-ubyte.gz').unlink()
  with pytest.raises(core.InputError, match='mine lacks t10k-images-idx3-ubyte or t10k-labels-idx1-ubyte'):
    make('fashion_mnist', 'test', folder=str(folder))


@pytest.mark.parametrize('damage', [
    lambda raw: raw[:-1],                             # cut short
    lambda raw: raw + b'\0',                          # too long
    lambda raw: raw[:7],                              # within the header
    lambda raw: raw[:3],
    lambda raw: b'',
    lambda raw: b'\0\0\x0d' + raw[3:],                # floats
    lambda raw: b'<html>' + raw,
])
def test_a_damaged_file_is_named(tmp_path, damage):
  raw = damage(idx(TEST))
  for path, content in ((tmp_path / 'a-idx3-ubyte', raw), (tmp_path / 'b-idx3-ubyte.gz', gzip.compress(raw))):
    path.write_bytes(content)
    with pytest.raises(core.InputError, match=f'{path.name} is'):
      fashion_mnist.read_idx(path)


def test_a_damaged_archive_is_named(tmp_path):
  path = tmp_path / 'x.gz'
  for raw in (gzip.compress(idx(TEST))[:-100], b'no gzip', b'\x1f\x8b\x08\0\0\0\0\0\0\3' + b'\xff' * 50):
    path.write_bytes(raw)
    with pytest.raises(core.InputError, match='x.gz is damaged'):
      fashion_mnist.read_idx(path)


def test_files_of_something_else_are_refused(make, tmp_path):
  folder = write(tmp_path / 'mine')
  (folder / 't10k-labels-idx1-ubyte.gz').write_bytes(gzip.compress(idx(np.arange(11) % 10)))
  with pytest.raises(core.InputError, match='is not Fashion-MNIST'):
    make('fashion_mnist', 'test', folder=str(folder))
  (folder / 't10k-labels-idx1-ubyte.gz').write_bytes(gzip.compress(idx(np.arange(12))))
  with pytest.raises(core.InputError, match='is not Fashion-MNIST.* up to 11'):
    make('fashion_mnist', 'test', folder=str(folder))
