"""Records what the reference packages say of fixed inputs, for the tests to compare with. README.md: what to install, and what each rule is.

  python experiments/parity/record.py

Writes tests/evals/references.json and tests/extractors/inception.json; needs neither jax nor gen_jax.
"""
import importlib
import importlib.metadata
import json
import pathlib
import platform
import sys
import tempfile
import types

import numpy as np
import scipy.linalg
import torch

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tests/evals'))

# The imports below stand here, for they need the path above and the stand-ins that follow.
import inputs

try:
  importlib.import_module('torchvision')   # torch-fidelity does, if it can be
except ImportError:
  # torch-fidelity imports torchvision for data sets and networks that are not asked for here, and PyPI's does not import beside a CPU build of
  # torch. Empty stand-ins: nothing below reads them, and what did would raise AttributeError.
  for name in ('torchvision', 'torchvision.datasets', 'torchvision.transforms', 'torchvision.transforms.functional'):
    sys.modules[name] = types.ModuleType(name)
    if '.' in name:
      parent, child = name.rsplit('.', 1)
      setattr(sys.modules[parent], child, sys.modules[name])
  for name in ('CIFAR10', 'CIFAR100', 'STL10'):
    setattr(sys.modules['torchvision.datasets'], name, type(name, (), {}))

import prdc
import pytorch_msssim
from torch_fidelity import FeatureExtractorInceptionV3, metric_fid, metric_isc, metric_kid
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

PACKAGES = ('torch', 'torch_fidelity', 'prdc', 'pytorch_msssim', 'scipy', 'scikit-learn', 'numpy')
KID = dict(kid_subsets=20, kid_subset_size=100, rng_seed=2020, verbose=False)
NEAREST = 5
WEIGHTS_3 = (.2, .3, .5)


def fid(x, y):
  theirs = metric_fid.fid_statistics_to_metric(*(metric_fid.fid_features_to_statistics(torch.from_numpy(a)) for a in (x, y)), verbose=False)
  root = scipy.linalg.sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False))
  difference = x.mean(0) - y.mean(0)
  ours = difference @ difference + np.trace(np.cov(x, rowvar=False)) + np.trace(np.cov(y, rowvar=False)) - 2 * np.trace(root).real
  return {'torch_fidelity': theirs[metric_fid.KEY_METRIC_FID], 'scipy': float(ours)}


def mmd(x, y):
  """Gretton et al. 2012, eq. 3, with (x . y / D + 1)^3; sums over pairs, without numpy tricks that the code under test may share."""
  kernel = lambda a, b: (a @ b.T / a.shape[1] + 1)**3
  n, m = len(x), len(y)
  apart = lambda k: k[~np.eye(len(k), dtype=bool)].sum() / (len(k) * (len(k) - 1))
  return float(apart(kernel(x, x)) + apart(kernel(y, y)) - 2 * kernel(x, y).sum() / (n * m))


def kid(x, y):
  found = metric_kid.kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **KID)
  n = min(len(x), len(y))
  return {'mean': found[metric_kid.KEY_METRIC_KID_MEAN], 'std': found[metric_kid.KEY_METRIC_KID_STD], 'block_size': n,
          'block_scipy': mmd(x[:n], y[:n]), 'block_torch_fidelity': float(metric_kid.kernel_mmd(x[:n], y[:n]))}


def isc(logits, shuffle):
  found = metric_isc.isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=shuffle, rng_seed=2020)
  return {'mean': found[metric_isc.KEY_METRIC_ISC_MEAN], 'std': found[metric_isc.KEY_METRIC_ISC_STD]}


def ms_ssim_by_parts(x, y, weights, data_range, win):
  """pytorch_msssim.ms_ssim refuses sides up to 160 however few scales are asked for: the same, from its own parts, where the asked ones fit."""
  parts = importlib.import_module('pytorch_msssim.ssim')   # the package's own name `ssim` is the function
  terms = []
  for level in range(len(weights)):
    both, contrast = parts._ssim(x, y, data_range, win)
    terms.append(torch.relu(both if level == len(weights) - 1 else contrast))
    x, y = (torch.nn.functional.avg_pool2d(a, 2, padding=[s % 2 for s in a.shape[2:]]) for a in (x, y))
  return torch.stack([term**weight for term, weight in zip(terms, weights)]).prod(0).mean(1)


def similarity(name):
  """Under the window as shipped, rounded to float32, and under the same in float64: the first does not quite sum to 1, which moves SSIM by 1e-5."""
  tap = torch.exp(-(torch.arange(11.).double() - 5)**2 / (2 * 1.5**2))
  found = {}
  for data_range in (255, 1):
    x, y = (torch.from_numpy(a).double().permute(0, 3, 1, 2) * (data_range / 255) for a in inputs.pairs(name))
    for window, win in (('shipped', None), ('float64', (tap / tap.sum()).repeat(x.shape[1], 1, 1, 1))):
      known = dict(data_range=data_range, win=win)
      values = {'ssim': pytorch_msssim.ssim(x, y, size_average=False, **known)}
      if min(x.shape[2:]) > 160:
        values['ms_ssim'] = pytorch_msssim.ms_ssim(x, y, size_average=False, **known)
        values['ms_ssim_3'] = pytorch_msssim.ms_ssim(x, y, size_average=False, weights=list(WEIGHTS_3), **known)
        assert win is None or torch.allclose(ms_ssim_by_parts(x, y, WEIGHTS_3, **known), values['ms_ssim_3'], rtol=1e-12)
      elif min(x.shape[2:]) > 40 and win is not None:
        values['ms_ssim_3'] = ms_ssim_by_parts(x, y, WEIGHTS_3, **known)
      found[f'{data_range} {window}'] = {k: v.tolist() for k, v in values.items()}
  return found


def versions():
  return {'python': platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}


def references():
  real, fake = inputs.neighbours()
  pairs = {name: inputs.features(name) for name in inputs.FEATURES}
  logits = {name: inputs.logits(name) for name in inputs.LOGITS}
  return {
      'versions': versions(),
      'fid': {name: fid(*xy) for name, xy in pairs.items()},
      'kid': {name: kid(*xy) for name, xy in pairs.items()} | {'options': KID},
      'inception_score': {name: {'in_order': isc(x, False), 'shuffled': isc(x, True)} for name, x in logits.items()},
      'prdc': {'nearest': NEAREST, **{k: float(v) for k, v in prdc.compute_prdc(real, fake, NEAREST).items()}},
      'similarity': {'weights_3': WEIGHTS_3, **{name: similarity(name) for name in inputs.PAIRS}},
  }


def inception():
  """Random weights by name, for the public ones are 90 MB: what is compared is the network, and that its layers are found by their names."""
  class Network(FeatureExtractorInceptionV3):   # its constructor loads a file before the shapes of what is in it can be asked
    def load_state_dict(self, state):
      return super().load_state_dict(state) if state else None
  with tempfile.NamedTemporaryFile(suffix='.pth') as file:
    torch.save({}, file.name)
    network = Network('inception', ['2048', 'logits_unbiased'], file.name)
  wanted = {k: tuple(v.shape) for k, v in network.state_dict().items() if not k.endswith('num_batches_tracked')}
  network.load_state_dict({k: torch.from_numpy(inputs.tensor(k, shape)) for k, shape in wanted.items()})
  to_torch = lambda x: torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
  with torch.no_grad():
    features, logits = network(to_torch(inputs.inception_images()))
    at = inputs.resized_samples()
    samples = {}
    for name in inputs.RESIZED:
      out = interpolate_bilinear_2d_like_tensorflow1x(to_torch(inputs.resized(name)).float(), size=(299, 299), align_corners=False)
      samples[name] = out[:, :, at[:, 0], at[:, 1]].permute(0, 2, 1).double().numpy().round(7).tolist()
  # Every 8th feature and logit: all of them together are 9,000 numbers.
  return {'versions': versions(), 'stride': 8, 'features': _short(features[:, ::8]), 'logits': _short(logits[:, ::8]), 'resized': samples,
          'tensors': len(wanted), 'parameters': int(sum(np.prod(s) for s in wanted.values()))}


def _short(x):
  return [[float(f'{v:.8g}') for v in row] for row in x.tolist()]


def write(path, found):
  """JSON with a list of numbers on one line."""
  def text(x, indent):
    if isinstance(x, dict):
      inner = ',\n'.join(f'{indent}  {json.dumps(k)}: {text(v, indent + "  ")}' for k, v in x.items())
      return f'{{\n{inner}\n{indent}}}'
    return json.dumps(x)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text(found, '') + '\n')
  print(f'{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes')


if __name__ == '__main__':
  torch.set_num_threads(1)
  write(ROOT / 'tests/evals/references.json', references())
  write(ROOT / 'tests/extractors/inception.json', inception())
