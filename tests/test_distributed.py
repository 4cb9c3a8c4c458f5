"""Two processes under jax.distributed train what one process with as many devices trains."""
import os
import socket
import subprocess
import sys

import numpy as np
from processes import ENVIRONMENT, ROOT, SMALL, finish, left, start

from gen_jax import checkpoint, run

# SGD, for Adam amplifies the order of a sum.
SGD = [f'--config.roles.{role}.{option}' for role in ('discriminator', 'generator') for option in ('optimizer=sgd', 'learning_rate=.05', 'b1=.0')]


def test_two_processes_are_one_with_two_devices(tmp_path):
  with socket.socket() as s:
    s.bind(('127.0.0.1', 0))
    port = s.getsockname()[1]
  flags = [*SMALL, *SGD, '--config.steps=8']
  two = [start('train', f'--workdir={tmp_path}/two', *flags, f'--distributed=127.0.0.1:{port},2,{i}') for i in range(2)]
  one = start('train', f'--workdir={tmp_path}/one', *flags, JAX_NUM_CPU_DEVICES='2')
  said = [finish(process) for process in (*two, one)]
  assert 'on each of 2 device(s)' in said[0][0] and 'step' not in said[1][0]

  states = [checkpoint.leaves(run.load(tmp_path / name, lambda config: config.update(mesh='data=2'))[1]) for name in ('one', 'two')]
  for path, leaf in states[0].items():
    np.testing.assert_allclose(leaf, states[1][path], rtol=1e-5, atol=1e-7, err_msg=path)
  (_, one), (_, two) = left(tmp_path / 'one'), left(tmp_path / 'two')
  assert len(one) == len(two) == 5
  for a, b in zip(one, two):
    assert a.keys() == b.keys()
    np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=1e-4, atol=1e-6)
  assert len(list((tmp_path / 'two/events').iterdir())) == 1


def test_nothing_starts_the_backend_when_it_is_imported():
  """Or jax.distributed comes too late."""
  code = '''
import importlib, pathlib
from jax._src import xla_bridge
for path in sorted([*pathlib.Path('gen_jax').rglob('*.py'), *pathlib.Path('configs').glob('*.py')]):
  if path.stem != '__main__':
    importlib.import_module('.'.join(path.with_suffix('').parts).removesuffix('.__init__'))
    assert not xla_bridge.backends_are_initialized(), path'''
  subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT, env={**os.environ, **ENVIRONMENT})
