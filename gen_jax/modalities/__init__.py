"""Arrays <-> files that people look at, read or hear: one file a modality, with

SUFFIX                              of a file of examples
save(path, x, columns, tokenizer)   writes it, whole or not at all
size(tokenizer)                     how many tokens there are, where x is of tokens
"""
import os
import pathlib

from gen_jax import core


def of(spec):
  """The module of a data.Spec's modality."""
  return core.module('modalities', spec.modality)


def save(path, x, spec, columns: int = 10):
  """Writes examples as people see them: images in a grid, points as a plot, tokens as text."""
  of(spec).save(path, x, columns, spec.tokenizer)


def write(path, raw: bytes):
  """A file, whole or not at all, and the folder that it lies in."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  new = path.with_name(f'.{path.name}.{os.getpid()}')
  new.write_bytes(raw)
  new.replace(path)
