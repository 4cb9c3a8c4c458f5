"""Sources of examples, addressed by position: one file a source, `make(config, split) -> Source`, splits 'train', 'validation', 'test'.

The order is a function of (seed, position): a fresh permutation an epoch. A set that fits lives on the device and is gathered there; one
that does not is read by `Source.take` on the host. Both see the same indices, so both give the same batches.
"""
import functools
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from gen_jax import augment, core

SPLITS = ('train', 'validation', 'test')
# Every source has these options beside its own DEFAULTS.
DEFAULTS = dict(flip=False, shift=0, crop=0, resident_mb=2048)


class Spec(NamedTuple):
  """What an example is; kept in the workdir, so that sampling needs no data set."""
  shape: tuple[int, ...]     # of one x: (H, W, C), or (D,) for points
  classes: int = 0           # batch['condition'] holds labels in [0, classes); 0: there is no condition
  bounded: bool = True       # x lies in [-1, 1]; stored as uint8 where it does
  codes: int = 0             # x are numbers of so many codes, as levels evenly spaced in [-1, 1] (core.Codes); 0: they are not
  names: tuple[str, ...] = ()   # of the classes, in their order; (): they have numbers alone
  words: tuple[str, ...] = ()   # of captions: batch['condition'] holds [length] numbers of words each (modalities.text); (): no captions
  length: int = 0
  paired: bool = False       # batch['condition'] holds an image like x and stored like it, to be translated into it
  modality: str = 'image'    # the module of gen_jax.modalities that makes files of x
  between_turns: int = 0     # x are dialogues: the token between two turns, of which every second answers the one before; 0: they are not
  tokenizer: str = ''        # x is of tokens, stored as uint16: what the modality reads them by, of text the tokenizer's JSON, of music its encoding

  def alike(self, other) -> bool:
    """Whether examples are the same, whatever their classes are called."""
    return self._replace(names=()) == other._replace(names=())


class Source(NamedTuple):
  spec: Spec
  size: int                                             # examples
  take: Callable[[np.ndarray], dict[str, np.ndarray]]   # indices [n] -> {'x': [n, *shape] uint8 or float32, 'condition': [n] int32}, on the host
  arrays: dict[str, np.ndarray] | None                  # the same for all examples, or None where they do not fit
  checksum: str                                         # sha256 of what the examples are read from


def label(said: str, spec: Spec) -> int:
  """The number of a class, said by its name or by itself. Raises InputError for what is neither."""
  if said in spec.names:
    return spec.names.index(said)
  if said.isascii() and said.isdigit() and int(said) < spec.classes:
    return int(said)
  if not spec.classes:
    raise core.InputError(f'{said!r} is no label: this run knows no classes')
  raise core.InputError(f'{said!r} is no label: the classes are 0 to {spec.classes - 1}' + (f', or {", ".join(spec.names)}' if spec.names else ''))


def from_arrays(x, condition, spec: Spec) -> Source:
  """A source of arrays in memory; condition may be None."""
  arrays = {'x': np.ascontiguousarray(x)}
  if condition is not None:
    arrays['condition'] = np.ascontiguousarray(condition, None if spec.paired else np.int32)
  digest = hashlib.sha256()
  for name, a in sorted(arrays.items()):
    digest.update(f'{name} {a.dtype} {a.shape}'.encode() + a.tobytes())
  return Source(spec, len(x), lambda indices: {k: a[indices] for k, a in arrays.items()}, arrays, digest.hexdigest())


def from_take(take, size: int, spec: Spec, checksum: str, resident_mb: int) -> Source:
  """A source that decodes on demand, or once into arrays where size images of spec (uint8) and their labels fit."""
  if size * (math.prod(spec.shape) + 4 * (spec.classes > 0)) > resident_mb * 2**20 or size == 0:
    return Source(spec, size, take, None, checksum)
  parts = [take(np.arange(i, min(i + 1024, size))) for i in range(0, size, 1024)]
  arrays = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
  return from_arrays(arrays['x'], arrays.get('condition'), spec)._replace(checksum=checksum)


def make(config, split: str) -> Source:
  """The source that config.data names. Raises InputError for an unknown one, and whatever the source refuses."""
  return _make(config.data.to_json_best_effort(), split)


@functools.lru_cache(maxsize=len(SPLITS))   # the loop, the pictures and the evaluators read the same splits
def _make(options: str, split: str) -> Source:
  options = ConfigDict(json.loads(options))
  core.choose('split', split, SPLITS)
  source = core.module('data', options.name).make(options, split)
  if source.size == 0:
    raise core.InputError(f'the {split} split of {options.name} is empty')
  shape = source.spec.shape
  if (options.flip or options.shift or options.crop) and (len(shape) != 3 or max(options.shift, options.crop) >= min(shape[:2])):
    raise core.InputError(f'data.flip, shift and crop are for images larger than the pixels they move by, not {tuple(shape)}')
  if source.arrays and sum(a.nbytes for a in source.arrays.values()) > options.resident_mb * 2**20:
    source = source._replace(arrays=None)
  return source


def directory() -> pathlib.Path:
  """Where fetched data lies: $GEN_JAX_DATA, else gen_jax under the user's cache."""
  cache = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  return pathlib.Path(os.environ.get('GEN_JAX_DATA') or pathlib.Path(cache) / 'gen_jax')


def split_of(said: str, validation: float, test: float) -> str:
  """The split of what is called so, a function of nothing else; these parts of all are held out."""
  u = int.from_bytes(hashlib.sha256(said.encode()).digest()[:8], 'big') / 2**64
  return 'validation' if u < validation else 'test' if u < validation + test else 'train'


class Plan:
  """Which examples a step sees: positions step*n .. (step+1)*n of an endless sequence of permutations, one an epoch."""

  def __init__(self, seed: int, size: int, n: int):
    self.seed, self.size, self.n, self._epochs = seed, size, n, {}

  def __call__(self, step: int) -> np.ndarray:
    """Indices [n] of the examples of a step."""
    positions = np.arange(step * self.n, (step + 1) * self.n)
    return np.concatenate([self._order(e)[positions[positions // self.size == e] % self.size] for e in np.unique(positions // self.size)])

  def _order(self, epoch):
    epochs = self._epochs
    if epoch not in epochs:
      # The last two suffice for a run in order; a cache, not state: every entry is a function of (seed, epoch).
      # Replaced and never changed, for a stream's threads share it.
      order = np.random.default_rng([self.seed, int(epoch)]).permutation(self.size)
      epochs = {**{e: o for e, o in epochs.items() if e == epoch - 1}, epoch: order}
      self._epochs = epochs
    return epochs[epoch]


def stream(source: Source, plan, start: int, stop: int, threads: int = 2):
  """Iterates over what steps start .. stop-1 see, in order, read ahead in threads; an error in one is raised at its step.

  plan: step -> indices of any shape (a Plan; several side by side under seeds); a batch's leaves lead with that shape.
  """
  import grain  # slow, and needed only where the data does not fit

  def batch(step):
    indices = np.asarray(plan(int(step)))
    return {k: a.reshape(indices.shape + a.shape[1:]) for k, a in source.take(indices.reshape(-1)).items()}
  options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
  return iter(grain.MapDataset.range(start, stop).map(batch).to_iter_dataset(options))


def normalise(raw: dict) -> dict:
  """Stored examples as families see them: uint8, of x or of a condition, becomes float32 in [-1, 1], and uint16, tokens, int32. On the host or
  the device."""
  seen = {'uint8': lambda a: a.astype('float32') / 127.5 - 1, 'uint16': lambda a: a.astype('int32')}
  return {name: seen.get(str(a.dtype), lambda a: a)(a) for name, a in raw.items()}


def prepare(config, raw: dict, keys_B) -> dict:
  """Normalised, then shifted, cropped and flipped as config.data says, keyed by example; on the device. A condition that is an image moves with
  x."""
  batch, o = normalise(raw), config.data
  images = [name for name, a in batch.items() if a.shape == batch['x'].shape]
  for change, amount in ((augment.shift, [o.shift]), (augment.crop, [o.crop]), (augment.flip, [])):
    if o[change.__name__]:
      moved = jax.vmap(lambda x, key, change=change, amount=amount: change(x, key, *amount))
      batch.update({name: moved(batch[name], core.fold(keys_B, change.__name__)) for name in images})
  return batch
