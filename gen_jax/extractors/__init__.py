"""Rulers: images, texts or molecules to the features and class probabilities that metrics are computed on. One file a network, and *.safetensors of
trained classifiers.

`config.frozen.extractor` names one: a shipped classifier (`mnist-cnn`, `fmnist-cnn`), the workdir of another, or a module of this package
(`chemnet`, `inception`, `minilm`, `random`); left out, `minilm` of text, `chemnet` of molecules, else the data set's own, else `random`. A number is
comparable only under the same ruler, so the ruler's name and the beginning of its sha256 are part of every metric's name.
"""
import functools
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

from gen_jax import core

HERE = pathlib.Path(__file__).parent
OF_MODALITY = {'text': 'minilm', 'molecule': 'chemnet'}
OF_DATA = {'mnist': 'mnist-cnn', 'fashion_mnist': 'fmnist-cnn'}


class Extractor(NamedTuple):
  name: str                  # 'fmnist-cnn:1a2b3c4d'
  size: int                  # F
  classes: int               # of the logits; 0: there are none
  apply: Callable            # (params, prepare(x_B)) -> (features_BxF, logits_BxC or None), float32; examples are independent
  params: Any                # an argument, not a closure: 24 million constants would take minutes to compile
  # On the host, of x as it is stored (images uint8): a text is in the run's tokens, and a ruler has its own. What it cannot see is left out.
  prepare: Callable = lambda x_B: x_B


@functools.lru_cache(maxsize=4)
def make(name: str | None, data_name: str, spec) -> Extractor:
  """Raises InputError for an unknown one, and for one that is of other images."""
  name = name or OF_MODALITY.get(spec.modality) or OF_DATA.get(data_name, 'random')
  shipped = HERE / f'{name}.safetensors'
  if shipped.is_file():
    return core.module('extractors', 'classifier').read(shipped, spec)
  if pathlib.Path(name, 'config.json').is_file():
    return core.module('extractors', 'classifier').trained(pathlib.Path(name), spec)
  known = sorted({p.stem for p in [*HERE.glob('[a-z]*.py'), *HERE.glob('*.safetensors')]} - {'classifier'})   # which reads, and is none itself
  if name not in known:
    raise core.InputError(f'no extractor {name!r}: there are {", ".join(known)}, and the workdirs of classifiers')
  return core.module('extractors', name).make(spec)
