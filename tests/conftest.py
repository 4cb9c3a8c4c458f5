"""Eight CPU devices for every layout, set before any test starts the backend."""
import gc
import os

import jax
import processes
import pytest
from xdist.scheduler import LoadScopeScheduling

if jax.__version_info__ < (0, 11):   # halves the time to compile; later ones know no other emitters
  # In one part, for to cut a program in many takes a tenth more of the processor than it gains on two cores.
  os.environ['XLA_FLAGS'] = os.environ.get('XLA_FLAGS', '') + ' --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'
jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 8)
jax.config.update('jax_debug_key_reuse', True)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_disable_most_optimizations', True)   # halves the time to compile


def pytest_xdist_auto_num_workers(config):
  """A file or a test alone is sooner done by one process than two are started."""
  return 0 if config.option.file_or_dir or config.option.keyword else 2


def pytest_runtest_logfinish():
  """What is left of a test is what stays, compiled programs and imported modules: no later collection of garbage looks at millions of these again."""
  gc.collect()
  gc.freeze()


class Scheduling(LoadScopeScheduling):
  """What shares compiled programs or the reference run is for one worker: the tests of one game, those with that run, those of one file."""

  def _split_scope(self, nodeid):
    file, _, test = nodeid.partition('::')
    if file.endswith('test_conformance.py'):
      return test.partition('[')[2] or file
    return 'reference' if file.endswith(('test_survival.py', 'test_cli.py', 'test_log.py', 'test_report.py')) else file


def pytest_xdist_make_scheduler(config, log):
  return Scheduling(config, log)


@pytest.fixture(scope='session')
def reference(tmp_path_factory):
  """The workdir of a run that nothing disturbed."""
  workdir = tmp_path_factory.mktemp('reference')
  processes.train(workdir)
  return workdir
