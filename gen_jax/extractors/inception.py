"""The Inception-v3 that FID, KID and the Inception Score are defined with: TensorFlow's graph of 2015-12-05, in inference.

Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, with this graph's own ways: average pools that leave padding out of the count, a max pool in
the last block, 1,008 classes. Batch normalisation is folded into the convolutions, so a layer is a kernel and a bias. The weights are the public
ones, converted once by experiments/inception/convert.py.
"""
import functools
import hashlib

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from gen_jax import core, data, extractors

SIZE, FEATURES, CLASSES = 299, 2048, 1008
FILE = 'inception.safetensors'   # in data.directory(), beside its sha256 in FILE.sha256
EPSILON = 1e-3   # of the batch normalisation


def make(spec):
  """An extractor of features_Bx2048 (the pool before the classifier) and logits_Bx1008 of uint8 images of any size; a grey one fills all channels.

  The logits are without their bias, for so the Inception Score has been computed since Salimans et al. 2016 (https://arxiv.org/abs/1606.03498).
  Raises InputError for what is not an image, and for weights that are missing, of another network, or other than when they were converted.
  """
  shape = tuple(spec.shape)
  if len(shape) != 3 or shape[-1] not in (1, 3):
    raise core.InputError(f'inception is of images of 1 or 3 channels, not {shape}')
  tensors, name = read()
  params = {'params': flax.traverse_util.unflatten_dict({k: jnp.asarray(v) for k, v in tensors.items()}, sep='.')}
  return extractors.Extractor(name, FEATURES, CLASSES, run, params)


@jax.jit
def run(params, images_BxHxWxC):
  x_BxHxWx3 = jnp.broadcast_to(images_BxHxWxC, (*images_BxHxWxC.shape[:3], 3))
  return Inception().apply(params, preprocess(x_BxHxWx3))


# Weights.

def read():
  """(tensors by name as `shapes` has them, 'inception:' and the first 8 digits of the file's sha256). Raises InputError as `make` says."""
  path = data.directory() / FILE
  recorded = path.with_name(f'{FILE}.sha256')
  if not path.is_file():
    raise core.InputError(f'{path} is missing: convert the public weights with: python -m experiments.inception.convert WEIGHTS.pth')
  if not recorded.is_file():
    raise core.InputError(f'{recorded} is missing: convert the weights again with: python -m experiments.inception.convert WEIGHTS.pth')
  raw = path.read_bytes()
  digest = hashlib.sha256(raw).hexdigest()
  if recorded.read_text().split()[:1] != [digest]:
    raise core.InputError(f'{path} is not what was converted: its sha256 is {digest[:8]}..., {recorded.name} has another')
  try:
    tensors = safetensors.numpy.load(raw)
  except safetensors.SafetensorError as e:
    raise core.InputError(f'{path} is not a safetensors file: {e}') from None
  _check(tensors, shapes(), path)
  return tensors, f'inception:{digest[:8]}'


@functools.cache
def shapes() -> dict[str, tuple[int, ...]]:
  """Of every tensor of the weights file, by its name: 'Mixed_5b.branch1x1.kernel', HWIO, and '...bias'; 'fc.kernel', without a bias."""
  params = jax.eval_shape(Inception().init, jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))['params']
  return {name: leaf.shape for name, leaf in flax.traverse_util.flatten_dict(params, sep='.').items()}


def public_shapes() -> dict[str, tuple[int, ...]]:
  """Of every tensor of the public PyTorch weights that is read, by its name there; kernels are OIHW."""
  wanted = {'fc.weight': (CLASSES, FEATURES), 'fc.bias': (CLASSES,)}
  for name, shape in shapes().items():
    layer, kind = name.rsplit('.', 1)
    if kind == 'kernel' and layer != 'fc':
      h, w, i, o = shape
      wanted |= {f'{layer}.conv.weight': (o, i, h, w)} | {f'{layer}.bn.{k}': (o,) for k in ('weight', 'bias', 'running_mean', 'running_var')}
  return wanted


def from_public(state, name='the state dict') -> dict[str, np.ndarray]:
  """The tensors of `shapes` from the public PyTorch state dict as numpy arrays. Raises InputError for one that is not this network's."""
  state = {k: v for k, v in state.items() if not k.endswith('.num_batches_tracked')}   # newer PyTorch adds them; inference reads none
  _check(state, public_shapes(), name)
  tensors = {'fc.kernel': state['fc.weight'].T}
  for layer in (k.removesuffix('.conv.weight') for k in state if k.endswith('.conv.weight')):
    gain, bias, mean, variance = (np.float64(state[f'{layer}.bn.{k}']) for k in ('weight', 'bias', 'running_mean', 'running_var'))
    gain = gain / np.sqrt(variance + EPSILON)
    tensors[f'{layer}.kernel'] = state[f'{layer}.conv.weight'].transpose(2, 3, 1, 0) * gain
    tensors[f'{layer}.bias'] = bias - mean * gain
  return {k: np.ascontiguousarray(v, np.float32) for k, v in sorted(tensors.items())}


def _check(found, wanted, where):
  for problem, names in (('lacks', wanted.keys() - found.keys()), ('has an unknown', found.keys() - wanted.keys())):
    if names:
      more = f' and {len(names) - 1} more' if len(names) > 1 else ''
      raise core.InputError(f'{where} is not of this network: it {problem} {min(names)}{more}')
  for name, shape in sorted(wanted.items()):
    if found[name].shape != shape:
      raise core.InputError(f'{where} is not of this network: {name} is {tuple(found[name].shape)}, not {shape}')


# The network. Names are those of the public weights.

def preprocess(images_BxHxWx3):
  """uint8 of any size -> float32 in [-1, 1), 299x299."""
  return (resize(images_BxHxWx3.astype(jnp.float32), SIZE) - 128) / 128


def resize(x_BxHxWxC, size: int):
  """Bilinear to size x size as in TensorFlow 1: output i is at i * H / size, measured from the first pixel's centre; no smoothing where it shrinks.

  Later libraries measure from the image's edge, or smooth; either moves FID (Parmar et al. 2022, https://arxiv.org/abs/2104.11222).
  """
  for axis in (2, 1):
    last = x_BxHxWxC.shape[axis] - 1
    at = np.arange(size, dtype=np.float32) * np.float32((last + 1) / size)
    low = at.astype(np.int32)
    share = np.expand_dims(at - low, [i for i in range(4) if i != axis]).astype(np.float32)
    a, b = (jnp.take(x_BxHxWxC, i, axis) for i in (low, np.minimum(low + 1, last)))
    x_BxHxWxC = a + (b - a) * share
  return x_BxHxWxC


def chain(x, *layers, stride=1):
  """Convolutions and ReLUs (name, features, kernel) one after the other; the last one with the stride and, where that is 2, without padding."""
  for i, (name, features, *kernel) in enumerate(layers):
    last = i == len(layers) - 1 and stride > 1
    x = unit(x, name, features, *kernel or [1, 1], stride=stride if last else 1, padding='VALID' if last else 'SAME')
  return x


def unit(x, name, features, h, w, stride=1, padding='SAME'):
  # Features are compared with those of other machines: a TPU's default would round its inputs to bfloat16.
  return nn.relu(nn.Conv(features, (h, w), stride, padding, precision='highest', name=name)(x))


def halve(x):
  return nn.max_pool(x, (3, 3), (2, 2))


def around(x):
  return nn.avg_pool(x, (3, 3), (1, 1), 'SAME', count_include_pad=False)


class Mixed5(nn.Module):
  pool: int                  # features of the branch behind the pool

  @nn.compact
  def __call__(self, x):
    return jnp.concatenate([
        chain(x, ('branch1x1', 64)),
        chain(x, ('branch5x5_1', 48), ('branch5x5_2', 64, 5, 5)),
        chain(x, ('branch3x3dbl_1', 64), ('branch3x3dbl_2', 96, 3, 3), ('branch3x3dbl_3', 96, 3, 3)),
        chain(around(x), ('branch_pool', self.pool))], axis=-1)


class Mixed6a(nn.Module):
  """35x35 to 17x17."""

  @nn.compact
  def __call__(self, x):
    return jnp.concatenate([
        chain(x, ('branch3x3', 384, 3, 3), stride=2),
        chain(x, ('branch3x3dbl_1', 64), ('branch3x3dbl_2', 96, 3, 3), ('branch3x3dbl_3', 96, 3, 3), stride=2),
        halve(x)], axis=-1)


class Mixed6(nn.Module):
  width: int                 # features inside the branches

  @nn.compact
  def __call__(self, x):
    n = self.width
    return jnp.concatenate([
        chain(x, ('branch1x1', 192)),
        chain(x, ('branch7x7_1', n), ('branch7x7_2', n, 1, 7), ('branch7x7_3', 192, 7, 1)),
        chain(x, ('branch7x7dbl_1', n), ('branch7x7dbl_2', n, 7, 1), ('branch7x7dbl_3', n, 1, 7), ('branch7x7dbl_4', n, 7, 1),
              ('branch7x7dbl_5', 192, 1, 7)),
        chain(around(x), ('branch_pool', 192))], axis=-1)


class Mixed7a(nn.Module):
  """17x17 to 8x8."""

  @nn.compact
  def __call__(self, x):
    return jnp.concatenate([
        chain(x, ('branch3x3_1', 192), ('branch3x3_2', 320, 3, 3), stride=2),
        chain(x, ('branch7x7x3_1', 192), ('branch7x7x3_2', 192, 1, 7), ('branch7x7x3_3', 192, 7, 1), ('branch7x7x3_4', 192, 3, 3), stride=2),
        halve(x)], axis=-1)


class Mixed7(nn.Module):
  last: bool                 # a max pool where the others have an average: a slip of this graph, kept by all who compare with it

  @nn.compact
  def __call__(self, x):
    pooled = nn.max_pool(x, (3, 3), (1, 1), 'SAME') if self.last else around(x)
    a = chain(x, ('branch3x3_1', 384))
    b = chain(x, ('branch3x3dbl_1', 448), ('branch3x3dbl_2', 384, 3, 3))
    return jnp.concatenate([
        chain(x, ('branch1x1', 320)),
        chain(a, ('branch3x3_2a', 384, 1, 3)), chain(a, ('branch3x3_2b', 384, 3, 1)),
        chain(b, ('branch3x3dbl_3a', 384, 1, 3)), chain(b, ('branch3x3dbl_3b', 384, 3, 1)),
        chain(pooled, ('branch_pool', 192))], axis=-1)


class Inception(nn.Module):
  """(x_Bx299x299x3 float32 in [-1, 1)) -> (features_Bx2048, logits_Bx1008 without bias)."""

  @nn.compact
  def __call__(self, x):
    x = unit(x, 'Conv2d_1a_3x3', 32, 3, 3, 2, 'VALID')    # 149x149
    x = unit(x, 'Conv2d_2a_3x3', 32, 3, 3, 1, 'VALID')    # 147x147
    x = unit(x, 'Conv2d_2b_3x3', 64, 3, 3)
    x = halve(x)                                          # 73x73
    x = unit(x, 'Conv2d_3b_1x1', 80, 1, 1)
    x = unit(x, 'Conv2d_4a_3x3', 192, 3, 3, 1, 'VALID')   # 71x71
    x = halve(x)                                          # 35x35
    for name, pool in (('Mixed_5b', 32), ('Mixed_5c', 64), ('Mixed_5d', 64)):
      x = Mixed5(pool, name=name)(x)
    x = Mixed6a(name='Mixed_6a')(x)
    for name, width in (('Mixed_6b', 128), ('Mixed_6c', 160), ('Mixed_6d', 160), ('Mixed_6e', 192)):
      x = Mixed6(width, name=name)(x)
    x = Mixed7a(name='Mixed_7a')(x)
    x = Mixed7(False, name='Mixed_7b')(x)
    x = Mixed7(True, name='Mixed_7c')(x)
    features_BxF = x.mean((1, 2))
    return features_BxF, nn.Dense(CLASSES, use_bias=False, precision='highest', name='fc')(features_BxF)
