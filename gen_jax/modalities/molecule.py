"""Molecules as SMILES (Weininger 1988): tokens of characters, each molecule between two END; files hold one a line. RDKit reads and draws them."""
import io

import numpy as np

from gen_jax import core, modalities
from gen_jax.modalities import text

SUFFIXES = ('.smi', '.png')
size, texts = text.size, text.texts
SHOWN = 20   # molecules of a picture, at most


def prompt(said: str, tokenizer: str) -> np.ndarray:
  """The tokens of a SMILES' beginning, int32 [1 + L]. Raises InputError for characters that the tokenizer lacks."""
  return np.append(text.END, text.prompt(said, tokenizer)).astype(np.int32)


def save(path, x_NxL, columns: int, tokenizer: str):
  """Writes one SMILES a line, or a picture of the first that are molecules, whole or not at all."""
  if str(path).endswith('.png'):
    modalities.write(path, drawn(texts(x_NxL, tokenizer)))
    return
  modalities.write(path, ''.join(f'{said}\n' for said in texts(x_NxL, tokenizer)).encode())


def chemistry():
  """RDKit's module Chem, silent about what it cannot read. Raises InputError where it is not installed."""
  try:
    from rdkit import Chem, RDLogger
  except ImportError:
    raise core.InputError("molecules are read by RDKit: pip install 'gen_jax[molecules]'") from None
  RDLogger.DisableLog('rdApp.*')
  return Chem


def parsed(said: list[str]) -> list:
  """RDKit's molecule of each SMILES, None where it is none or empty."""
  read = chemistry().MolFromSmiles
  return [read(one) if one else None for one in said]


def drawn(said: list[str]) -> bytes:
  """A PNG of the first SHOWN SMILES that are molecules, five in a row."""
  found = [one for one in parsed(said) if one is not None][:SHOWN]
  from rdkit.Chem import Draw
  picture = Draw.MolsToGridImage(found or [None], molsPerRow=5, subImgSize=(180, 180), returnPNG=False)
  file = io.BytesIO()
  picture.save(file, 'PNG')
  return file.getvalue()
