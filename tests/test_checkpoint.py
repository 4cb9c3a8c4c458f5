"""A checkpoint is restored only while it is whole, and onto any layout."""
import json
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from processes import ENVIRONMENT, ROOT, on

from configs import gaussians_gan
from gen_jax import checkpoint, core, data, run


def state(step):
  x = jnp.arange(300.) + step
  return core.TrainState(jnp.int32(step), {'model': {'w': x, 'b': x[:3]}}, {'model': {}}, {'model': (x * 2,)}, {}, {})


@pytest.fixture
def saved(tmp_path):
  """Three steps saved, two kept."""
  for step in (2, 4, 6):
    checkpoint.save(tmp_path, state(step), keep=2)
  assert sorted(p.name for p in tmp_path.iterdir()) == ['4', '6']
  return tmp_path


def biggest(path):
  return max((p for p in path.rglob('*') if p.is_file()), key=lambda p: p.stat().st_size)


def truncate(path):
  biggest(path).write_bytes(biggest(path).read_bytes()[:-1])


def delete(path):
  biggest(path).unlink()


def flip(path):
  content = bytearray(biggest(path).read_bytes())
  content[len(content) // 2] ^= 4
  biggest(path).write_bytes(content)


@pytest.mark.parametrize('harm', [
    truncate, delete, flip, lambda path: (path / 'sha256.json').unlink(), lambda path: (path / 'sha256.json').write_text('{"a'),
    lambda path: (path / 'sha256.json').write_text('{}'), lambda path: (path / 'sha256.json').write_text('[1]')])
def test_damage_gives_way_to_the_step_before(saved, harm):
  harm(saved / '6')
  said = []
  restored = checkpoint.restore(saved, state(0), said.append)
  assert checkpoint.state_sha256(restored) == checkpoint.state_sha256(state(4))
  assert len(said) == 1 and said[0].startswith('checkpoint 6 is damaged') and 'the one before it is used' in said[0]
  checkpoint.save(saved, state(6), keep=2)   # it can be written again
  assert int(checkpoint.restore(saved, state(0), said.append).step) == 6 and len(said) == 1


def test_strangers_stay_and_leftovers_go(saved):
  for name in ('notes', 'damaged', '7', '8.partial', '8.partial.orbax-checkpoint-tmp-1', 'mine.partial'):
    (saved / name).mkdir()
  (saved / 'file').write_text('')
  said = []
  assert int(checkpoint.restore(saved, state(0), said.append).step) == 6
  assert (saved / '8.partial').exists()   # another process may be writing it
  checkpoint.sweep(saved)
  assert said == ['checkpoint 7 is an empty directory: removed']
  assert sorted(p.name for p in saved.iterdir()) == ['4', '6', 'damaged', 'file', 'mine.partial', 'notes']


SAVE = '''
import pathlib, sys
import jax.numpy as jnp
from gen_jax import checkpoint, core
for step in (2, 4, 6):
  x = jnp.arange(300.) + step
  state = core.TrainState(jnp.int32(step), {'model': {'w': x, 'b': x[:3]}}, {'model': {}}, {'model': (x * 2,)}, {}, {})
  checkpoint.save(pathlib.Path(sys.argv[1]), state, keep=1)
'''


def test_kill_9_within_a_save(tmp_path):
  moments = {   # what is about to happen, and the step that is left
      'orbax renames': (('os.rename', '6.partial.orbax-checkpoint-tmp'), 4),
      'hashes': (('open', '6.partial/sha256.json'), 4),
      'we rename': (('os.rename', "/6.partial'"), 4),
      'the old one goes': (('shutil.rmtree', '4.partial'), 6)}
  killed = {name: subprocess.Popen([sys.executable, '-c', on(*event, 'kill') + SAVE, tmp_path / name], env={**ENVIRONMENT})
            for name, (event, _) in moments.items()}
  for name, (_, left) in moments.items():
    assert killed[name].wait(60) == -signal.SIGKILL, name
    said = []
    checkpoint.sweep(tmp_path / name)
    restored = checkpoint.restore(tmp_path / name, state(0), said.append)
    assert checkpoint.state_sha256(restored) == checkpoint.state_sha256(state(left)) and not said, name
    assert [p.name for p in (tmp_path / name).iterdir()] == [str(left)], name


def test_another_model_is_refused(saved):
  other = state(0).replace(params={'model': {'w': jnp.zeros(299), 'b': jnp.zeros(3)}})
  with pytest.raises(core.InputError, match=r'params.model.w is \(300,\) there and \(299,\) here'):
    checkpoint.restore(saved, other)


def test_eight_devices_to_others(tmp_path):
  def build(mesh, seeds=2):
    config = gaussians_gan.get_config('smoke')
    config.update(mesh=mesh, seeds=seeds)
    return run.build(config, data.Spec((2,), bounded=False))
  first = run.initial(build('seed=2,data=2,fsdp=2'))
  checkpoint.save(tmp_path, first, 1)
  for mesh in ('data=1', 'data=4', 'seed=2,data=1,fsdp=2', 'data=2,fsdp=4'):
    like = run.abstract(build(mesh))
    again = checkpoint.restore(tmp_path, like)
    assert checkpoint.state_sha256(again) == checkpoint.state_sha256(first)
    assert jax.tree.all(jax.tree.map(lambda x, l: x.sharding == l.sharding, again, like)), mesh


def test_the_hash_sees_every_leaf_and_no_frozen_part():
  one = checkpoint.state_sha256(state(1))
  assert checkpoint.state_sha256(state(1).replace(frozen={'ruler': jnp.ones(3)})) == one
  w = np.arange(300, dtype=np.float32) + 1
  for changed in (dict(step=jnp.int32(2)), dict(params={'model': {'w': np.nextafter(w, 999, dtype=np.float32), 'b': w[:3]}}),
                  dict(opt_state={'model': (2 * w.astype(np.float16),)}), dict(ema={'model': w})):
    assert checkpoint.state_sha256(state(1).replace(**changed)) != one


def test_no_code_in_a_workdir():
  """No file of the package unpickles, evaluates or imports by an unchecked name."""
  for path in (ROOT / 'gen_jax').rglob('*.py'):
    for word in ('pickle', 'eval(', 'exec(', 'marshal', 'shelve', 'joblib'):
      assert word not in path.read_text(), (path, word)
    assert path.name == 'cli.py' or 'import_module' not in path.read_text() or path.name == 'core.py'


def test_hashes_are_of_every_file(saved):
  listed = json.loads((saved / '6/sha256.json').read_text())
  assert {str(p.relative_to(saved / '6')) for p in (saved / '6').rglob('*') if p.is_file()} == {*listed, 'sha256.json'}
