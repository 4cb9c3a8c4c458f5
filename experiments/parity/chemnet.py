"""Records what the package fcd says, for the tests to compare gen_jax.extractors.chemnet with. README.md: what to install.

  python experiments/parity/chemnet.py

Writes tests/extractors/chemnet.json; needs neither jax nor gen_jax.
"""
import importlib.metadata
import json
import pathlib
import platform
import sys

import fcd
import numpy as np
import torch
from fcd import utils

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tests/evals'))

import inputs

STRIDE = 16   # of the public model's features: all of them are 11,000 numbers


def drawn():
  """The package's network of inputs.CHEMNET and random weights."""
  state = {k: torch.from_numpy(v) for k, v in inputs.chemnet().items()}
  layer = lambda i: {name.partition('.')[2]: x for name, x in state.items() if name.startswith(f'{i}.')}
  size = lambda i, name: dict(zip(('out', 'in'), inputs.CHEMNET[str(i), name]))
  conv = lambda i: ('Conv1d', (layer(i), dict(in_channels=size(i, 'weight')['in'], out_channels=size(i, 'weight')['out'], kernel_size=4, stride=2,
                                              bias=False), dict(activation='selu', padding='same')))
  lstm = lambda i: ('LSTM', (layer(i), dict(input_size=size(i, 'weight_ih_l0')['in'], hidden_size=size(i, 'weight_hh_l0')['in'], batch_first=True),
                             dict(reverse=True, last=i == 3)))
  return utils.load_imported_model([conv(0), conv(1), lstm(2), lstm(3)]).eval()


def features(network, said):
  return [[float(f'{v:.8g}') for v in row] for row in np.asarray(fcd.get_predictions(network, said, n_jobs=0, device='cpu')).tolist()]


if __name__ == '__main__':
  torch.set_num_threads(1)
  said = [utils.canonical(one) for one in inputs.SMILES]
  public = fcd.load_ref_model()   # in float32, as published
  found = {'versions': {'python': platform.python_version(), **{k: importlib.metadata.version(k) for k in ('torch', 'fcd', 'rdkit', 'numpy')}},
           'canonical': said, 'drawn': features(drawn(), said), 'stride': STRIDE, 'public': [row[::STRIDE] for row in features(public, said)]}
  path = ROOT / 'tests/extractors/chemnet.json'
  path.write_text('{\n' + ',\n'.join(f'  {json.dumps(k)}: {json.dumps(v)}' for k, v in found.items()) + '\n}\n')
  print(f'{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes')
