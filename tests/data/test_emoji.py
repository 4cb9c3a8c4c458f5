import json

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from gen_jax import config as configs
from gen_jax import core, data
from gen_jax.data import emoji
from gen_jax.modalities import text

NAMES = {'1F600': 'GRINNING FACE', '1F385': 'FATHER CHRISTMAS', '2764-FE0F': 'Red Heart', '1F1EA-1F1EC': 'Egypt Flag',
         **{f'1F4{i:02X}': f'THING {i}' for i in range(150)}}


@pytest.fixture
def folder(tmp_path):
  """A list of emoji and both vendors' drawings: each of one grey, half transparent."""
  entries = []
  for i, (code, name) in enumerate(NAMES.items()):
    drawn = {'has_img_google': True, 'has_img_twitter': code != '1F1EA-1F1EC'}
    entries.append({'name': name, 'unified': code, 'image': f'{code.lower()}.png', 'category': emoji.CATEGORIES[i % 3], **drawn})
  entries[1]['skin_variations'] = {tone: {'unified': f'1F385-{tone}', 'image': f'1f385-{tone.lower()}.png', 'has_img_google': True,
                                          'has_img_twitter': True} for tone in emoji.TONES}
  for k, vendor in enumerate(emoji.VENDORS):
    (tmp_path / vendor).mkdir()
    for i, e in enumerate([*entries, *entries[1]['skin_variations'].values()]):
      pixels = np.full((64, 64, 4), i + k, np.uint8)
      pixels[:, :32, 3], pixels[:, 32:, 3] = 255, 0
      Image.fromarray(pixels).save(tmp_path / vendor / e['image'])
  (tmp_path / 'emoji.json').write_text(json.dumps(entries))
  return tmp_path


def sources(make, folder, **options):
  return {split: make('emoji', split, folder=str(folder), **options) for split in ('train', 'validation', 'test')}


def test_drawings_are_on_white_and_of_the_size_asked_for(make, folder):
  for size in (64, 16):
    source = make('emoji', folder=str(folder), size=size)
    x = source.arrays['x']
    assert source.spec.shape == x.shape[1:] == (size, size, 3) and x.dtype == np.uint8 and source.spec.classes == 9
    assert (x[:, :, size // 2:] == 255).all() and (x[:, :, :size // 2].std((1, 2, 3)) == 0).all()


def test_an_example_is_the_same_character_whoever_drew_it(make, folder):
  for a, b in zip(sources(make, folder).values(), sources(make, folder, vendor='twitter').values()):
    np.testing.assert_array_equal(b.arrays['x'][:, 0, 0, 0].astype(int) - a.arrays['x'][:, 0, 0, 0], 1)
    np.testing.assert_array_equal(a.arrays['condition'], b.arrays['condition'])


def test_both_of_a_pair_move_alike():
  options = ConfigDict({'data': {**data.DEFAULTS, 'flip': True, 'crop': 3, 'shift': 2}})
  raw = {'x': np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.uint8)}
  moved = data.prepare(options, {**raw, 'condition': raw['x']}, core.per_example(jax.random.key(0), np.arange(8)))
  np.testing.assert_array_equal(moved['condition'], moved['x'])
  assert moved['condition'].dtype == np.float32 and (np.abs(moved['x'] - data.normalise(raw)['x']).max((1, 2, 3)) > 0).sum() > 4


def test_splits_hold_every_character_once_with_its_skin_tones(make, folder):
  config = configs.base('emoji', 'diffusion', 'mlp', model={}).data
  config.folder = str(folder)
  every = {split: [caption for *_, caption in emoji._read(config, split)[1]] for split in ('train', 'validation', 'test')}
  assert all(every.values()) and sum(map(len, every.values())) == len(NAMES) - 1 + 5   # Twitter has no Egypt here
  tones = {split for split, captions in every.items() for caption in captions if 'father christmas' in caption}
  assert len(tones) == 1 and 'father christmas, medium-light skin tone' in every[tones.pop()]
  assert [len(c) for c in every.values()] == [s.size for s in sources(make, folder).values()]


def test_captions_are_words_of_the_training_vocabulary(make, folder):
  train, validation, _ = sources(make, folder, captions=True).values()
  assert train.spec.words == validation.spec.words and train.spec.classes == 0 and 'thing' in train.spec.words
  assert train.arrays['condition'].shape == (train.size, emoji.LENGTH)
  assert (train.arrays['condition'] != text.UNKNOWN).all() and (validation.arrays['condition'] == text.UNKNOWN).any()


def grey(x):
  return x[:, 0, 0, 0].astype(int)


def test_pairs_are_of_one_emoji_and_in_training_of_two_where_they_are_to_be_unpaired(make, folder):
  """Twitter's drawings here are lighter than Google's by one level, and every emoji has a level of its own."""
  pairs, unpaired = sources(make, folder, other='twitter'), sources(make, folder, other='twitter', unpaired=True)
  for split, source in unpaired.items():
    (x, other), (_, true) = ([s.arrays[name] for name in ('x', 'condition')] for s in (source, pairs[split]))
    assert source.spec.paired and not source.spec.classes and other.dtype == np.uint8
    np.testing.assert_array_equal(grey(true) - grey(x), 1)
    if split == 'train':
      assert (grey(other) != grey(x) + 1).all() and sorted(grey(other)) == sorted(grey(true))
    else:
      np.testing.assert_array_equal(other, true)
  again = make('emoji', folder=str(folder), other='twitter', unpaired=True)
  np.testing.assert_array_equal(unpaired['train'].arrays['condition'], again.arrays['condition'])


@pytest.mark.parametrize('options, said', [(dict(vendor='apple'), 'google or twitter'), (dict(size=24), 'there are 8, 16, 32, 64'),
                                           (dict(folder='/nowhere'), 'lacks emoji.json'), (dict(other='apple'), 'other=apple: google or twitter'),
                                           (dict(other='google'), 'vendor that config.data.vendor is not'),
                                           (dict(unpaired=True), 'unpaired is of both')], ids=str)
def test_what_is_refused(make, folder, options, said):
  with pytest.raises(core.InputError, match=said):
    make('emoji', **{'folder': str(folder), **options})


def test_damage_is_named(make, folder):
  for path in (folder / 'google').iterdir():
    path.write_bytes(b'no picture')
  with pytest.raises(core.InputError, match='.png cannot be read as an image'):
    make('emoji', folder=str(folder))
  with pytest.raises(core.InputError, match='fetch emoji'):
    make('emoji', folder=None)
  (folder / 'emoji.json').write_text('[{"name": 3}]')
  with pytest.raises(core.InputError, match='emoji.json is damaged'):
    make('emoji', folder=str(folder))
