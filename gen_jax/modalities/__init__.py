"""Arrays <-> files that people look at, read or hear: one file a modality, with

SUFFIXES                            of files of examples; the first is of those that a run keeps, .png, where it is one, of those that it shows
save(path, x, columns, tokenizer)   writes one, whole or not at all
size(tokenizer)                     how many tokens there are, where x is of tokens
prompt(given, tokenizer)            int32 [L], of what is to be gone on from, where x is of tokens
"""
import os
import pathlib

from gen_jax import core


def of(spec):
  """The module of a data.Spec's modality."""
  return core.module('modalities', spec.modality)


def save(path, x, spec, columns: int = 10):
  """Writes examples as people see them: images in a grid, points as a plot, tokens as text or music."""
  of(spec).save(path, x, columns, spec.tokenizer)


def write(path, raw: bytes):
  """A file, whole or not at all, and the folder that it lies in."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  new = path.with_name(f'.{path.name}.{os.getpid()}')
  new.write_bytes(raw)
  new.replace(path)
