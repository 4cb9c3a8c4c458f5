"""How notes go together: how far the samples' pitch classes and melodic intervals are from held-out music's (total variation, in [0, 1]), and of
four voices, what the rules of voice leading forbid, in 100 chords. Beside them the training split's distances: transposed into many keys its pitch
classes are far away.

Intervals are between successive notes of a voice; of rolls, between the highest pitches of successive frames. A chord is what sounds at a step in
which a voice strikes. Parallels are of two voices that move the same way from a fifth to a fifth, or from an octave or a unison to one, whatever
the octaves between; a crossing is a voice below the next lower one.
"""
import itertools

import numpy as np

from gen_jax import core, evals
from gen_jax.modalities import music

NEEDS = ('x',)
WIDEST = 12   # semitones: an interval that is wider counts as one of these


def make(run, split):
  if run.spec.modality != 'music':
    raise core.InputError('harmony is of music: leave it out of config.evals')
  tokenizer = run.spec.tokenizer
  real = {name: evals.real(run, name, NEEDS).x for name in (split, 'train')}
  held_out, train = (histograms(real[name], tokenizer) for name in (split, 'train'))

  def evaluate(state, samples):
    found = {f'{what}/{name}': distance(made[what], held_out[what])
             for name, made in (('samples', histograms(samples.x, tokenizer)), ('train', train)) for what in held_out}
    if tokenizer == 'voices':
      for name, x in (('samples', samples.x), (split, real[split])):
        found |= {f'{what}/{name}': value for what, value in errors(x).items()}
    return found
  return evaluate


def histograms(x_NxL, tokenizer: str) -> dict[str, np.ndarray]:
  """Counts of pitch classes [12], and of melodic intervals [2 WIDEST + 1], the widest down first."""
  pitches, intervals = [], []
  for x in x_NxL:
    played = music.notes(x, tokenizer)
    pitches += [note[3] for note in played]
    if tokenizer == 'voices':
      lines = [[note[3] for note in played if note[0] == voice] for voice in range(4)]
    else:
      lines = [[int(np.flatnonzero(frame)[-1]) for frame in music.to_roll(x) if frame.any()]]
    intervals += [b - a for line in lines for a, b in itertools.pairwise(line)]
  counted = np.bincount(np.clip(intervals, -WIDEST, WIDEST).astype(int) + WIDEST, minlength=2 * WIDEST + 1)
  return {'pitch_classes': np.bincount(np.array(pitches, int) % 12, minlength=12), 'intervals': counted}


def distance(a, b) -> float:
  """The total variation of two histograms; 1 where one of them is empty."""
  return float(np.abs(a / a.sum() - b / b.sum()).sum() / 2) if a.sum() and b.sum() else 1.


def errors(x_NxL) -> dict[str, float]:
  """Of sequences of the encoding 'voices', in 100 chords."""
  count = dict.fromkeys(('parallel_fifths', 'parallel_octaves', 'crossings'), 0)
  chords = 0
  for x in x_NxL:
    every = chords_of(x)
    chords += len(every)
    count['crossings'] += sum(a < b for chord in every for a, b in itertools.pairwise(chord) if min(a, b) >= 0)
    for before, after in itertools.pairwise(every):
      for i, j in itertools.combinations(range(4), 2):
        if min(before[i], before[j], after[i], after[j]) < 0 or (after[i] - before[i]) * (after[j] - before[j]) <= 0:
          continue   # one rests or stays, or they move apart
        kinds = {(upper - lower) % 12 for upper, lower in ((before[i], before[j]), (after[i], after[j]))}
        count['parallel_fifths'] += kinds == {7}
        count['parallel_octaves'] += kinds == {0}
  return {what: 100 * n / max(1, chords) for what, n in count.items()}


def chords_of(x) -> list[list[int]]:
  """What each of the four voices sings, -1 for nothing, at every step in which one of them strikes."""
  played = music.notes(x, 'voices')
  sings = np.full((max((stop for _, _, stop, _ in played), default=0), 4), -1)
  for voice, start, stop, pitch in played:
    sings[start:stop, voice] = pitch
  return sings[sorted({start for _, start, _, _ in played})].tolist()
