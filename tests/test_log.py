"""What a run shows and writes as it goes."""
import json
import os
import pty
import re
import subprocess
import sys
import termios

import numpy as np
import pytest
from PIL import Image
from processes import ENVIRONMENT, SMALL, left
from tensorboardX.proto import event_pb2

from gen_jax import config as configs
from gen_jax import data, log, loop, run
from gen_jax.config import base
from gen_jax.data import mnist
from gen_jax.modalities import image, music


@pytest.fixture
def config():
  return configs.plain(base('gaussians', 'gan', 'mlp'))


def events(folder):
  """The records of the event files, the checksums between them left out."""
  found = []
  for path in sorted(folder.iterdir()):
    raw, at = path.read_bytes(), 0
    while at < len(raw):
      size = int.from_bytes(raw[at:at + 8], 'little')
      found.append(event_pb2.Event.FromString(raw[at + 12:at + 12 + size]))
      at += 16 + size
  return found


def test_rows_events_and_pictures(tmp_path, config, capsys):
  writer = log.Log(tmp_path, config, 0, 4)
  writer.losses(2, {'model/loss': np.float32(.5), 'model/norm': np.float32(2)})
  writer.row(4, {'eval/score': np.array([1., 3.])}, {})
  Image.new('L', (3, 2)).save(tmp_path / 'x.png')
  writer.file('samples', tmp_path / 'x.png', 4)
  writer.close()
  first, second = log.read(tmp_path / 'metrics.jsonl')
  assert first['step'] == 2 and first['model/loss'] == .5 and first['time']['steps_per_second'] > 0
  assert second == {'step': 4, 'eval/score': 2., 'eval/score_stderr': 1., 'eval/score_seeds': [1., 3.], 'time': {}}
  scalars = {v.tag: (e.step, v.simple_value) for e in events(tmp_path / 'events') for v in e.summary.value if not v.HasField('image')}
  assert scalars['model/loss'] == (2, .5) and scalars['eval/score'] == (4, 2.)
  image, = [v.image for e in events(tmp_path / 'events') for v in e.summary.value if v.HasField('image')]
  assert (image.width, image.height) == (3, 2)
  said = capsys.readouterr().out.splitlines()
  assert re.fullmatch(r'step 2/4  [\d.]+ steps/s  \d+ s left  model/loss 0.500', said[0]) and 'eval/score 2.000' in said[1]


def test_resuming_cuts_back(tmp_path, config):
  path = tmp_path / 'metrics.jsonl'
  path.write_text('{"step": 2, "a": 1}\n\xff{"st\n[3]\n{"step": 4, "a": 2}\n{"step": 6, "a": 3}\n{"step": 8, "a')
  log.Log(tmp_path, config, 4, 8).close()
  assert path.read_text() == '{"step": 2, "a": 1}\n{"step": 4, "a": 2}\n'
  assert [e.step for e in events(tmp_path / 'events') if e.HasField('session_log')] == [5]


def test_curves(tmp_path):
  log.plot([{'step': i, 'a/loss': i, 'b/loss': -i, 'c': 1., 'c_stderr': .5, 'c_seeds': [0., 2.], 'time': {}} for i in range(3)], tmp_path / 'c.png')
  with Image.open(tmp_path / 'c.png') as image:
    assert image.size[0] > 500 and len(image.convert('RGB').getcolors(10**6)) > 10
  log.plot([], tmp_path / 'none.png')
  assert not (tmp_path / 'none.png').exists()


def test_files_of_a_run(reference):
  assert len(left(reference)[1]) == 14 and (reference / 'curves.png').stat().st_size > 10_000
  assert sorted(p.name for p in (reference / 'samples').iterdir()) == ['step_12.png', 'step_24.png']
  assert max(e.step for e in events(reference / 'events')) == 24
  assert json.loads((reference / 'manifest.json').read_text())['flops_per_step'] > 0


def test_bar_on_a_terminal(tmp_path):
  ours, theirs = pty.openpty()
  termios.tcsetwinsize(theirs, (24, 160))
  process = subprocess.Popen([sys.executable, '-m', 'gen_jax.train', f'--workdir={tmp_path}', *SMALL], stdout=theirs, stderr=theirs,
                             env={**os.environ, **ENVIRONMENT, 'TERM': 'xterm'})
  os.close(theirs)
  shown = b''
  try:
    while part := os.read(ours, 4096):
      shown += part
  except OSError:   # how a terminal says that its other side is gone
    pass
  os.close(ours)
  assert process.wait() == 0
  assert re.search(r'24/24 \[\d\d:\d\d<\d\d:\d\d, +[\d.]+(step/s|s/step).*generator/loss=\d', shown.decode()), shown


def test_wandb_offline(tmp_path, config, monkeypatch):
  monkeypatch.setenv('WANDB_MODE', 'offline')
  monkeypatch.setenv('WANDB_SILENT', 'true')
  writer = log.Log(tmp_path, {**config, 'wandb': 'test'}, 0, 4)
  writer.losses(2, {'model/loss': np.float32(.5)})
  writer.close()
  run, = (tmp_path / 'wandb').glob('offline-run-*')
  assert any(p.suffix == '.wandb' for p in run.iterdir())


def test_few_held_out_images_are_shown_again(tmp_path, monkeypatch):
  game = run.build(base('mnist', 'vae', 'mlp', model={}), mnist.SPEC)
  x = np.linspace(-1, 1, 3 * 784, dtype=np.float32).reshape(3, 28, 28, 1)
  monkeypatch.setattr(run, 'held_out', lambda game, split, n: {'x': x})
  monkeypatch.setattr(run, 'sampler', lambda game: lambda state, key, condition, n: np.zeros((n, 28, 28, 1), np.float32))
  monkeypatch.setattr(run, 'mapped', lambda game, f: lambda state, key, n, arrays: -arrays['x'])
  writer = log.Log(tmp_path, configs.plain(game.config), 0, 4)
  loop._pictures(game, tmp_path, writer)(None, 4)
  writer.close()
  shown = image.load(tmp_path / 'samples' / 'step_4_reconstructions.png')
  assert shown.shape[:2] == (578, 578)   # ten by ten of 28 pixels and a gap of one, twice as large
  first, *_, fourth = (shown[:56, 58 * i:58 * i + 56] for i in range(4))
  np.testing.assert_array_equal(first, fourth)
  np.testing.assert_allclose(first[::2, ::2], x[0], atol=.01)


def test_music_is_kept_to_be_heard_and_shown(tmp_path, monkeypatch):
  x = np.tile(music.from_grid(music.PITCH + np.array([[72, 67, 60, 48]] * 4)), (2, 1))
  game = run.build(base('chorales', 'autoregressive', 'transformer', model={}), data.Spec((17,), bounded=False, modality='music', tokenizer='voices'))
  monkeypatch.setattr(run, 'grid_conditions', lambda game: (2, x[:, :4]))
  monkeypatch.setattr(run, 'sampler', lambda game: lambda state, key, condition, n: x)
  writer = log.Log(tmp_path, configs.plain(game.config), 0, 4)
  loop._pictures(game, tmp_path, writer)(None, 4)
  writer.close()
  assert {path.name for path in (tmp_path / 'samples').iterdir()} == {'step_4.mid', 'step_4.png'}
  assert [v.image.width for e in events(tmp_path / 'events') for v in e.summary.value if v.HasField('image')] == [4 * 8]
