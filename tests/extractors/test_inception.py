"""The network and its resizing against torch-fidelity's, on weights drawn by name (experiments/parity/record.py), and every refusal."""
import hashlib
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from evals import inputs

from experiments.inception import convert
from gen_jax import core, data
from gen_jax.extractors import inception

RECORDED = json.loads((pathlib.Path(__file__).parent / 'inception.json').read_text())
COLOUR, GREY = data.Spec((32, 32, 3)), data.Spec((32, 32, 1))


def drawn():
  """A state dict as the public file has it."""
  return {name: inputs.tensor(name, shape) for name, shape in inception.public_shapes().items()}


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
  """A data directory with converted weights, and what the converter said of them."""
  folder = tmp_path_factory.mktemp('weights')
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(convert, 'load', lambda path: drawn())   # PyTorch is not installed where this runs
    return folder, convert.convert(pathlib.Path('weights.pth'), folder / inception.FILE)


@pytest.fixture
def directory(tmp_path, monkeypatch):
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path))
  return tmp_path


def test_the_network_is_torch_fidelitys(weights, monkeypatch):
  monkeypatch.setenv('GEN_JAX_DATA', str(weights[0]))
  extractor = inception.make(COLOUR)
  assert extractor[:3] == (f'inception:{weights[1][:8]}', 2048, 1008)
  images = inputs.inception_images()
  # The third image's channels are equal: alone among others, and as a grey image, it has the same features.
  grey = inception.make(GREY).apply(extractor.params, images[jnp.array([2, 0, 1]), :, :, :1])
  for found, moved, kind in zip(extractor.apply(extractor.params, images), grey, ('features', 'logits')):
    assert found.dtype == jnp.float32
    wanted = np.array(RECORDED[kind])
    assert wanted.std(0).mean() > .1 * wanted.std()   # the images are told apart
    compare = dict(rtol=0, atol=1e-5 * np.abs(wanted).max(), err_msg=kind)
    np.testing.assert_allclose(found[:, ::RECORDED['stride']], wanted, **compare)
    np.testing.assert_allclose(moved[0, ::RECORDED['stride']], wanted[2], **compare)
  features, logits = jax.eval_shape(extractor.apply, extractor.params, jax.ShapeDtypeStruct((5, 40, 24, 3), jnp.uint8))
  assert (features.shape, logits.shape) == ((5, 2048), (5, 1008))


def test_every_public_tensor_is_read():
  shapes = inception.public_shapes()
  assert (len(shapes), sum(np.prod(s) for s in shapes.values())) == (RECORDED['tensors'], RECORDED['parameters'])


@pytest.mark.parametrize('name', inputs.RESIZED)
def test_resize_is_tensorflow_1s(name):
  at, wanted = inputs.resized_samples(), np.array(RECORDED['resized'][name])
  images = inputs.resized(name)
  found = inception.resize(jnp.float32(images), 299)
  assert found.shape == (len(images), 299, 299, 3)
  np.testing.assert_allclose(found[:, at[:, 0], at[:, 1]], wanted, rtol=0, atol=1e-5)
  found = jax.jit(inception.preprocess)(images)   # compiled, products and sums are fused
  np.testing.assert_allclose(found[:, at[:, 0], at[:, 1]], (wanted - 128) / 128, rtol=0, atol=1e-6)


def refused(f, *args):
  with pytest.raises(core.InputError) as e:
    f(*args)
  assert '\n' not in str(e.value)
  return str(e.value)


def test_images_that_are_not_its_own_are_refused(directory):
  assert '(2,)' in refused(inception.make, data.Spec((2,)))
  assert '(8, 8, 4)' in refused(inception.make, data.Spec((8, 8, 4)))


def put(directory, tensors, sha256=None):
  raw = safetensors.numpy.save(tensors)
  (directory / inception.FILE).write_bytes(raw)
  (directory / f'{inception.FILE}.sha256').write_text(f'{sha256 or hashlib.sha256(raw).hexdigest()}  {inception.FILE}\n')


def test_weights_that_are_missing_or_others_are_refused(directory, monkeypatch):
  make = lambda: inception.make(COLOUR)
  how = 'python -m experiments.inception.convert WEIGHTS.pth'
  assert str(directory / inception.FILE) in refused(make) and how in refused(make)
  monkeypatch.setattr(inception, 'shapes', lambda: {'fc.kernel': (2, 3), 'a.bias': (4,)})
  right = {'fc.kernel': np.zeros((2, 3), np.float32), 'a.bias': np.zeros(4, np.float32)}
  put(directory, right)
  assert inception.read()[1] == f'inception:{hashlib.sha256(safetensors.numpy.save(right)).hexdigest()[:8]}'
  put(directory, {'fc.kernel': right['fc.kernel']})
  assert 'lacks a.bias' in refused(make)
  put(directory, right | {'b.bias': right['a.bias']})
  assert 'unknown b.bias' in refused(make)
  put(directory, right | {'fc.kernel': np.zeros((3, 2), np.float32)})
  assert 'fc.kernel is (3, 2), not (2, 3)' in refused(make)
  put(directory, right, sha256=64 * '0')
  assert 'sha256' in refused(make)
  (directory / f'{inception.FILE}.sha256').unlink()
  assert 'sha256 is missing' in refused(make) and how in refused(make)
  (directory / inception.FILE).write_bytes(b'neither')
  (directory / f'{inception.FILE}.sha256').write_text(hashlib.sha256(b'neither').hexdigest())
  assert 'not a safetensors file' in refused(make)


def test_a_state_dict_of_another_network_is_refused():
  state = {name: np.broadcast_to(np.float32(0), shape) for name, shape in inception.public_shapes().items()}
  without = {k: v for k, v in state.items() if not k.startswith('Mixed_7c')}
  assert 'lacks Mixed_7c.branch1x1.bn.bias and 44 more' in refused(inception.from_public, without)
  assert 'unknown AuxLogits.fc.bias' in refused(inception.from_public, state | {'AuxLogits.fc.bias': np.zeros(1000)})
  assert 'fc.weight is (1000, 2048), not (1008, 2048)' in refused(inception.from_public, state | {'fc.weight': np.zeros((1000, 2048))})


def test_batch_normalisation_is_folded():
  """y = (x * w - mean) / sqrt(variance + 1e-3) * gain + bias, of one layer, and the counts of batches are not read."""
  state = {name: np.broadcast_to(np.float32(0), shape) for name, shape in inception.public_shapes().items()}
  layer = {k: inputs.tensor(k, v.shape) for k, v in state.items() if k.startswith('Mixed_5b.branch_pool.')}
  folded = inception.from_public(state | layer | {'Mixed_5b.branch_pool.bn.num_batches_tracked': np.zeros(())})
  x = np.random.default_rng(0).standard_normal(192)
  w, gain, bias, mean, variance = (layer[f'Mixed_5b.branch_pool.{k}'] for k in (
      'conv.weight', 'bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var'))
  wanted = (w[:, :, 0, 0] @ x - mean) / np.sqrt(variance + 1e-3) * gain + bias
  np.testing.assert_allclose(x @ folded['Mixed_5b.branch_pool.kernel'][0, 0] + folded['Mixed_5b.branch_pool.bias'], wanted, atol=1e-5)


def test_the_converter_writes_what_sha256sum_reads(weights):
  folder, digest = weights
  assert (folder / f'{inception.FILE}.sha256').read_text() == f'{digest}  {inception.FILE}\n'
  assert hashlib.sha256((folder / inception.FILE).read_bytes()).hexdigest() == digest


def test_the_converter_says_in_one_line_what_is_wrong(tmp_path, monkeypatch, capsys):
  def said(*argv):
    assert convert.main([str(a) for a in argv]) == 2
    out, err = capsys.readouterr()
    assert out == '' and err.startswith('error: ') and err.count('\n') == 1
    return err
  assert 'none.pth is not a file' in said(tmp_path / 'none.pth')
  monkeypatch.setattr(convert, 'load', lambda path: {'fc.weight': np.zeros(3, np.float32)})
  assert 'weights.pth is not of this network: it lacks Conv2d_1a_3x3.bn.bias' in said('weights.pth', tmp_path / 'out')
  assert not (tmp_path / 'out').exists()


def test_the_converter_reads_pytorch(tmp_path, capsys):
  torch = pytest.importorskip('torch')
  path = tmp_path / 'weights.pth'
  torch.save({name: torch.from_numpy(x) for name, x in drawn().items()}, path)
  assert convert.main([str(path), str(tmp_path / 'out')]) == 0
  digest = hashlib.sha256((tmp_path / 'out').read_bytes()).hexdigest()
  assert capsys.readouterr().out == f'{digest}  {tmp_path / "out"}\n'
  for bad in (b'', b'neither', b'PK\x03\x04neither'):
    path.write_bytes(bad)
    assert 'does not hold PyTorch weights' in refused(convert.load, path)
  torch.save([1, 2], path)
  assert 'does not hold a state dict' in refused(convert.load, path)
