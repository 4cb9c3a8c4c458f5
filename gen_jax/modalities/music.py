"""Music <-> arrays of tokens, in one of two encodings, which a data.Spec names; and files to hear, read and look at.

voices   Four voices on a grid of sixteenth notes, step after step, in each soprano, alto, tenor and bass: a pitch that is struck, HOLD or REST.
roll     Frames of a quarter note: the pitches of each on 88 keys in ascending order, then NEXT. A roll has exactly one such sequence, so that the
         sequence's exact likelihood bounds the roll's from below: what a model spends on other orders only makes it worse.

The first three tokens are those of modalities.text; END begins and ends a piece. Any sequence is read as some music: what comes after the last
whole step or frame is left out. Notes are (voice, start, stop, pitch) in steps and MIDI numbers; those of a roll are all of voice 0.
"""
import io
import math
import pathlib

import numpy as np

from gen_jax import core, modalities
from gen_jax.modalities import image
from gen_jax.modalities.text import END

SUFFIXES = ('.mid', '.musicxml', '.wav', '.png')
READS = ('.mid', '.midi', '.musicxml', '.mxl', '.xml')
HOLD, REST, PITCH = 3, 4, 5        # of voices; PITCH is that of MIDI number 0
NEXT, KEY = 3, 4                   # of rolls; KEY is the lowest
LOWEST, KEYS = 21, 88              # the keyboard's
VOICES = ('Soprano', 'Alto', 'Tenor', 'Bass')
STEPS = {'voices': 4, 'roll': 1}   # of a quarter note, by encoding
BAR = 4                            # quarter notes
TEMPO = 90                         # of them a minute
RATE = 22050                       # of sound, a second
COLOURS = ((.80, .15, .15), (.90, .60, .05), (.15, .60, .25), (.15, .30, .75))   # of voices
COLOUR_NAMES = 'soprano red, alto orange, tenor green, bass blue'


def size(tokenizer: str) -> int:
  """How many tokens there are."""
  return {'voices': PITCH + 128, 'roll': KEY + KEYS}[tokenizer]


# Tokens <-> arrays

def piece(x) -> np.ndarray:
  """The tokens of a sequence [L] between the first, which is given (END, or what comes before a window), and the next END; without padding."""
  x = np.asarray(x, np.int32)[1:]
  ends = np.flatnonzero(x == END)
  x = x[:ends[0]] if len(ends) else x
  return x[x > END]


def to_grid(x) -> np.ndarray:
  """Tokens of voices [L] as [T, 4], whole steps alone."""
  x = piece(x)
  return x[:len(x) // 4 * 4].reshape(-1, 4)


def from_grid(grid_Tx4) -> np.ndarray:
  """int32 [1 + 4 T]"""
  return np.append(END, grid_Tx4).astype(np.int32)


def to_roll(x) -> np.ndarray:
  """Tokens of a roll [L] as bool [T, 88], whole frames alone."""
  x = piece(x)
  frames = (x == NEXT).cumsum()   # so many are over
  roll = np.zeros((frames[-1] if len(x) else 0, KEYS), bool)
  struck = (x >= KEY) & (frames < len(roll))
  roll[frames[struck], x[struck] - KEY] = True
  return roll


def from_roll(roll_Tx88) -> np.ndarray:
  """int32 [1 + notes + T]"""
  frames = [np.append(np.flatnonzero(frame) + KEY, NEXT) for frame in np.asarray(roll_Tx88)]
  return np.concatenate([[END], *frames]).astype(np.int32)


def moved(x, semitones: int, tokenizer: str) -> np.ndarray | None:
  """The tokens of a piece, transposed; None where that leaves the encoding's pitches."""
  lowest = {'voices': PITCH, 'roll': KEY}[tokenizer]
  higher = np.where(x >= lowest, x + semitones, x)
  return higher if ((higher >= lowest) == (x >= lowest)).all() and (higher < size(tokenizer)).all() else None


# Tokens <-> notes

def notes(x, tokenizer: str) -> list[tuple[int, int, int, int]]:
  """What a sequence [L] plays, in the order of voices and of time. A HOLD with nothing to hold is silence."""
  if tokenizer == 'roll':
    moved_Tx88 = np.diff(np.pad(to_roll(x).astype(np.int8), ((1, 1), (0, 0))), axis=0)
    starts, stops = (np.argwhere(moved_Tx88.T == way).tolist() for way in (1, -1))   # of one key after the other, in turn
    return sorted((0, start, stop, LOWEST + key) for (key, start), (_, stop) in zip(starts, stops))
  found = []
  for voice, tokens in enumerate(to_grid(x).T):
    changes = [*np.flatnonzero(tokens != HOLD).tolist(), len(tokens)]
    found += [(voice, start, stop, int(tokens[start]) - PITCH) for start, stop in zip(changes, changes[1:]) if tokens[start] >= PITCH]
  return found


def tokens(played, tokenizer: str) -> np.ndarray:
  """int32 [L] of notes, from END on. A voice's note ends where its next begins.

  Raises InputError for pitches that the encoding lacks, for a fifth voice, and for two notes of a voice at once.
  """
  length = max((stop for _, _, stop, _ in played), default=0)
  if tokenizer == 'roll':
    roll = np.zeros((length, KEYS), bool)
    for _, start, stop, pitch in played:
      if not LOWEST <= pitch < LOWEST + KEYS:
        raise core.InputError(f'a note of MIDI number {pitch}: the 88 keys are {LOWEST} to {LOWEST + KEYS - 1}')
      roll[start:stop, pitch - LOWEST] = True
    return from_roll(roll)
  grid = np.full((length, 4), REST)
  for voice, start, stop, pitch in sorted(played):
    if voice >= 4 or not 0 <= pitch < 128:
      raise core.InputError(f'{voice + 1} voices: there are four' if voice >= 4 else f'a note of MIDI number {pitch}: there are 0 to 127')
    if grid[start, voice] >= PITCH:
      raise core.InputError(f'voice {voice + 1} has two notes at once, in quarter note {start // 4 + 1}: each of four voices is a part by itself')
    grid[start:, voice] = REST
    grid[start:stop, voice] = HOLD
    grid[start, voice] = PITCH + pitch
  return from_grid(grid)


# Files

def music21():
  """The library that reads and writes scores, slow to import. Raises InputError where it is missing."""
  try:
    import music21
  except ImportError:
    raise core.InputError("music needs the package music21: pip install 'gen_jax[music]'") from None
  return music21


def prompt(path, tokenizer: str) -> np.ndarray:
  """The tokens of a MIDI or MusicXML file, int32 [L], from END on; its parts are the voices, in their order.

  A note sounds in the steps that begin while it does. MIDI keeps no silent part, so those below it move up. Raises InputError for what can not be
  read, has no notes, or is not of this encoding.
  """
  path = pathlib.Path(path)
  if path.suffix.lower() not in READS:
    raise core.InputError(f'{path} is not a file of music: {", ".join(READS)}')
  try:
    path.read_bytes()
  except OSError as e:
    raise core.InputError(f'{path} can not be read: {e.strerror}') from None
  library = music21()
  try:
    # Not from, nor into, its cache, which runs what it reads.
    score = library.converter.parse(path, forceSource=True, storePickle=False)
    played = score_notes(score, tokenizer)
  except Exception as e:   # its parsers raise what Python does at the first wrong byte
    raise core.InputError(f'{path} can not be read as music: {type(e).__name__} {" ".join(str(e).split())}'.strip()) from None
  if not played:
    raise core.InputError(f'{path} holds no notes')
  try:
    return tokens(played, tokenizer)
  except core.InputError as e:
    raise core.InputError(f'{path}: {e}') from None


def score_notes(score, tokenizer: str) -> list[tuple[int, int, int, int]]:
  """The notes of a music21 score, its parts the voices; tied ones are one. What is shorter than a step and begins in none is left out."""
  found = []
  for voice, part in enumerate(score.parts if tokenizer == 'voices' else [score]):
    spans = {}   # pitch -> [[start, stop]]
    for element in part.flatten().notes:
      start = float(element.offset)
      stop = start + float(element.quarterLength)
      for one in (element.notes if element.isChord else [element]):
        if not hasattr(one, 'pitch'):   # a drum's
          continue
        before = spans.setdefault(one.pitch.midi, [])
        if one.tie is not None and one.tie.type != 'start' and before and abs(before[-1][1] - start) < 1e-3:
          before[-1][1] = stop
        else:
          before.append([start, stop])
    step = lambda at: math.ceil(STEPS[tokenizer] * at - .1)   # a tenth of one late is played in time
    found += [(voice if tokenizer == 'voices' else 0, step(a), step(b), pitch) for pitch in spans for a, b in spans[pitch] if step(a) < step(b)]
  return sorted(found)


def save(path, x_NxL, columns: int, tokenizer: str):
  """Writes pieces, whole or not at all, by the suffix of the path: one after the other with at least a bar's rest between, or as a picture of their
  piano rolls, one below the other."""
  path = pathlib.Path(path)
  if path.suffix == '.png':
    image.save(path, drawn(x_NxL, tokenizer), 1)
    return
  played, at, bar = [], 0, BAR * STEPS[tokenizer]
  for x in x_NxL:
    one = notes(x, tokenizer)
    played += [(voice, at + start, at + stop, pitch) for voice, start, stop, pitch in one]
    at += (math.ceil(max((stop for _, _, stop, _ in one), default=0) / bar) + 1) * bar
  content = wav(played, STEPS[tokenizer]) if path.suffix == '.wav' else written(played, tokenizer, path.suffix)
  modalities.write(path, content)


def written(played, tokenizer: str, suffix: str) -> bytes:
  """Notes as MIDI or MusicXML, a part a voice."""
  library = music21()
  score = library.stream.Score()
  score.metadata = library.metadata.Metadata(title='Samples', composer='gen_jax')
  steps = STEPS[tokenizer]
  for voice, name in enumerate(VOICES if tokenizer == 'voices' else ['Roll']):
    part = library.stream.Part(id=name)
    part.partName = name
    if voice == 0:
      part.insert(0, library.tempo.MetronomeMark(number=TEMPO))
    for _, start, stop, pitch in (note for note in played if note[0] == voice):
      part.insert(start / steps, library.note.Note(library.pitch.Pitch(midi=pitch), quarterLength=(stop - start) / steps))
    score.insert(0, part)
  if suffix == '.mid':
    return library.midi.translate.streamToMidiFile(score).writestr()
  return library.musicxml.m21ToXml.GeneralObjectExporter(score).parse()


def wav(played, steps: int) -> bytes:
  """Notes as sound: six partials each, the higher the weaker and the sooner gone; steps are those of a quarter note."""
  from scipy.io import wavfile  # slow to import
  second = 60 / TEMPO / steps    # a step's
  sound = np.zeros(RATE + int(RATE * second * max((stop for _, _, stop, _ in played), default=0)), np.float32)
  for _, start, stop, pitch in played:
    at, t = int(RATE * second * start), np.arange(int(RATE * second * (stop - start)), dtype=np.float32) / RATE
    pitch_hz = 440 * 2**((pitch - 69) / 12)
    partials = [k for k in range(1, 7) if k * pitch_hz < RATE / 2]
    wave = sum(np.sin(2 * np.pi * k * pitch_hz * t) * np.exp(-1.5 * k * t) / k**1.5 for k in partials)
    sound[at:at + len(t)] += wave * np.minimum(1, np.minimum(t, t[-1] - t) / .01)   # no clicks
  file = io.BytesIO()
  wavfile.write(file, RATE, np.rint(sound * (.9 * 32767 / max(1e-6, np.abs(sound).max()))).astype(np.int16))
  return file.getvalue()


def drawn(x_NxL, tokenizer: str) -> np.ndarray:
  """Piano rolls as images [N, H, W, 3] in [-1, 1]: time across, a pitch a row of pixels, the highest above, every C a line; voices in colours."""
  played = [notes(x, tokenizer) for x in x_NxL]
  every = [note for one in played for note in one] or [(0, 0, 1, 60)]
  low, high, across, down = min(n[3] for n in every) - 2, max(n[3] for n in every) + 2, 8, 5
  pixels = np.ones((len(played), (high - low + 1) * down, max(n[2] for n in every) * across, 3), np.float32)
  pixels[:, (high - np.array([p for p in range(low, high + 1) if p % 12 == 0], int)) * down + down // 2] = .85
  pixels[:, 0] = 0   # between pieces
  for image_HxWx3, one in zip(pixels, played):
    for voice, start, stop, pitch in one:   # a pixel short, so that what is struck again shows
      top = (high - pitch) * down
      image_HxWx3[top:top + down, start * across:stop * across - 1] = COLOURS[voice if tokenizer == 'voices' else 3]
  return pixels * 2 - 1
