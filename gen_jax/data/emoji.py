"""Emoji (Unicode 16): 3,781 drawings of 64x64 pixels in colour by each of two vendors, Google (Noto Emoji) and Twitter (Twemoji), with captions.

Both have the same ones in the same order, that of their code points. Half of them are skin tones of others. Variants of one emoji are in one
split, a hash of what they are variants of: about 5 % of these for validation and 10 % for testing.
"""
import json
import pathlib
import re
import unicodedata

import numpy as np
from ml_collections.config_dict import placeholder

from gen_jax import core, data
from gen_jax.modalities import image, text

DEFAULTS = dict(
    folder=placeholder(str),   # of emoji.json, google/*.png and twitter/*.png
    vendor='google',           # or twitter
    size=64,                   # pixels: 8, 16, 32 or 64; smaller ones are means over squares
    captions=False,            # the condition is the caption, not the category
    other='',                  # a vendor: the condition is its drawing of the same emoji
    unpaired=False,            # in training it is its drawing of another one
)
VENDORS = ('google', 'twitter')
SIZES = (8, 16, 32, 64)
# Unicode's order. Its tenth, Component, has five patches of skin that are no emoji by themselves.
CATEGORIES = ('Smileys & Emotion', 'People & Body', 'Animals & Nature', 'Food & Drink', 'Travel & Places', 'Activities', 'Objects', 'Symbols',
              'Flags')
TONES = {'1F3FB': 'light', '1F3FC': 'medium-light', '1F3FD': 'medium', '1F3FE': 'medium-dark', '1F3FF': 'dark'}

LENGTH = 16   # words of a caption at most


def make(config, split):
  """uint8 [n, size, size, 3], what is transparent white, and as labels [n] the places of their categories in CATEGORIES, or with config.captions the
  words [n, LENGTH] of their captions by the vocabulary of the training split, or with config.other that vendor's drawings, as x.

  They are read from config.folder, else from what was fetched. Raises InputError where they are not there or damaged, for another vendor or size, and
  for options that do not go together.
  """
  for field, known in dict(vendor=VENDORS, other=('', *VENDORS)).items():
    if config[field] not in known:
      raise core.InputError(f'config.data.{field}={config[field]}: {" or ".join(VENDORS)}')
  if config.other == config.vendor or config.other and config.captions or config.unpaired and not config.other:
    raise core.InputError('config.data.other is the vendor that config.data.vendor is not, without captions; unpaired is of both')
  core.choose('data.size', config.size, SIZES)
  folder, found = _read(config, split)
  names = [name for name, _, _ in found]
  x = _drawn(folder / config.vendor, names, config.size)
  if config.other:
    others = _drawn(folder / config.other, names, config.size)
    if config.unpaired and split == 'train':
      # Along one cycle through all of them, so that none stays; held-out ones stay pairs, to be scored.
      cycle = np.random.default_rng(0).permutation(len(x))
      others[cycle] = others[np.roll(cycle, 1)]
    return data.from_arrays(x, others, data.Spec(x.shape[1:], paired=True))
  if config.captions:
    known = text.vocabulary([caption for _, _, caption in _read(config, 'train')[1]])
    spec = data.Spec(x.shape[1:], words=known, length=LENGTH)
    return data.from_arrays(x, text.encode([caption for *_, caption in found], known, LENGTH), spec)
  return data.from_arrays(x, [label for _, label, _ in found], data.Spec(x.shape[1:], classes=len(CATEGORIES), names=CATEGORIES))


def _drawn(folder, names, size):
  """uint8 [n, size, size, 3]"""
  square = 64 // size
  x = np.empty((len(names), size, size, 3), np.uint8)
  for i, name in enumerate(names):
    path = folder / name
    try:
      pixels = image.decode(path.read_bytes(), 3, name=path)
    except OSError as e:
      raise core.InputError(f'{path} cannot be read: {e.strerror}') from None
    if pixels.shape != (64, 64, 3):
      raise core.InputError(f'{path} is not of 64x64 pixels')
    sums = pixels.reshape(size, square, size, square, 3).sum((1, 3), dtype=np.int32)
    x[i] = (sums + square**2 // 2) // square**2   # integers: the same bits everywhere
  return x


def _read(config, split):
  """(the folder, [(file name, label, caption)] of the split, in the order of make's). Captions are Unicode's names as lower-case ASCII, then the skin
  tones; not all are distinct. Raises InputError where emoji.json is not there or damaged."""
  folder = pathlib.Path(config.folder) if config.folder else data.directory() / 'emoji'
  path = folder / 'emoji.json'
  if not path.is_file():
    raise core.InputError(f'{folder} lacks emoji.json' if config.folder else
                          'the emoji are not here: `python -m gen_jax.fetch emoji`, or name their folder in config.data.folder')
  found = []
  try:
    for emoji in json.loads(path.read_bytes()):
      # Man, woman and person at the same, and both directions of walking, differ as little as skin tones; Twitter's families not at all.
      base = re.sub('-200D-(2640|2642|27A1)-FE0F', '', emoji['unified'])
      base = re.sub('1F46[67]', '1F9D2', re.sub('1F46[89]', '1F9D1', base))
      if emoji['category'] not in CATEGORIES or split != data.split_of(base, .05, .1):
        continue
      name = emoji['name'].lower().replace('&', 'and').replace(':', ',')
      name = unicodedata.normalize('NFKD', name).encode('ascii', 'ignore').decode()
      for tones, variant in {'': emoji, **emoji.get('skin_variations', {})}.items():
        if all(variant[f'has_img_{vendor}'] for vendor in VENDORS):
          caption = name + ', ' * bool(tones) + ' and '.join(f'{TONES[tone]} skin tone' for tone in tones.split('-') if tone)
          points = [int(point, 16) for point in variant['unified'].split('-')]
          found.append((points, variant['image'], CATEGORIES.index(emoji['category']), caption))
  except (ValueError, KeyError, TypeError, AttributeError) as e:
    raise core.InputError(f'{path} is damaged, or not of emoji-datasource: {type(e).__name__} {e}') from None
  return folder, [row for _, *row in sorted(found)]
