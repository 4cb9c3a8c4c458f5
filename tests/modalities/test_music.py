"""What is encoded is read again, whatever a model writes is some music, and files say what the tokens say."""
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from gen_jax import core
from gen_jax.modalities import image, music, text

ENCODINGS = pytest.mark.parametrize('tokenizer', music.STEPS)
sequences = lambda tokenizer: st.lists(st.integers(0, music.size(tokenizer) - 1), max_size=60)
S, A, T, B = (music.PITCH + pitch for pitch in (72, 67, 64, 48))
H, R = music.HOLD, music.REST
# Two chords, a step of which is held; then the alto alone, whose neighbours rest.
SUNG = [text.END, S, A, T, B, H, H, H, H, S + 2, H, T, B + 2, R, A, R, R]
NOTES = [(0, 0, 2, 72), (0, 2, 3, 74), (1, 0, 3, 67), (1, 3, 4, 67), (2, 0, 2, 64), (2, 2, 3, 64), (3, 0, 2, 48), (3, 2, 3, 50)]


def roll(*frames):
  made = np.zeros((len(frames), 88), bool)
  for row, pitches in zip(made, frames):
    row[np.array(pitches, int) - music.LOWEST] = True
  return made


def test_voices():
  assert music.notes(SUNG, 'voices') == NOTES
  np.testing.assert_array_equal(music.tokens(NOTES, 'voices'), SUNG)
  assert music.notes([*SUNG, T, B, text.END, S, A, T, B, 0], 'voices') == NOTES   # neither half a step nor another piece
  assert music.notes([B, *SUNG[1:]], 'voices') == NOTES                           # a window that begins behind a bass
  assert music.notes([text.END, H, R, H, S], 'voices') == [(3, 0, 1, 72)]


def test_rolls():
  x = music.from_roll(roll([60, 64], [], [60, 108]))
  np.testing.assert_array_equal(x, [text.END, *(music.KEY + p - 21 for p in (60, 64)), 3, 3, *(music.KEY + p - 21 for p in (60, 108)), 3])
  assert music.notes(x, 'roll') == [(0, 0, 1, 60), (0, 0, 1, 64), (0, 2, 3, 60), (0, 2, 3, 108)]
  shuffled = [*x[:1], *x[[2, 1, 1]], *x[3:], x[1]]   # in another order, one twice, and a frame that has no end
  np.testing.assert_array_equal(music.from_roll(music.to_roll(shuffled)), x)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sets(st.integers(21, 108), max_size=5), max_size=8).map(lambda frames: roll(*map(list, frames))))
def test_a_roll_has_one_sequence_and_a_sequence_one_roll(made):
  x = music.from_roll(made)
  np.testing.assert_array_equal(music.to_roll(x), made)
  assert len(x) == 1 + made.sum() + len(made) and (x[1:] > text.END).all() and x.max() < music.size('roll')
  for frame in np.split(x[1:], np.flatnonzero(x[1:] == music.NEXT) + 1):
    assert (np.diff(frame[:-1]) > 0).all()


@ENCODINGS
def test_any_sequence_is_some_music(tokenizer):
  @settings(max_examples=60, deadline=None)
  @given(sequences(tokenizer))
  def check(x):
    played = music.notes(x, tokenizer)
    assert all(0 <= start < stop and 0 <= pitch < 128 for _, start, stop, pitch in played)
    assert music.notes(music.tokens(played, tokenizer), tokenizer) == played
  check()


@ENCODINGS
@pytest.mark.parametrize('by', [-5, 0, 7])
def test_a_transposed_piece_has_the_same_intervals(tokenizer, by):
  x = np.append(music.tokens(NOTES, tokenizer), text.END)
  higher = music.notes(music.moved(x, by, tokenizer), tokenizer)
  assert [(*note[:3], note[3] - by) for note in higher] == music.notes(x, tokenizer)


def test_what_leaves_the_keyboard_is_not_moved():
  x = music.from_roll(roll([22], [107]))
  assert music.moved(x, -1, 'roll') is not None and music.moved(x, -2, 'roll') is None and music.moved(x, 2, 'roll') is None


@ENCODINGS
@pytest.mark.parametrize('suffix', ['.mid', '.musicxml'])
def test_files_are_read_again(tokenizer, suffix, tmp_path):
  rng = np.random.default_rng(0)
  for i in range(2):
    # Over barlines, and longer than a bar.
    grid = rng.choice([H, H, H, H, R, S, A + 1, T, music.PITCH + 3], (24, 4))
    x = music.from_grid(grid) if tokenizer == 'voices' else music.from_roll(rng.random((9, 88)) < .1)
    music.save(tmp_path / f'{i}{suffix}', [x], 1, tokenizer)
    assert music.notes(music.prompt(tmp_path / f'{i}{suffix}', tokenizer), tokenizer) == music.notes(x, tokenizer)
  assert len(list(tmp_path.iterdir())) == 2


def test_pieces_follow_one_another_with_a_bar_between(tmp_path):
  music.save(tmp_path / 'x.mid', [SUNG, [text.END], SUNG], 1, 'voices')
  later = [(voice, start + 48, stop + 48, pitch) for voice, start, stop, pitch in NOTES]   # two bars for the first, one of nothing
  assert music.notes(music.prompt(tmp_path / 'x.mid', 'voices'), 'voices') == sorted(NOTES + later)


def test_a_score_of_ties_and_chords():
  library = music.music21()
  part, low = library.stream.Part(), library.stream.Part()
  for start, length, pitches, tie in [(0, 1, [60], 'start'), (1, .5, [60], 'stop'), (1.5, .125, [62], None), (1.625, .375, [64], None)]:
    note = library.note.Note(pitches[0], quarterLength=length)
    note.tie = tie and library.tie.Tie(tie)
    part.insert(start, note)
  low.insert(0, library.chord.Chord([48, 52], quarterLength=2.01))   # a little late
  score = library.stream.Score([part, low])
  assert music.score_notes(score, 'voices')[:3] == [(0, 0, 6, 60), (0, 6, 7, 62), (0, 7, 8, 64)]   # what begins within a step sounds in the next
  assert music.score_notes(score, 'roll') == [(0, 0, 2, 48), (0, 0, 2, 52), (0, 0, 2, 60)]
  with pytest.raises(core.InputError, match='voice 2 has two notes at once, in quarter note 1'):
    music.tokens(music.score_notes(score, 'voices'), 'voices')


def test_sound():
  rate, sound = wavfile.read(io.BytesIO(music.wav([(0, 0, 4, 69)], 1)))
  assert rate == 22050 and sound.dtype == np.int16 and len(sound) == rate + int(4 * 60 / music.TEMPO * rate)
  heard = sound[:2 * rate].astype(float)
  assert abs(np.abs(np.fft.rfft(heard)).argmax() / 2 - 440) <= 1 and 29000 < np.abs(sound).max() < 30000
  assert np.abs(heard[:rate // 2]).max() > 3 * np.abs(heard[-rate // 2:]).max() and not sound[-rate // 2:].any()
  assert not wavfile.read(io.BytesIO(music.wav([], 1)))[1].any()


def test_a_picture(tmp_path):
  pixels = music.drawn([SUNG, [text.END]], 'voices')
  assert pixels.shape == (2, (74 + 2 - 46 + 1) * 5, 4 * 8, 3)
  soprano = (np.abs(pixels[0] - (2 * np.array(music.COLOURS[0], np.float32) - 1)) < 1e-6).all(-1)
  assert soprano[20:25, :15].all() and soprano[10:15, 16:23].all() and soprano.sum() == 5 * (15 + 7)
  assert set(np.unique(pixels[1, 1:])) == {np.float32(1), np.float32(2 * np.float32(.85) - 1)}   # nothing but the lines
  music.save(tmp_path / 'x.png', [SUNG, SUNG], 10, 'voices')
  assert image.load(tmp_path / 'x.png').shape == (2 * 155 + image.GAP, 32, 3)


@pytest.mark.parametrize('name, content, said', [
    ('x.txt', b'', 'is not a file of music'), ('x.mid', None, 'can not be read: No such file'), ('x.mid', b'MThd', 'can not be read as music'),
    ('x.musicxml', b'<score', 'can not be read as music'), ('x.mxl', b'PK', 'can not be read as music'), ('x.xml', b'', 'can not be read as music')])
def test_what_is_no_music(name, content, said, tmp_path):
  if content is not None:
    (tmp_path / name).write_bytes(content)
  with pytest.raises(core.InputError, match=said) as raised:
    music.prompt(tmp_path / name, 'voices')
  assert '\n' not in str(raised.value)


def test_what_the_encoding_lacks(tmp_path):
  music.save(tmp_path / 'low.mid', [[text.END, music.PITCH + 10, R, R, R]], 1, 'voices')
  with pytest.raises(core.InputError, match=r'low.mid: a note of MIDI number 10: the 88 keys are 21 to 108'):
    music.prompt(tmp_path / 'low.mid', 'roll')
  music.save(tmp_path / 'none.mid', [[text.END]], 1, 'roll')
  with pytest.raises(core.InputError, match='none.mid holds no notes'):
    music.prompt(tmp_path / 'none.mid', 'roll')
  with pytest.raises(core.InputError, match='5 voices: there are four'):
    music.tokens([(4, 0, 1, 60)], 'voices')


def test_without_music21(monkeypatch, tmp_path):
  monkeypatch.setitem(__import__('sys').modules, 'music21', None)
  with pytest.raises(core.InputError, match='pip install'):
    music.save(tmp_path / 'x.mid', [SUNG], 1, 'voices')
