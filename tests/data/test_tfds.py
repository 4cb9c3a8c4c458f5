import numpy as np
import pytest

from gen_jax import core
from gen_jax.data import tfds

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (120, 8, 8), np.uint8)


def held(source):
  """The images of a source, as a set."""
  return {x.tobytes() for x in source.take(np.arange(source.size))['x']}


@pytest.mark.parametrize('own, sizes', [
    (('train', 'validation', 'test'), (80, 20, 20)),
    (('train', 'validation'), (72, 20, 8)),
    (('train', 'test'), (72, 8, 20)),
    (('train',), (64, 8, 8)),
])
def test_what_a_set_lacks_is_cut_from_its_training_set(make, build, own, sizes):
  parts = {'train': X[:80], 'validation': X[80:100], 'test': X[100:]}
  build('some_set', {s: parts[s] for s in own})
  sources = [make('tfds', split, dataset='some_set') for split in ('train', 'validation', 'test')]
  assert tuple(s.size for s in sources) == sizes
  assert len(set.union(*map(held, sources))) == sum(sizes)   # apart, and nothing left out
  assert {s.spec[:3] for s in sources} == {((8, 8, 1), 3, True)}


def test_resident_and_read_on_demand_are_the_same(make, build):
  build('some_set', {'train': X})
  resident, lazy = (make('tfds', dataset='some_set', resident_mb=mb) for mb in (1, 0))
  assert lazy.arrays is None and resident.checksum == lazy.checksum
  indices = np.array([5, 0, 5, 71])
  for name, a in lazy.take(indices).items():
    assert (a == resident.arrays[name][indices]).all() and a.dtype == resident.arrays[name].dtype
  assert set(held(resident)) <= {x.tobytes() for x in X}


def test_colour_without_labels(make, build):
  x = RNG.integers(0, 256, (20, 8, 4, 3), np.uint8)
  build('some_set', {'train': x}, (8, 4, 3), label=None)
  source = make('tfds', dataset='some_set')
  assert source.spec[:3] == ((8, 4, 3), 0, True) and set(source.arrays) == {'x'}
  assert held(source) <= {a.tobytes() for a in x}


def test_sizes_that_vary_need_a_size(make, build):
  build('some_set', {'train': [np.full((4 + i, 9), 10 * i) for i in range(20)]}, (None, None, 1))
  with pytest.raises(core.InputError, match='vary in size: set config.data.size'):
    make('tfds', dataset='some_set')
  source = make('tfds', dataset='some_set', size=4)
  assert source.arrays['x'].shape == (16, 4, 4, 1)
  assert all(len(np.unique(x)) == 1 for x in source.arrays['x'])   # one grey each, before and after
  with pytest.raises(core.InputError, match='size=6 is not a positive multiple of 4'):
    make('tfds', dataset='some_set', size=6)


def test_other_channels_are_refused(make, build):
  build('some_set', {'train': RNG.integers(0, 256, (20, 8, 8, 4), np.uint8)}, (8, 8, 4))
  with pytest.raises(core.InputError, match='4 channels of uint8'):
    make('tfds', dataset='some_set')


def test_an_image_of_another_size_is_refused(make, build):
  build('some_set', {'train': [*X[:19], np.zeros((8, 9))]})
  with pytest.raises(core.InputError, match=r'of shape \(8, 9, 1\) where \(8, 8, 1\) was promised'):
    for split in ('train', 'validation', 'test'):   # TFDS shuffles
      make('tfds', split, dataset='some_set')


def test_a_split_without_labels_is_refused(make, build):
  build('some_set', {'train': X[:20], 'test': X[20:30]}, label=lambda split, i: i % 3 if split == 'train' else -1)
  assert make('tfds', dataset='some_set').size == 18
  with pytest.raises(core.InputError, match='test split of some_set has no labels'):
    make('tfds', 'test', dataset='some_set')


def test_a_set_in_another_format_says_what_to_do(make, build, tmp_path):
  build('some_set', {'train': X[:20]})
  path = tmp_path / 'tfds' / 'some_set' / '1.0.0' / 'dataset_info.json'
  path.write_text(path.read_text().replace('array_record', 'tfrecord'))
  with pytest.raises(core.InputError, match='stored as tfrecord.*tfds build some_set --file_format=array_record'):
    make('tfds', dataset='some_set')


def test_a_set_that_is_not_prepared_says_what_to_do(make):
  with pytest.raises(core.InputError, match='cifar10 is not prepared in .*pip install tensorflow.*tfds build cifar10 --file_format'):
    make('tfds', dataset='cifar10')
  assert tfds.find('cifar10') is None


def test_a_set_of_no_images_is_refused_before_it_is_downloaded(make):
  with pytest.raises(core.InputError, match='ag_news_subset is not a set of images'):
    make('tfds', dataset='ag_news_subset')


def test_names_that_do_not_exist_are_refused(make):
  with pytest.raises(core.InputError, match='dataset is not set'):
    make('tfds')
  for name in ('no_such_set', 'mnist/no_such_config', 'mnist:9.9.9', 'mnist@?'):
    with pytest.raises(core.InputError, match='TFDS has no') as e:
      make('tfds', dataset=name)
    assert '\n' not in str(e.value)


def test_with_tensorflow_it_is_prepared_at_once(make, build, monkeypatch):
  monkeypatch.setattr(tfds.importlib.util, 'find_spec', lambda name: name == 'tensorflow')
  build('set_to_prepare', {'train': X[:20]}, register=True, prepare=False)
  assert make('tfds', dataset='set_to_prepare').size == 16
  build('set_out_of_reach', {}, register=True, prepare=False, fails=True)
  with pytest.raises(core.InputError, match='cannot prepare set_out_of_reach: ConnectionError: no route$'):
    make('tfds', dataset='set_out_of_reach')
