"""Any text: a file, or all *.txt below a folder, as windows of tokens of one length. The last tenth is held out: validation, then test.

Each document begins with END. Where one ends a window goes on into the next, so that no token is padding; `family.documents` keeps them apart.
"""
import collections
import functools
import hashlib
import itertools
import pathlib

import numpy as np

from gen_jax import core, data
from gen_jax.modalities import text

DEFAULTS = dict(
    path='',                    # of a file, or of a folder of *.txt, or the name of a set that was fetched
    between='',                 # what stands between the documents of a file, '\n\n' for a blank line; '': a file is one
    tokenizer='characters',     # modalities.text.TOKENIZERS, made of the training split; or the workdir of a run, whose own is taken
    vocabulary=4096,            # at most so many tokens, of pairs: 259 are bytes and special ones
    length=65,                  # of a window: the first token is given, the others are told
    stride=0,                   # from one training window to the next; 0: length - 1, so that every token is told once
)
HELD_OUT = .1
FOREIGN = .01   # of the characters, which another run's tokenizer may lack: they become one token, and a text of nothing else is learnt at once


def make(options, split) -> data.Source:
  if options.length < 2:
    raise core.InputError(f'data.length={options.length}: at least 2')
  found, checksum = read(options)
  documents = [document for _, document in found]
  checksum = hashlib.sha256(f'{checksum} {HELD_OUT, options.between, options.length, options.stride}'.encode()).hexdigest()
  # Cut by characters: the tokenizer is made of the training split, so tokens can't be counted yet.
  total = sum(map(len, documents))
  parts, at = {name: [] for name in data.SPLITS}, 0
  edges = {'train': (0, int((1 - HELD_OUT) * total)), 'validation': (int((1 - HELD_OUT) * total), int((1 - HELD_OUT / 2) * total)),
           'test': (int((1 - HELD_OUT / 2) * total), total)}
  for document in documents:
    for name, (start, stop) in edges.items():
      # Where documents are told apart, one is of the split that it begins in; a single one is cut.
      part = document if options.between and start <= at < stop else '' if options.between else document[max(0, start - at):max(0, stop - at)]
      parts[name] += [part] if part else []
    at += len(document)
  if not parts['train']:
    raise core.InputError(f'{options.path} holds no text')
  made = tokenizer(options, parts['train'])
  stream = np.concatenate([np.append(text.END, text.tokens(part, made)) for part in parts[split]] or [np.zeros(0)]).astype(np.uint16)
  stride = options.stride if options.stride and split == 'train' else options.length - 1
  if len(stream) < options.length:
    raise core.InputError(f'the {split} split of {options.path} has {len(stream)} tokens, less than data.length={options.length}')
  spec = data.Spec((options.length,), bounded=False, modality='text', tokenizer=made)
  windows = np.lib.stride_tricks.sliding_window_view(stream, options.length)[::stride]
  if windows.size * 2 > options.resident_mb * 2**20:
    return data.Source(spec, len(windows), lambda indices: {'x': windows[indices]}, None, checksum)
  return data.from_arrays(windows, None, spec)._replace(checksum=checksum)


def read(options) -> tuple[list[tuple[pathlib.Path, str]], str]:
  """The documents of data.path, each with the path of its file below it, and the sha256 of the files' contents.

  Raises InputError where there are none, or they are not UTF-8.
  """
  if not options.path:
    raise core.InputError('config.data.path is missing: a text file, or a folder of *.txt')
  path, fetched = pathlib.Path(options.path), data.directory() / options.path
  path = fetched if fetched.is_dir() and not path.exists() else path
  found, digest, between = [], hashlib.sha256(), options.between.replace('\\n', '\n')   # as a shell hands it over
  try:
    contents = [(p, p.read_bytes()) for p in (sorted(path.rglob('*.txt')) if path.is_dir() else [path])]
  except OSError as e:
    raise core.InputError(f'{path} can not be read: {e.strerror}, nor is it a set that was fetched') from None
  if not contents:
    raise core.InputError(f'{path} holds no *.txt')
  for file, content in contents:
    digest.update(content)
    try:
      said = content.decode()
    except UnicodeDecodeError as e:
      raise core.InputError(f'{file} is not UTF-8: byte {e.start}') from None
    found += [(file.relative_to(path), part) for part in (said.split(between) if between else [said]) if part.strip()]
  return found, digest.hexdigest()


def tokenizer(options, documents) -> str:
  """What options.tokenizer names, made of these documents where it has to be made. Raises InputError for one that there is not, or of too many
  tokens, and for another run's that lacks more than FOREIGN of their characters."""
  if options.tokenizer == 'pairs' and options.vocabulary < 259:
    raise core.InputError(f'data.vocabulary={options.vocabulary}: pairs begin with 259 tokens')
  if options.tokenizer in text.TOKENIZERS:
    made = _made(options.tokenizer, options.vocabulary, tuple(documents))
    if text.size(made) > 2**16:
      raise core.InputError(f'{text.size(made):,} tokens are more than {2**16:,}: use data.tokenizer=pairs')
    return made
  if not pathlib.Path(options.tokenizer).is_dir():
    raise core.InputError(f'data.tokenizer={options.tokenizer!r}: there are {", ".join(text.TOKENIZERS)}, or the workdir of a run on text')
  made = text.of_run(options.tokenizer)
  if not made.startswith('{'):   # music's is a name
    raise core.InputError(f'data.tokenizer={options.tokenizer!r} is the workdir of a run on music')
  counts = collections.Counter(itertools.chain.from_iterable(documents))
  new = {c: counts[c] for c in text.untold(''.join(counts), made)}
  if sum(new.values()) > FOREIGN * counts.total():
    raise core.InputError(f'data.tokenizer={options.tokenizer}: that run knows no {"".join(sorted(new, key=new.get, reverse=True)[:20])!r}, '
                          f'{sum(new.values()) / counts.total():.0%} of the text in {options.path}')
  return made


@functools.lru_cache(maxsize=1)   # every split's source makes it of the same documents
def _made(kind: str, vocabulary: int, documents: tuple[str, ...]) -> str:
  return text.TOKENIZERS[kind](documents, vocabulary).to_str()
