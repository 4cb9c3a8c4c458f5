"""Whatever happens to a run, the same command again ends in the state and the metrics of a run that nothing disturbed."""
import json
import random
import shutil
import signal
import time

import pytest
from processes import SMALL, edit, finish, kill_at_random, left, on, start, train

from gen_jax import checkpoint


def test_kill_9_at_random_moments(reference, tmp_path):
  seed = random.randrange(10**6)
  moments, workdirs = random.Random(seed), [tmp_path / 'a', tmp_path / 'b']
  for process in [start('train', f'--workdir={w}', *SMALL) for w in workdirs]:
    kill_at_random(process, moments)
  for process in [start('train', f'--workdir={w}', *SMALL) for w in workdirs]:
    finish(process)
  for workdir in workdirs:
    assert left(workdir) == left(reference), seed


def test_sigterm_and_a_kill_within_a_save(reference, tmp_path):
  process = start('train', f'--workdir={tmp_path}', *SMALL)
  time.sleep(.5)
  process.terminate()   # while it imports: the shell says 143 of -15
  finish(process, (143, -signal.SIGTERM))

  process = start('train', f'--workdir={tmp_path}', *SMALL)
  process.stdout.readline()
  time.sleep(.3)
  process.terminate()   # while it traces and compiles
  out, err = finish(process, 143)
  said, = [line for line in out.splitlines() if 'SIGTERM' in line]
  step = checkpoint.steps(tmp_path / 'checkpoints')[-1]
  assert said == f'SIGTERM: saved step {step} of 24 in {tmp_path}; the same command goes on from there' and not err

  train(tmp_path, first=on('os.rename', '8.partial.orbax-checkpoint-tmp', 'kill'), code=-signal.SIGKILL)
  out, _ = train(tmp_path)
  assert 'resuming at step 4' in out and 'damaged' not in out
  assert left(tmp_path) == left(reference)


def test_damage_is_found_told_and_played_again(reference, tmp_path):
  workdir = tmp_path / 'run'
  shutil.copytree(reference, workdir)
  big = max((workdir / 'checkpoints/24').rglob('*'), key=lambda p: p.stat().st_size if p.is_file() else 0)
  content = bytearray(big.read_bytes())
  content[len(content) // 2] ^= 1
  big.write_bytes(content)
  for name in ('notes', '30', '3.partial'):
    (workdir / 'checkpoints' / name).mkdir()
  (workdir / 'checkpoints/notes/best.txt').write_text('20')
  (workdir / 'checkpoints/README').write_text('mine')
  with open(workdir / 'metrics.jsonl', 'a') as f:
    f.write('{"step": 24, "disc')
  out, _ = train(workdir)
  assert 'checkpoint 24 is damaged' in out and 'checkpoint 30 is an empty directory' in out and 'resuming at step 20' in out
  assert left(workdir) == left(reference)
  assert (workdir / 'checkpoints/notes/best.txt').read_text() == '20' and (workdir / 'checkpoints/README').read_text() == 'mine'
  assert not (workdir / 'checkpoints/3.partial').exists() and (workdir / 'checkpoints/damaged/24').exists()
  assert checkpoint.steps(workdir / 'checkpoints') == [20, 24]


def test_more_steps_are_a_longer_run(reference, tmp_path):
  train(tmp_path, '--config.steps=12')
  out, _ = train(tmp_path)
  assert 'resuming at step 12' in out and left(tmp_path) == left(reference)


@pytest.mark.parametrize('event, text, why, saved', [
    ('import', 'gen_jax.loop', 'File too large; the same command', []),
    ('os.rename', 'manifest.json.partial', 'File too large; the same command', []),
    ('os.mkdir', '12.partial', 'File too large; the checkpoint of step 8 is intact', [4, 8]),
])
def test_full_disk(reference, tmp_path, event, text, why, saved):
  _, err = train(tmp_path, first=on(event, text, 'full'), code=1)
  line, = err.splitlines()
  assert line.startswith('error: ') and str(tmp_path) in line and why in line
  assert checkpoint.steps(tmp_path / 'checkpoints') == saved
  if saved:
    train(tmp_path)
    assert left(tmp_path) == left(reference)


def test_replay(reference, tmp_path):
  workdirs = [tmp_path / 'same', tmp_path / 'other']
  for workdir in workdirs:
    shutil.copytree(reference, workdir)
  sha, _ = left(reference)
  begun = shutil.copytree(reference, workdirs[0] / 'replay')   # it was interrupted, and goes on
  shutil.rmtree(begun / 'checkpoints/24')
  record = json.loads((begun / 'manifest.json').read_text())
  (begun / 'manifest.json').write_text(json.dumps({k: v for k, v in record.items() if k != 'state_sha256'}))
  edit(workdirs[1] / 'manifest.json', state_sha256=('1' if sha[0] == '0' else '0') + sha[1:], python='2.7', changes=['step 4: seed: 0 -> 1'])
  same, other = (start('replay', f'--workdir={w}') for w in workdirs)
  out, _ = finish(same)
  assert 'resuming at step 20' in out and f'the same to the bit: {sha}' in out and not (workdirs[0] / 'replay').exists()
  out, err = finish(other, 1)
  assert 'not the same: python: 2.7 -> ' in out and 'step 4: seed: 0 -> 1' in out
  assert len(err.splitlines()) == 1 and sha[:16] in err and (workdirs[1] / 'replay/manifest.json').exists()
