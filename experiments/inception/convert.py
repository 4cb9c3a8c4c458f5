"""Converts the public PyTorch weights of FID's Inception-v3 to the file that gen_jax.extractors.inception reads, once.

  pip install -e '.[torch]'
  python -m experiments.inception.convert WEIGHTS.pth [OUT]

WEIGHTS.pth: weights-inception-2015-12-05-6726825d.pth of the releases of torch-fidelity, or pt_inception-2015-12-05-6726825d.pth of pytorch-fid
(Apache-2.0, as TensorFlow's own). OUT: $GEN_JAX_DATA/inception.safetensors where it is not given. Prints the sha256, which it also writes beside OUT.
"""
import argparse
import hashlib
import pathlib
import pickle
import sys

import safetensors.numpy

from gen_jax import cli, core, data
from gen_jax.extractors import inception


def load(path: pathlib.Path) -> dict:
  """A state dict as numpy arrays. Raises InputError for a file that is missing or holds something else."""
  if not path.is_file():
    raise core.InputError(f'{path} is not a file')
  try:
    import torch
  except ImportError:
    raise core.InputError("reading PyTorch's weights takes PyTorch: pip install -e '.[torch]'") from None
  try:
    state = torch.load(path, map_location='cpu', weights_only=True)
  except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as e:
    raise core.InputError(f'{path} does not hold PyTorch weights: {(str(e).splitlines() or [type(e).__name__])[0]}') from None
  if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
    raise core.InputError(f'{path} does not hold a state dict')
  return {k: v.numpy() for k, v in state.items()}


def convert(source: pathlib.Path, out: pathlib.Path) -> str:
  """Writes out and out.sha256 (as `sha256sum -c` reads it); returns the sha256. Raises InputError as `load` and `inception.from_public` do."""
  raw = safetensors.numpy.save(inception.from_public(load(source), source))
  digest = hashlib.sha256(raw).hexdigest()
  try:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(raw)
    out.with_name(f'{out.name}.sha256').write_text(f'{digest}  {out.name}\n')
  except OSError as e:
    raise core.InputError(f'{out} cannot be written: {e}') from None
  return digest


@cli.verb
def main(argv):
  parser = argparse.ArgumentParser(prog='python -m experiments.inception.convert', description=__doc__.splitlines()[0])
  parser.add_argument('weights', type=pathlib.Path, metavar='WEIGHTS.pth')
  parser.add_argument('out', type=pathlib.Path, nargs='?', metavar='OUT', help='$GEN_JAX_DATA/inception.safetensors')
  options = parser.parse_args(argv)
  out = options.out or data.directory() / inception.FILE
  print(f'{convert(options.weights, out)}  {out}')


if __name__ == '__main__':
  sys.exit(main())
