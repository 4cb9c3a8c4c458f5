"""Windows tell every token once, splits share no tune, and what is fetched is what the corpus holds of four parts."""
import hashlib
import json
import types

import numpy as np
import pytest
from ml_collections import ConfigDict

from gen_jax import core, data, fetch
from gen_jax.data import chorales
from gen_jax.modalities import music, text

NAMES = [f'bach/bwv{i}' for i in range(60)]


def grid(i):
  """A piece of its own tune, some twice as long as others."""
  rng = np.random.default_rng(i)
  return (music.PITCH + rng.integers(0, 12, (20 + 20 * (i % 2), 4)) + np.array([72, 60, 52, 40])[None]).tolist()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path))
  chorales.path().parent.mkdir()
  chorales.path().write_text(json.dumps({name: grid(i) for i, name in enumerate(NAMES)}))
  return tmp_path


def make(split='train', **options):
  return chorales.make(ConfigDict({**chorales.DEFAULTS, **data.DEFAULTS, 'length': 65, **options}), split)


def starts(source):
  """The soprano's first three intervals of the pieces that begin in a window."""
  x = source.take(np.arange(source.size))['x'].astype(int)
  return [tuple(np.diff(one[1:17:4])) for one in x if one[0] == text.END]


def test_held_out_windows_tell_every_token_once():
  pieces = {split: {tuple(np.diff([step[0] for step in grid(i)[:4]])): grid(i) for i in range(60)
                    if chorales.split_of(music.from_grid(np.array(grid(i)))) == split} for split in data.SPLITS}
  assert sum(map(len, pieces.values())) == 60 and all(pieces.values()) and len(pieces['train']) > 40
  for split in ('validation', 'test'):
    made = make(split)
    assert made.spec == data.Spec((65,), bounded=False, modality='music', tokenizer='voices') and sorted(starts(made)) == sorted(pieces[split])
    stream = []
    for x in made.take(np.arange(made.size))['x'].astype(int):
      assert x[0] == text.END or x[0] == stream[-1]
      stream += x[int(x[0] != text.END):].tolist()
    told = [t for t in stream if t]
    at = [i for i, t in enumerate(told) if t == text.END][::2] + [len(told)]
    for a, b in zip(at, at[1:]):
      np.testing.assert_array_equal(told[a:b], [text.END, *np.ravel(pieces[split][tuple(np.diff(told[a + 1:a + 17:4]))]), text.END])


def test_passing_and_repeated_notes_are_of_one_tune():
  def piece(*soprano):   # a quarter note each, of notes as long
    grid = np.full((4 * len(soprano), 4), music.HOLD)
    for i, beat in enumerate(soprano):
      grid[4 * i:4 * i + 4:4 // len(beat), 0] = music.PITCH + np.array(beat)
    grid[0, 1:] = music.PITCH + 50
    return chorales.split_of(music.from_grid(grid))
  rng = np.random.default_rng(0)
  plain = [[(70 + int(step),) for step in np.cumsum(rng.choice([-2, -1, 1, 2], 12))] for _ in range(30)]
  found = [piece(*one) for one in plain]
  assert len(set(found)) == 3
  assert found == [piece(one[0], one[0], (*one[1], one[1][0] + 1), *one[2:9], (60,)) for one in plain]


def test_training_windows_begin_every_stride_and_reach_the_end():
  made = make(stride=2)
  x = made.take(np.arange(made.size))['x'].astype(int)
  assert ((x == text.END).sum(1) <= 2).all() and (x[:, 0] >= text.END).all()
  first, = np.flatnonzero(x[:, 0] == text.END)[:1]
  np.testing.assert_array_equal(x[first, 32:], x[first + 1, :33])   # half a bar of 32 tokens later
  assert (x == text.END).sum() == 2 * (x[:, 0] == text.END).sum()


def test_every_key_of_a_piece_is_in_one_split():
  plain = {split: set(starts(make(split))) for split in data.SPLITS}
  assert not plain['train'] & plain['test'] and not plain['train'] & plain['validation'] and not plain['validation'] & plain['test']
  moved = make(transpose=3)
  assert moved.size == 7 * make().size and set(starts(moved)) == plain['train']
  assert make('test', transpose=3).size == make('test').size


@pytest.mark.parametrize('options, said', [
    (dict(length=64), 'data.length=64: 1 and a multiple of 4'), (dict(stride=0), 'data.stride=0 must be at least 1'),
    (dict(transpose=13), 'data.transpose=13 at most 12')])
def test_what_is_refused(options, said):
  with pytest.raises(core.InputError, match=said):
    make(**options)


@pytest.mark.parametrize('content', ['{"a": [[1, 2', '{"a": [1, 2, 3]}', '[3]', '{"a": "b"}'])
def test_what_is_damaged_is_to_be_fetched_again(content):
  chorales.path().write_text(content)
  with pytest.raises(core.InputError, match='is damaged .*gen_jax.fetch chorales'):
    make()
  chorales.path().unlink()
  with pytest.raises(core.InputError, match='the chorales are not here: `python -m gen_jax.fetch chorales`'):
    make()


def test_they_are_fetched_from_the_corpus(folder, monkeypatch, capsys):
  library = music.music21()

  def parse(name, forceSource):
    parts = []
    for i in range(4 if name != 'bach/wind' else 5):
      part = library.stream.Part()
      part.insert(i / 4, library.note.Note(60 - i, quarterLength=.5))
      parts.append(part)
    return library.stream.Score(parts)
  corpus = types.SimpleNamespace(chorales=types.SimpleNamespace(Iterator=lambda returnType: ['bach/b', 'bach/a', 'bach/wind', 'bach/a']), parse=parse)
  monkeypatch.setattr(music, 'music21', lambda: types.SimpleNamespace(corpus=corpus))
  h, r, p = music.HOLD, music.REST, music.PITCH
  wanted = [[p + 60, r, r, r], [h, p + 59, r, r], [r, h, p + 58, r], [r, r, h, p + 57], [r, r, r, h]]
  as_file = json.dumps({name: wanted for name in ('bach/a', 'bach/b')}, separators=(',', ':')) + '\n'
  monkeypatch.setattr(fetch, 'CHORALES', hashlib.sha256(as_file.encode()).hexdigest())
  assert fetch.main(['chorales']) == 0   # what is there is another
  assert 'is not what it should be (sha256)' in (said := capsys.readouterr().out) and 'fetched, sha256 verified' in said
  assert chorales.path().read_text() == as_file
  monkeypatch.setattr(fetch, 'CHORALES', '0' * 64)
  assert fetch.main(['chorales']) == 2
