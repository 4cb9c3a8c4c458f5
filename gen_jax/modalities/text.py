"""Text <-> arrays of numbers: captions as words of a vocabulary, and running text as the tokens of a tokenizer, both of which a data.Spec holds."""
import functools
import json
import pathlib
import re

import numpy as np
import tokenizers

from gen_jax import core, modalities

SUFFIXES = ('.txt',)
NOTHING, UNKNOWN, FIRST = 0, 1, 2   # padding, a word that the vocabulary lacks, the vocabulary's first word
END = 2                             # of tokens: what stands between two documents, and before the first
RULE = '\n' + '-' * 40 + '\n'       # between the texts of a file


def words(caption: str) -> list[str]:
  """Lower-cased runs of letters and digits, of Chinese each character, without what is between them."""
  return re.findall(r'[\u4e00-\u9fff]|[^\W_\u4e00-\u9fff]+', caption.lower())


def vocabulary(captions) -> tuple[str, ...]:
  """Every word of the captions, sorted."""
  return tuple(sorted({word for caption in captions for word in words(caption)}))


def encode(captions, vocabulary, length: int) -> np.ndarray:
  """int32 [N, length]. Raises InputError for a caption of more words than that."""
  number = {word: i + FIRST for i, word in enumerate(vocabulary)}
  found = np.full((len(captions), length), NOTHING, np.int32)
  for i, caption in enumerate(captions):
    split = words(caption)
    if len(split) > length:
      raise core.InputError(f'the caption {caption!r} has {len(split)} words, more than {length}')
    found[i, :len(split)] = [number.get(word, UNKNOWN) for word in split]
  return found


# Tokenizers, as the JSON that the library `tokenizers` reads. Their first three tokens are NOTHING, UNKNOWN and END, which no text encodes to.

SPECIAL = ('<nothing>', '<unknown>', '<end>')


def characters(documents, size: int) -> tokenizers.Tokenizer:
  """A token each character of the documents."""
  vocabulary = {token: i for i, token in enumerate((*SPECIAL, *sorted(set().union(*documents))))}
  made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, SPECIAL[UNKNOWN]))
  made.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r'[\s\S]'), 'isolated')
  made.decoder = tokenizers.decoders.Fuse()
  return made


def pairs(documents, size: int) -> tokenizers.Tokenizer:
  """Byte-pair encoding of the documents' UTF-8 in at most size tokens (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909): any text has one."""
  made = tokenizers.Tokenizer(tokenizers.models.BPE())
  made.pre_tokenizer, made.decoder = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False), tokenizers.decoders.ByteLevel()
  made.train_from_iterator(documents, tokenizers.trainers.BpeTrainer(
      vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
  # Without what the trainer adds: a text that spells <end> would end there.
  return tokenizers.Tokenizer.from_str(json.dumps({**json.loads(made.to_str()), 'added_tokens': []}))


TOKENIZERS = {'characters': characters, 'bytes': lambda documents, size: pairs([], len(SPECIAL) + 256), 'pairs': pairs}


@functools.lru_cache(maxsize=16)
def _read(tokenizer: str) -> tokenizers.Tokenizer:
  return tokenizers.Tokenizer.from_str(tokenizer)


def size(tokenizer: str) -> int:
  """How many tokens there are."""
  return _read(tokenizer).get_vocab_size(with_added_tokens=False)


def tokens(text: str, tokenizer: str) -> np.ndarray:
  """int32 [L]."""
  return np.array(_read(tokenizer).encode(text).ids, np.int32)


def untold(text: str, tokenizer: str) -> str:
  """The characters of a text that the tokenizer lacks."""
  return ''.join(sorted({c for c in text if UNKNOWN in tokens(c, tokenizer)}))


def prompt(said: str, tokenizer: str) -> np.ndarray:
  """The tokens of a text, int32 [L]. Raises InputError for characters that the tokenizer lacks."""
  if any('\ud800' <= c <= '\udfff' for c in said):   # what Python makes of a shell's bytes
    raise core.InputError('--prompt is not UTF-8')
  if new := untold(said, tokenizer):
    raise core.InputError(f'--prompt: the run has no tokens for {new!r}')
  found = tokens(said, tokenizer)
  if UNKNOWN in found:   # of a tokenizer of words
    raise core.InputError(f'--prompt={said!r}: the run has no tokens for a part of it')
  return found


def of_run(workdir: str) -> str:
  """The tokenizer that a workdir's manifest holds. Raises InputError where there is none."""
  try:
    found = json.loads((pathlib.Path(workdir) / 'manifest.json').read_text())['spec']['tokenizer']
  except (OSError, ValueError, KeyError, TypeError):
    found = ''
  if not found:
    raise core.InputError(f'data.tokenizer={workdir!r} is no workdir of a run that has a tokenizer')
  return found


def texts(x_N, tokenizer: str) -> list[str]:
  """What sequences of tokens say, each as far as its END; one at the start is passed over, and so is NOTHING, and a class."""
  found, known = [], size(tokenizer)
  for x in map(np.asarray, x_N):
    ends = np.flatnonzero(x[1:] == END)
    x = x[:ends[0] + 1] if len(ends) else x
    found.append(_read(tokenizer).decode([int(t) for t in x if len(SPECIAL) <= t < known]))
  return found


def save(path, x_NxL, columns: int, tokenizer: str):
  """Writes what sequences of tokens say."""
  save_said(path, texts(x_NxL, tokenizer))


def save_said(path, said: list[str]):
  """Writes texts with a rule between them, whole or not at all."""
  modalities.write(path, (RULE.join(said) + '\n').encode())
