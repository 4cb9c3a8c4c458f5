"""Texts of so many words (modalities.text.words): -|words - target| / target, 0 at best."""
import numpy as np

from gen_jax import core
from gen_jax.modalities import text

DEFAULTS = dict(target=10)


def make(options, spec):
  if spec.modality != 'text':
    raise core.InputError('reward.name=length is of text')
  if options.target < 1:
    raise core.InputError(f'reward.target={options.target}: at least 1 word')
  return lambda x_NxL: np.array([-abs(len(text.words(said)) - options.target) / options.target for said in text.texts(x_NxL, spec.tokenizer)])
