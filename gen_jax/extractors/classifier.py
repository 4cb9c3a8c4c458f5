"""A trained classifier as a ruler: the encoder's output is the features, the head's the logits.

A *.safetensors file holds the parameters and, as its metadata, the network's config and the spec of its images: it needs no workdir.
experiments/rulers makes the shipped ones from their configs.
"""
import hashlib
import json
import pathlib

import jax
import jax.numpy as jnp
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from gen_jax import checkpoint, core, data, extractors, networks
from gen_jax import run as runs
from gen_jax.families.classifier import Classifier


def write(path: pathlib.Path, params, network: dict, spec: data.Spec, **about) -> str:
  """Writes a classifier's averaged parameters; returns the file's sha256, a function of what is written alone."""
  flat = {k: jax.device_get(v) for k, v in sorted(flatten_dict(params, sep='.').items())}
  of = {name: getattr(spec, name) for name in ('shape', 'classes', 'bounded')}   # what images have: a file's bytes outlive new fields of a spec
  about = json.dumps({'network': network, 'spec': of, **about}, sort_keys=True)
  # Two entries in one, for safetensors writes its metadata in random order.
  raw = safetensors.numpy.save(flat, metadata={'about': _digest(flat, about) + about})
  path.write_bytes(raw)
  return hashlib.sha256(raw).hexdigest()


def read(path: pathlib.Path, spec: data.Spec) -> extractors.Extractor:
  """Raises InputError for a file that is none, is damaged, or is of images of another shape."""
  try:
    raw = path.read_bytes()
    flat = safetensors.numpy.load(raw)
    with safetensors.safe_open(path, 'numpy') as f:
      digest, about = f.metadata()['about'][:64], f.metadata()['about'][64:]
    if digest != _digest(flat, about):
      raise ValueError('it is not what was written')
    about = json.loads(about)
    network, of = ConfigDict(about['network']), data.Spec(**{**about['spec'], 'shape': tuple(about['spec']['shape'])})
  except (OSError, safetensors.SafetensorError, ValueError, KeyError, AttributeError, TypeError) as e:
    raise core.InputError(f'{path} is no classifier, or damaged: {e}') from None
  return _extractor(path.stem, hashlib.sha256(raw).hexdigest(), network, of, unflatten_dict(flat, sep='.'), spec)


def _digest(flat, about: str) -> str:
  """The format has no checksum of its own."""
  digest = hashlib.sha256(about.encode())
  for name, value in sorted(flat.items()):
    digest.update(f'{name} {value.dtype} {value.shape}'.encode() + value.tobytes())
  return digest.hexdigest()


def trained(workdir: pathlib.Path, spec: data.Spec) -> extractors.Extractor:
  """Of the newest checkpoint in a classifier's workdir. Raises InputError where there is none."""
  run, state = runs.load(workdir)
  if run.config.family.name != 'classifier' or run.config.seeds != 1:
    raise core.InputError(f'{workdir} is no classifier of one seed: it is a {run.config.family.name} of {run.config.seeds}')
  return _extractor(workdir.name, checkpoint.state_sha256(state), run.config.network, run.spec,
                    jax.tree.map(checkpoint.whole, state.averaged('model')), spec)   # from its mesh, or every device would do all of it


def _extractor(name, sha, network, of, params, spec):
  if tuple(of.shape) != tuple(spec.shape):
    raise core.InputError(f'the extractor {name} is of images {tuple(of.shape)}, not {tuple(spec.shape)}')
  if of.tokenizer:
    raise core.InputError(f'{name} is a classifier of tokens: those of images are extractors')
  encoder, = networks.make(network, of, 'encoder')
  net = Classifier(encoder, of.classes)

  def apply(params, images_BxHxWxC):
    x_B = images_BxHxWxC.astype(jnp.float32) / 127.5 - 1
    with jax.default_matmul_precision('highest'):   # a TPU's default rounds to bfloat16: another ruler of the same name
      return net.apply({'params': params}, x_B, method='features')
  size = jax.eval_shape(apply, params, jax.ShapeDtypeStruct((1, *of.shape), jnp.uint8))[0].shape[-1]
  return extractors.Extractor(f'{name}:{sha[:8]}', size, of.classes, apply, params)
