import numpy as np
import pytest
from PIL import Image

from gen_jax import core
from gen_jax.data import folder as folders

SPLITS = ('train', 'validation', 'test')


def paint(path, grey=0, size=(8, 8)):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.new('L', size, grey).save(path)


@pytest.fixture
def folder(tmp_path):
  """120 images of as many greys in three classes."""
  for i in range(120):
    paint(tmp_path / 'in' / 'cab'[i % 3] / f'{i}.png', i)
  return tmp_path / 'in'


def greys(source):
  return source.take(np.arange(source.size))['x'][:, 0, 0, 0].tolist()


def test_splits_are_apart_and_whole(make, folder):
  found = [greys(make('folder', split, folder=str(folder), size=8)) for split in SPLITS]
  assert all(found) and sorted(sum(found, [])) == list(range(120))


def test_labels_are_the_sorted_sub_folders(make, folder):
  source = make('folder', folder=str(folder), size=8)
  assert source.spec[:3] == ((8, 8, 3), 3, True)
  assert [int(c) for c in source.arrays['condition']] == ['abc'.index('cab'[g % 3]) for g in greys(source)]


def test_adding_an_image_moves_no_other(make, folder):
  before = [set(greys(make('folder', split, folder=str(folder), size=8))) for split in SPLITS]
  for i in range(120, 240):
    paint(folder / 'cab'[i % 3] / f'{i}.png', i)
  after = [set(greys(make('folder', split, folder=str(folder), size=8))) for split in SPLITS]
  assert all(b <= a and a != b for b, a in zip(before, after))


def test_a_tenth_each():
  found = [folders.split_of(f'{i}.png') for i in range(20_000)]
  assert abs(found.count('validation') / 20_000 - .1) < .01 and abs(found.count('test') / 20_000 - .1) < .01


def test_resident_and_read_on_demand_are_the_same(make, folder):
  resident, lazy = (make('folder', folder=str(folder), size=8, resident_mb=mb) for mb in (1, 0))
  assert lazy.arrays is None and resident.checksum == lazy.checksum
  indices = np.array([3, 3, 0])
  for name, a in lazy.take(indices).items():
    assert (a == resident.arrays[name][indices]).all() and a.dtype == resident.arrays[name].dtype


def test_without_sub_folders_there_is_no_condition(make, tmp_path):
  for i, suffix in enumerate(['png', 'JPG', 'jpeg', 'bmp', 'webp', 'gif'] * 5):
    paint(tmp_path / 'in' / f'{i}.{suffix}', 128)
  paint(tmp_path / 'in' / '.hidden.png')
  (tmp_path / 'in' / 'notes.txt').write_text('not an image')
  sources = [make('folder', split, folder=str(tmp_path / 'in'), size=4, channels=1) for split in SPLITS]
  assert sum(s.size for s in sources) == 30
  assert sources[0].spec[:3] == ((4, 4, 1), 0, True) and set(sources[0].arrays) == {'x'}
  assert all(abs(s.arrays['x'].astype(int) - 128).max() < 3 for s in sources)


def test_the_checksum_is_of_names_and_bytes(make, folder):
  def checksum():
    return make('folder', folder=str(folder), size=8).checksum
  first = checksum()
  path = next(p for p in sorted(folder.rglob('*.png')) if folders.split_of(p.relative_to(folder).as_posix()) == 'train')
  raw = path.read_bytes()
  assert checksum() == first
  paint(path, 200)
  second = checksum()
  assert second != first
  path.write_bytes(raw)
  assert checksum() == first
  # Of the same rank among the sorted names.
  name = next(n for n in map((path.stem + '.{}.png').format, range(99)) if folders.split_of(f'{path.parent.name}/{n}') == 'train')
  path.rename(path.with_name(name))
  assert checksum() != first


def test_an_unreadable_image_is_named(make, folder):
  name = next(n for n in map('z{}.png'.format, range(99)) if folders.split_of(f'a/{n}') == 'train')
  (folder / 'a' / name).write_bytes(b'no image')
  with pytest.raises(core.InputError, match=f'{name} cannot be read as an image'):
    make('folder', folder=str(folder), size=8)
  lazy = make('folder', folder=str(folder), size=8, resident_mb=0)
  with pytest.raises(core.InputError, match=f'{name} cannot be read as an image'):
    lazy.take(np.arange(lazy.size))


@pytest.mark.parametrize('options, message', [
    (dict(folder=None), 'folder is not set'),
    (dict(folder='missing'), 'missing is not a folder'),
    (dict(folder='empty'), 'empty has no images'),
    (dict(folder='in', size=30), 'size=30 is not a positive multiple of 4'),
    (dict(folder='in', size=0), 'size=0 is not a positive multiple of 4'),
    (dict(folder='in', channels=2), 'channels=2: 1 or 3'),
    (dict(folder='mixed'), 'images beside its classes, such as b.png'),
])
def test_mistakes_are_refused(make, folder, monkeypatch, options, message):
  monkeypatch.chdir(folder.parent)
  (folder.parent / 'empty').mkdir()
  paint(folder.parent / 'mixed' / 'a' / 'a.png')
  paint(folder.parent / 'mixed' / 'b.png')
  with pytest.raises(core.InputError, match=message):
    make('folder', **options)
