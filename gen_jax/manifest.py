"""What a run was: `manifest.json`, enough to run it again and to know whether the same came out."""
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess

import jax

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'chex', 'ml-collections', 'numpy', 'scikit-learn')

CONFIG = ('jax_enable_x64', 'jax_default_matmul_precision', 'jax_default_prng_impl', 'jax_disable_most_optimizations')   # which bits depend on


def environment(mesh) -> dict:
  """What bits depend on beside the config: software, devices, flags."""
  root = pathlib.Path(__file__).parent.parent
  return {
      'git_commit': _git(root, 'rev-parse', 'HEAD'),
      'git_clean': _git(root, 'status', '--porcelain', '--untracked-files=no') == '',
      'python': platform.python_version(),
      'packages': {name: importlib.metadata.version(name) for name in PACKAGES},
      'processes': jax.process_count(),
      'mesh': dict(mesh.shape),
      'jax_config': {name: jax.config.values[name] for name in CONFIG},
      **numerics(),
  }


def numerics() -> dict:
  """What the last bits of one computation depend on."""
  return {'jax': jax.__version__, 'device_kind': jax.devices()[0].device_kind, 'machine': _processor(), 'xla_flags': os.environ.get('XLA_FLAGS', '')}


def write(workdir: pathlib.Path, content: dict):
  partial = workdir / 'manifest.json.partial'
  partial.write_text(json.dumps(content, indent=1) + '\n')
  os.replace(partial, workdir / 'manifest.json')


def read(workdir: pathlib.Path) -> dict | None:
  """None where there is none or it can't be read."""
  try:
    found = json.loads((workdir / 'manifest.json').read_text())
  except (OSError, ValueError):
    return None
  return found if isinstance(found, dict) and isinstance(found.get('spec'), dict) else None


def _git(root, *command):
  try:
    done = subprocess.run(['git', '-C', str(root), *command], capture_output=True, text=True)
  except OSError:
    return None
  return done.stdout.strip() if done.returncode == 0 else None


def _processor():
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
    return next(line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
  except (OSError, StopIteration):
    return platform.processor() or platform.machine()
