"""The blind page: what it asks, and what follows from the answers."""
import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from gen_jax import blind, checkpoint, data, manifest, run
from gen_jax import config as configs
from gen_jax.data import mnist


@pytest.fixture(scope='module')
def page(tmp_path_factory):
  """(the workdir of a conditional GAN as if it had been trained, what the page asks, the page)."""
  config = configs.variant(configs.base('mnist', 'gan', 'mlp', discriminator={}, generator={}), 'smoke')
  config.mesh = 'data=1'
  config.family.condition = 'concat'
  game = run.build(config, mnist.SPEC)
  workdir = tmp_path_factory.mktemp('<script>') / 'a</script>b'
  checkpoint.save(workdir / 'checkpoints', run.initial(game), 1)
  configs.save(game.config, workdir / 'config.json')
  manifest.write(workdir, {'spec': mnist.SPEC._asdict()})
  out = workdir / 'page.html'
  assert blind.main([f'--workdir={workdir}', f'--out={out}', '--pairs=40', '--seed=5']) == 0
  html = out.read_text()
  return workdir, json.loads(re.search('id="test">(.*?)</script>', html).group(1)), html


def pixels(raw):
  return np.asarray(Image.open(io.BytesIO(base64.b64decode(raw))))


def test_a_pair_is_a_held_out_image_and_a_sample(page):
  workdir, test, _ = page
  source = data.make(configs.load(workdir / 'config.json'), 'test')
  real = source.take(data.Plan(5, source.size, 40)(0))['x'][..., 0]
  sides = [pair['real'] for pair in test['pairs']]
  assert 10 < sides.count('left') < 30 and len(sides) == 40
  for pair, x in zip(test['pairs'], real):
    other = {'left': 'right', 'right': 'left'}[pair['real']]
    np.testing.assert_array_equal(pixels(pair[pair['real']]), x)
    assert pixels(pair[other]).shape == x.shape and (pixels(pair[other]) != x).any()


def test_the_page(page):
  workdir, test, html = page
  assert test['workdir'] == workdir.name and test['seed'] == 5 and len(test['state_sha256']) == 64
  assert html.count('</script>') == 2 and 'http' not in html and 'file:' not in html and str(workdir.parent) not in html
  assert not re.search(r'(src|href)="(?!data:)', html)
  assert blind.make(workdir, 40, 5) == test
  assert [p['real'] for p in blind.make(workdir, 40, 6)['pairs']] != [p['real'] for p in test['pairs']]


@pytest.mark.parametrize('right, n, low, high', [
    (81, 263, .2553, .3662), (15, 148, .0624, .1605), (0, 20, 0, .1611), (1, 29, .0061, .1718),   # Newcombe 1998, table I, method 3
    (5, 10, .2366, .7634), (10, 10, .7225, 1)])
def test_wilson(right, n, low, high):
  np.testing.assert_allclose(blind.wilson(right, n), (low, high), atol=5e-5)
  np.testing.assert_allclose(blind.wilson(n - right, n), (1 - high, 1 - low), atol=5e-5)


@pytest.mark.parametrize('right, said', [(25, 'within'), (31, 'within'), (33, 'images are told apart'), (10, 'taken for each')])
def test_score(tmp_path, capsys, right, said):
  judgements = [{'chosen': 'left', 'real': 'left' if i < right else 'right', 'seconds': 1.} for i in range(50)]
  (tmp_path / 'judgements.json').write_text(json.dumps({'workdir': 'a', 'judgements': judgements}))
  assert blind.main([f'--score={tmp_path}/judgements.json']) == 0
  line, = capsys.readouterr().out.splitlines()
  assert line.startswith(f'accuracy {right / 50:.3f} ({right} of 50), 95 % interval ') and said in line
