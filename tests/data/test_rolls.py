"""Every piece is whole, in its split, in the keys that were asked for; how much padding is behind it changes no likelihood."""
import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy.io import savemat

from configs import rolls_gpt
from gen_jax import core, data, run
from gen_jax.data import rolls
from gen_jax.modalities import music, text

CELLS = tuple(rolls.CELLS.values())


def piece(length, pitch):
  made = np.zeros((length, 88), np.uint8)
  made[:, pitch - 21] = made[::2, pitch - 16] = 1
  return made


def cell(*pieces):
  made = np.empty((1, len(pieces)), object)
  made[0] = pieces
  return made


PIECES = {'train': [piece(n, 40 + n) for n in (2, 3, 4, 5)], 'validation': [piece(9, 60)], 'test': [piece(6, 22), piece(1, 50)]}


@pytest.fixture
def path(tmp_path):
  savemat(tmp_path / 'x.mat', {rolls.CELLS[split]: cell(*pieces) for split, pieces in PIECES.items()})
  return str(tmp_path / 'x.mat')


def make(split='train', **options):
  return rolls.make(ConfigDict({**rolls.DEFAULTS, **data.DEFAULTS, **options}), split)


def pieces_of(source):
  """The rolls of sequences, as [(frames, lowest key)]."""
  found = []
  for x in source.take(np.arange(source.size))['x']:
    assert x.dtype == np.uint16 and x[0] == text.END and (x[np.flatnonzero(x)[-1]] == text.END)
    for part in np.split(x, np.flatnonzero(x == text.END))[1:-1]:
      roll = music.to_roll(part)
      assert (roll == piece(len(roll), 21 + roll[0].argmax())).all()
      found.append((len(roll), int(roll[0].argmax()) + 21))
  return sorted(found)


def test_splits_are_those_of_the_file(path):
  for split, pieces in PIECES.items():
    made = make(split, path=path)
    assert made.spec == data.Spec((1 + 9 + 9 + 5 + 1,), bounded=False, modality='music', tokenizer='roll')   # the longest of all three
    assert pieces_of(made) == sorted((len(p), 21 + int(p[0].argmax())) for p in pieces)
    assert split == 'train' or made.size == len(pieces)
  assert make(path=path).size < 4   # several a sequence


def test_the_training_split_is_transposed(path):
  made = make(path=path, transpose=2)
  assert pieces_of(made) == sorted((n, 40 + n + by) for n in (2, 3, 4, 5) for by in range(-2, 3))
  assert pieces_of(make('test', path=path, transpose=2)) == pieces_of(make('test', path=path))
  assert made.checksum != make(path=path).checksum


def test_padding_does_not_change_the_score(path):
  c = rolls_gpt.get_config('smoke')
  c.data.path, c.mesh, c.network.layers, x = path, 'data=1', 1, []
  for length in (0, 32):
    c.data.length = length
    source = data.make(c, 'test')
    x.append(source.take(np.arange(2))['x'].astype(np.int32))
    assert x[-1].shape == (2, length or 25)
  game, rng = run.build(c, source.spec), np.random.default_rng(0)
  state = jax.tree.map(lambda a: rng.normal(0, .5, a.shape).astype(a.dtype), run.abstract(game).replace(opt_state={}))
  found = jax.jit(lambda state, x: [game.family.score(state, {'x': x}, None) for x in x])(state, x)
  told = [1 + 6 + 6 + 3, 1 + 1 + 2]   # an end, frames, pitches
  for one in found:
    np.testing.assert_array_equal(one['tokens'], told)
  np.testing.assert_allclose(found[0]['log_likelihood'], found[1]['log_likelihood'], rtol=1e-5)


@pytest.mark.parametrize('options, said', [
    ({}, 'data.path is missing'), (dict(path='nowhere.mat'), 'nowhere.mat can not be read: No such'), (dict(path='no.mat'), 'as a .mat file'),
    (dict(path='cut.mat'), 'as a .mat file'), (dict(path='x.mat', length=24), 'the longest piece has 25 tokens'),
    (dict(path='x.mat', transpose=-1), 'at least 0'), (dict(path='few.mat'), 'few.mat has no validdata'),
    (dict(path='wide.mat'), r'piece 2 of testdata is uint8 \[3, 87\], not \[frames, 88\]'),
    (dict(path='loud.mat'), 'piece 1 of traindata is float64')])
def test_what_is_refused(options, said, path, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'no.mat').write_text('a text')
  (tmp_path / 'cut.mat').write_bytes((tmp_path / 'x.mat').read_bytes()[:400])
  fine = cell(piece(3, 60))
  savemat('few.mat', {'traindata': fine})
  savemat('wide.mat', {'traindata': fine, 'validdata': fine, 'testdata': cell(piece(3, 60), piece(3, 60)[:, 1:])})
  savemat('loud.mat', {'traindata': cell(piece(3, 60) * .5), 'validdata': fine, 'testdata': fine})
  with pytest.raises(core.InputError, match=said) as raised:
    make(**options)
  assert '\n' not in str(raised.value)
