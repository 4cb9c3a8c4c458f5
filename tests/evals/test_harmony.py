"""Parallels and histograms of music written down by hand."""
import numpy as np
import pytest

from gen_jax import config, core, data, evals, run
from gen_jax.evals import harmony
from gen_jax.modalities import music, text


def sung(*chords):
  """A sequence of four-part chords of one step each; None rests, 'hold' holds."""
  special = {None: music.REST, 'hold': music.HOLD}
  return music.from_grid(np.array([[special[p] if p in special else music.PITCH + p for p in chord] for chord in chords]))


@pytest.mark.parametrize('chords, fifths, octaves, crossings', [
    (((67, 60, None, None), (69, 62, None, None)), 1, 0, 0),                       # up a tone both
    (((79, 60, None, None), (69, 50, None, None)), 1, 0, 0),                       # a fifth and an octave
    (((67, 60, None, None), (81, 62, None, None)), 1, 0, 0),                       # from a fifth to a twelfth
    (((67, 60, None, None), (62, 67, None, None)), 0, 0, 1),                       # apart, and crossed
    (((67, 60, None, None), (67, 60, None, None)), 0, 0, 0),                       # struck again: nobody moves
    (((67, 60, None, None), (69, 'hold', None, None)), 0, 0, 0),
    (((67, 60, None, None), (69, 61, None, None)), 0, 0, 0),                       # to a sixth
    (((67, 60, None, None), (None,) * 4, (69, 62, None, None)), 1, 0, 0),          # a rest is no chord
    (((72, None, None, 48), (74, None, None, 50)), 0, 1, 0), (((60, 60, None, None), (62, 62, None, None)), 0, 1, 0),
    (((72, 67, 60, 48), (74, 69, 62, 50)), 2, 3, 0),                               # alto to tenor and to bass; every pair of three
    (((60, 62, 64, None), (60, 62, 64, None)), 0, 0, 4), (((60, None, 64, None),), 0, 0, 0)])
def test_errors(chords, fifths, octaves, crossings):
  struck = sum(any(isinstance(p, int) for p in chord) for chord in chords)
  found = harmony.errors([sung(*chords)])
  assert found == pytest.approx({'parallel_fifths': 100 * fifths / struck, 'parallel_octaves': 100 * octaves / struck,
                                 'crossings': 100 * crossings / struck})


def test_errors_do_not_change_with_the_key():
  chords = np.random.default_rng(0).integers(50, 70, (300, 4))
  one, other = harmony.errors([sung(*chords.tolist())]), harmony.errors([sung(*(chords + 5).tolist())])
  assert one == other and min(one.values()) > 0
  assert harmony.errors([[text.END]]) == dict.fromkeys(one, 0)


def test_histograms():
  found = harmony.histograms([sung((60, 55, None, 36), (62, 'hold', None, 60), (74, 55, None, 36))], 'voices')
  assert {i: n for i, n in enumerate(found['pitch_classes']) if n} == {0: 4, 2: 2, 7: 2}
  assert {i - harmony.WIDEST: n for i, n in enumerate(found['intervals']) if n} == {2: 1, 12: 2, 0: 1, -12: 1}
  roll = np.zeros((4, 88), bool)
  roll[0, [10, 30]] = roll[1, 35] = roll[3, [3, 33]] = True   # the highest: 30, 35, none, 33
  found = harmony.histograms([music.from_roll(roll)], 'roll')
  assert {i - harmony.WIDEST: n for i, n in enumerate(found['intervals']) if n} == {5: 1, -2: 1} and found['pitch_classes'].sum() == 5


def test_distances():
  a, b = np.array([2, 2, 0]), np.array([0, 1, 1])
  assert harmony.distance(a, b) == .5 and harmony.distance(a, 3 * a) == 0 and harmony.distance(a, np.array([0, 0, 1])) == 1
  assert harmony.distance(a, np.zeros(3)) == 1


def test_samples_beside_held_out_music(tmp_path, monkeypatch):
  good, bad = sung(*[(67, 64, 60, 48), (69, 65, 60, 53)] * 4), sung(*[(67, 60, 55, 48), (69, 62, 57, 50)] * 4)
  spec = data.Spec((33,), bounded=False, modality='music', tokenizer='voices')
  monkeypatch.setattr(data, 'make', lambda config, split: data.from_arrays(good[None].astype(np.uint16), None, spec))
  made = run.build(config.variant(config.base('chorales', 'autoregressive', 'transformer', model={}), 'smoke'), spec)
  found = harmony.make(made, 'test')(None, evals.Draw(None, x=bad[None]))
  assert found['parallel_fifths/samples'] > 50 and found['parallel_fifths/test'] == found['pitch_classes/train'] == found['intervals/train'] == 0
  assert 0 < found['pitch_classes/samples'] < 1 and all(isinstance(value, float) for value in found.values())


def test_it_is_of_music():
  c = config.variant(config.base('mnist', 'vae', 'mlp', model={}), 'smoke')
  with pytest.raises(core.InputError, match='harmony is of music: leave it out'):
    harmony.make(run.build(c, data.make(c, 'train').spec), 'test')
