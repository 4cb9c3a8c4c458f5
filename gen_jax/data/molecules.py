"""Molecules as SMILES: the drug-like ones of MOSES (Polykovskiy et al. 2020, https://arxiv.org/abs/1811.12823), or those of a file.

MOSES has 1,584,663 to train and 176,074 to test with.
Of MOSES the last 10,000 training molecules are the validation split; of a file a tenth, and another to test with, by a hash of the molecule: however
spelled, it is in one split.
"""
import hashlib
import json
import pathlib

import numpy as np

from gen_jax import core, data
from gen_jax.data import fashion_mnist
from gen_jax.modalities import molecule, text

DEFAULTS = dict(
    path='',                    # of a file of SMILES, one a line; '': MOSES
    length=0,                   # tokens, padded; 0: as the longest molecule needs
    tokenizer='',               # the workdir of a run on molecules: its characters; '': those of these molecules
)
VALIDATION = 10_000
FILES = ('train.csv.gz', 'test.csv.gz')   # of MOSES


def make(options, split) -> data.Source:
  """x uint16 [n, length]: END, a molecule's characters, END, NOTHING. Raises InputError for what is no SMILES in a file of one's own."""
  molecule.chemistry()   # before a run needs it
  if options.path:
    parts, digest = _own(pathlib.Path(options.path))
  else:
    parts, digest = _moses(data.directory() / 'moses')
  every = ''.join(sorted(set().union(*(set(''.join(part)) for part in parts.values()))))
  tokenizer = text.of_run(options.tokenizer) if options.tokenizer else text.characters([every], 0).to_str()
  model = json.loads(tokenizer)['model'] if tokenizer.startswith('{') else {}   # music's is a name
  if model.get('type') != 'WordLevel':
    raise core.InputError(f'data.tokenizer={options.tokenizer!r}: that run is not of characters')
  number = model['vocab']
  if new := sorted(set(every) - number.keys()):
    raise core.InputError(f'the run in {options.tokenizer} knows no {" ".join(new)}, and these molecules have them')
  longest = max(len(one) for part in parts.values() for one in part)
  length = options.length or longest + 2
  if length < longest + 2:
    raise core.InputError(f'data.length={length}: the longest molecule needs {longest + 2}')
  spec = data.Spec((length,), bounded=False, modality='molecule', tokenizer=tokenizer)
  x = _encoded(parts[split], {c: number[c] for c in every}, length)
  return data.from_arrays(x, None, spec)._replace(checksum=digest)


def _encoded(said, vocabulary, length) -> np.ndarray:
  """As the tokenizer numbers them, but a million and a half in a second."""
  number = np.zeros(128, np.uint16)
  number[[ord(c) for c in vocabulary]] = list(vocabulary.values())
  x = np.full((len(said), length), text.NOTHING, np.uint16)
  lengths = np.array([len(one) for one in said], int)
  x[:, 1:][np.arange(length - 1)[None] < lengths[:, None]] = number[np.frombuffer(''.join(said).encode('ascii'), np.uint8)]
  x[:, 0] = x[np.arange(len(said)), lengths + 1] = text.END
  return x


def _moses(place) -> tuple[dict[str, list[str]], str]:
  if not all((place / name).is_file() for name in FILES):
    raise core.InputError('MOSES is not here: `python -m gen_jax.fetch moses`, or name a file of SMILES in config.data.path')
  train, test = (fashion_mnist.payload(place / name) for name in FILES)
  digest = hashlib.sha256(train + test).hexdigest()
  train, test = (raw.decode('ascii').split()[1:] for raw in (train, test))   # the first line is a title
  return {'train': train[:-VALIDATION], 'validation': train[-VALIDATION:], 'test': test}, digest


def _own(path) -> tuple[dict[str, list[str]], str]:
  try:
    raw = path.read_bytes()
    said = [line.split()[0] for line in raw.decode('ascii').splitlines() if line.strip()]   # a name may follow
  except OSError as e:
    raise core.InputError(f'{path} can not be read: {e.strerror}') from None
  except UnicodeDecodeError as e:
    raise core.InputError(f'{path} is not of SMILES: byte {e.start} is no ASCII') from None
  found = molecule.parsed(said)
  broken = next((i for i, one in enumerate(found) if one is None), None)
  if broken is not None:
    raise core.InputError(f'{path}: {said[broken]!r} is no molecule (of {len(said):,} SMILES number {broken + 1})')
  parts, canonical = {name: [] for name in data.SPLITS}, molecule.chemistry().MolToSmiles
  for spelled, one in zip(said, found):
    part = int(hashlib.sha256(canonical(one).encode()).hexdigest()[:8], 16) % 10
    parts[{0: 'test', 1: 'validation'}.get(part, 'train')].append(spelled)
  if not all(parts.values()):
    raise core.InputError(f'{path} holds {len(said)} molecules, too few to hold some out')
  return parts, hashlib.sha256(raw + b'by molecule').hexdigest()
