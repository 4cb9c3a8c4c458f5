"""Classifiers as files and as workdirs, and random features."""
import importlib
import json

import flax.traverse_util
import jax
import numpy as np
import pytest
import safetensors.numpy

from gen_jax import config, core, data, extractors, run
from gen_jax.extractors import classifier

SPEC = data.Spec((8, 8, 1), classes=3)


@pytest.fixture
def written(tmp_path):
  """(its file, parameters, network, sha256)."""
  c = config.base('mnist', 'classifier', 'mlp', model={})
  c.network.update(width=4, layers=1)
  params = jax.device_get(run.initial(run.build(c, SPEC)).params['model'])
  path = tmp_path / 'mine.safetensors'
  return path, params, c.network.to_dict(), classifier.write(path, params, c.network.to_dict(), SPEC, config='mine', steps=5)


def images(n, seed=0, spec=SPEC):
  return np.random.default_rng(seed).integers(0, 256, (n, *spec.shape), np.uint8)


def test_a_written_classifier_is_read_again(written):
  path, params, _, sha = written
  found = classifier.read(path, SPEC)
  assert found.name == f'mine:{sha[:8]}' and (found.size, found.classes) == (4, 3)
  features, logits = jax.device_get(jax.jit(found.apply)(found.params, images(5)))
  x = images(5).reshape(5, -1) / 127.5 - 1
  dense = lambda x, p: x @ p['kernel'] + p['bias']
  wanted = dense(x, params['encoder']['Dense_0'])
  wanted = np.where(wanted > 0, wanted, .2 * wanted)
  np.testing.assert_allclose(features, wanted, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(logits, dense(wanted, params['head']), rtol=1e-4, atol=1e-5)


def test_its_name_is_a_function_of_what_is_written(written, tmp_path):
  path, params, network, sha = written
  about = dict(config='mine', steps=5)
  assert {classifier.write(tmp_path / 'again.safetensors', params, network, SPEC, **about) for _ in range(8)} == {sha}
  assert (tmp_path / 'again.safetensors').read_bytes() == path.read_bytes()
  params = {**params, 'head': {**params['head'], 'bias': params['head']['bias'] + 1}}
  assert classifier.write(tmp_path / 'other.safetensors', params, network, SPEC, **about) != sha


def test_every_flipped_byte_is_noticed(written):
  path, *_ = written
  raw = path.read_bytes()
  for i in [*range(0, len(raw), 13), len(raw) - 1]:
    path.write_bytes(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1:])
    with pytest.raises(core.InputError, match='mine.safetensors is no classifier, or damaged'):
      classifier.read(path, SPEC)


@pytest.mark.parametrize('raw', [b'', b'{}', None, 'plain'])
def test_what_is_no_classifier(written, raw):
  path, *_ = written
  path.unlink()
  if raw is not None:
    path.write_bytes(safetensors.numpy.save({'a': np.zeros(3)}) if raw == 'plain' else raw)
  with pytest.raises(core.InputError, match='mine.safetensors is no classifier') as e:
    classifier.read(path, SPEC)
  assert '\n' not in str(e.value)


def test_of_other_images(written):
  with pytest.raises(core.InputError, match=r'of images \(8, 8, 1\), not \(16, 4, 1\)'):
    classifier.read(written[0], data.Spec((16, 4, 1), classes=3))


SHIPPED = {'mnist-cnn': 'mnist_classifier', 'fmnist-cnn': 'fashion_mnist_classifier'}   # by their configs


@pytest.mark.parametrize('name', SHIPPED)
def test_the_shipped_ones_are_what_their_configs_would_write(name, tmp_path):
  """To the byte, but for the parameters: what else is in the file must not depend on what this project has learnt since."""
  path = extractors.HERE / f'{name}.safetensors'
  c = importlib.import_module(f'configs.{SHIPPED[name]}').get_config()
  with safetensors.safe_open(path, 'numpy') as f:
    about = json.loads(f.metadata()['about'][64:])
  params = flax.traverse_util.unflatten_dict(safetensors.numpy.load_file(path), sep='.')
  extra = {what: about[what] for what in ('config', 'steps', 'test_accuracy', 'test_examples')}
  spec = core.module('data', c.data.name).SPEC._replace(tokenizer='of another field')
  classifier.write(tmp_path / 'again.safetensors', params, c.network.to_dict(), spec, **extra)
  assert (tmp_path / 'again.safetensors').read_bytes() == path.read_bytes()
  assert (about['config'], about['steps']) == (SHIPPED[name], c.steps)


@pytest.mark.parametrize('name', sorted(path.stem for path in extractors.HERE.glob('*.safetensors')))
def test_the_shipped_ones_are_whole(name):
  found = classifier.read(extractors.HERE / f'{name}.safetensors', data.Spec((28, 28, 1), classes=10))
  assert found.name.startswith(f'{name}:') and found.classes == 10


def test_those_there_are(written, monkeypatch):
  monkeypatch.setattr(extractors, 'HERE', written[0].parent)
  assert extractors.make.__wrapped__('mine', 'mnist', SPEC).name.startswith('mine:')
  (written[0].parent / 'random.py').touch()
  (written[0].parent / 'classifier.py').touch()
  for name in ('yours', '../random', 'classifier', ''.join(map(chr, range(97, 120)))):
    with pytest.raises(core.InputError, match='there are mine, random, and the workdirs') as e:
      extractors.make.__wrapped__(name, 'mnist', SPEC)
    assert repr(name) in str(e.value)


def test_workdirs_that_are_none(tmp_path):
  (tmp_path / 'config.json').write_text('{}')
  with pytest.raises(core.InputError):
    extractors.make.__wrapped__(str(tmp_path), 'mnist', SPEC)


def test_random_features():
  found = extractors.make.__wrapped__('random', 'mnist', SPEC)
  apply = jax.jit(found.apply)
  (features, logits), again = apply(found.params, images(6)), extractors.make.__wrapped__(None, 'gaussians', SPEC)
  assert features.shape == (6, found.size) and features.dtype == np.float32 and logits is None and found.classes == 0
  assert again.name == found.name and np.std(features, axis=0).max() > 1e-3
  np.testing.assert_allclose(apply(found.params, images(6)[2:3])[0], features[2:3], rtol=1e-4, atol=1e-5)   # of the others independent
  with pytest.raises(core.InputError, match='for images'):
    extractors.make.__wrapped__('random', 'gaussians', data.Spec((2,), bounded=False))
