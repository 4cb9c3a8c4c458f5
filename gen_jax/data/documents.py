"""Texts one by one, each an example: by class, or as dialogues. Read as data/text.py reads them.

A tenth is for validation and a tenth for testing, by a hash of their first line: what is said twice is in one split, and in the same one whether it
counts as a text or as a dialogue.
"""
import hashlib

import numpy as np

from gen_jax import core, data
from gen_jax.data import text as source
from gen_jax.modalities import text

DEFAULTS = dict(
    path='',                    # a folder of *.txt, a file, or the name of a set that was fetched
    between='',                 # what stands between the documents of a file, '\n\n' for a blank line; '': a file is one
    labels=False,               # a document's class is the folder, or the file, directly below data.path that it lies in
    turns=False,                # each line of a document is a turn: what answers the line before it is told, and the other lines are given
    tokenizer='characters',     # as in data/text.py
    vocabulary=4096,
    length=129,                 # tokens of a document with its beginning and its end; a longer one loses its end, and then has none, or its last
                                # turns, and where not even two have room, the end of the longer of these
)


def make(options, split) -> data.Source:
  """Tokens uint16 [n, length], END first and, of what was not cut, last, NOTHING behind, and with data.labels the classes [n], in the order of their
  names.

  Raises InputError where there are no documents, or of labels fewer than two classes, and for options that do not go together.
  """
  if options.length < 3:
    raise core.InputError(f'data.length={options.length}: at least 3')
  if options.labels and options.turns:
    raise core.InputError('data.labels and data.turns: of dialogues there are no classes')
  of, names, checksum = divided(options)
  tokenizer = source.tokenizer(options, ['\n'.join(turns) for turns, _ in of['train']])
  line = text.tokens('\n', tokenizer)
  if options.turns and (len(line) != 1 or line[0] == text.UNKNOWN):
    raise core.InputError('data.turns: the tokenizer has no token for the end of a line')
  x = np.full((len(of[split]), options.length), text.NOTHING, np.uint16)
  for row, (turns, _) in zip(x, of[split]):
    tokens = [text.tokens(turn, tokenizer) for turn in turns]
    while len(tokens) > 2 and sum(map(len, tokens)) + len(tokens) >= options.length:
      tokens.pop()
    room = options.length - 1 - len(tokens)
    longest = next(n for n in range(options.length, -1, -1) if sum(min(len(turn), n) for turn in tokens) <= room)
    parts = [part for turn in tokens for part in (turn[:longest], line)]
    # What was cut does not end there, and is not taught to.
    whole = np.concatenate([[text.END], *parts[:-1], [] if len(tokens[-1]) > longest else [text.END]])
    row[:len(whole)] = whole
  spec = data.Spec((options.length,), len(names), False, modality='text', tokenizer=tokenizer, names=tuple(names),
                   between_turns=int(line[0]) if options.turns else 0)
  made = data.from_arrays(x, [label for _, label in of[split]] if names else None, spec)
  every = [label for part in of.values() for _, label in part]
  read = f'{checksum} {names} {every} {options.between, options.turns, options.length} without an end where cut'
  return made._replace(checksum=hashlib.sha256(read.encode()).hexdigest())


def divided(options) -> tuple[dict[str, list[tuple[list[str], int]]], list[str], str]:
  """(The documents of each split, as turns, of which a text without data.turns is one, and the number of the class, or 0; the classes' names; the
  sha256 of the files)."""
  found, checksum = source.read(options)
  names = sorted({path.parts[0].removesuffix('.txt') for path, _ in found if path.parts}) if options.labels else []
  if options.labels and len(names) < 2:
    raise core.InputError(f'data.labels: below {options.path} there must be a folder or a file for each of two classes or more')
  of = {name: [] for name in data.SPLITS}
  for path, said in found:
    turns = [line.strip() for line in said.splitlines() if line.strip()] if options.turns else [said.strip()]
    if options.turns and len(turns) < 2:
      raise core.InputError(f'data.turns: {turns[0][:40]!r} in {options.path} is a document of one line, and nothing answers it')
    part = int(hashlib.sha256(said.strip().split('\n')[0].strip().encode()).hexdigest()[:8], 16) % 10
    of[{0: 'test', 1: 'validation'}.get(part, 'train')].append((turns, names.index(path.parts[0].removesuffix('.txt')) if names else 0))
  if not of['train']:
    raise core.InputError(f'{options.path} holds too few documents to hold some out')
  return of, names, checksum
