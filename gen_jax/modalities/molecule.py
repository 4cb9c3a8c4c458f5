"""Molecules as SMILES (Weininger 1988): tokens of characters, each molecule between two END; files hold one a line. RDKit reads and draws them."""
import io

import numpy as np

from gen_jax import core, modalities
from gen_jax.modalities import text
from gen_jax.modalities.text import size, texts  # noqa: F401  a modality of tokens has them

SUFFIX = '.smi'


def tokens(said: str, tokenizer: str) -> np.ndarray:
  """int32 [1 + L], END first."""
  return np.append(text.END, text.tokens(said, tokenizer)).astype(np.int32)


def save(path, x_NxL, columns: int, tokenizer: str):
  """Writes one SMILES a line, whole or not at all."""
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


def drawn(said: list[str], columns: int) -> bytes:
  """A PNG with the molecules of SMILES in rows, those that are none as empty places."""
  chemistry()
  from rdkit.Chem import Draw
  picture = Draw.MolsToGridImage(parsed(said), molsPerRow=columns, subImgSize=(180, 180), returnPNG=False)
  file = io.BytesIO()
  picture.save(file, 'PNG')
  return file.getvalue()
