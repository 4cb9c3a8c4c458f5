"""Eight CPU devices for every layout, set before any test starts the backend."""
import jax
import processes
import pytest

jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 8)
jax.config.update('jax_debug_key_reuse', True)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_disable_most_optimizations', True)   # halves the time to compile


@pytest.fixture(scope='session')
def reference(tmp_path_factory):
  """The workdir of a run that nothing disturbed."""
  workdir = tmp_path_factory.mktemp('reference')
  processes.train(workdir)
  return workdir
