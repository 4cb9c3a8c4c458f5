"""Drug-likeness of a molecule, in [0, 1] (Bickerton et al. 2012); 0 of what is none."""
import numpy as np

from gen_jax import core
from gen_jax.modalities import molecule, text

DEFAULTS = dict()


def make(options, spec):
  if spec.modality != 'molecule':
    raise core.InputError('reward.name=qed is of molecules')
  molecule.chemistry()
  from rdkit.Chem import QED
  return lambda x_NxL: np.array([QED.qed(one) if one else 0. for one in molecule.parsed(text.texts(x_NxL, spec.tokenizer))])
