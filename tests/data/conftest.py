import io

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from gen_jax import config as configs
from gen_jax import data


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
  """No test sees what this machine has fetched or prepared."""
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path / 'cache'))
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'tfds'))


@pytest.fixture
def make():
  """make(name, split, **options) -> Source, with the source's own defaults."""
  def make(name, split='train', **options):
    config = ConfigDict({'data': {'name': name, **data.DEFAULTS, **configs.defaults('data', name)}}).lock()
    config.data.update(options)
    return data.make(config, split)
  return make


@pytest.fixture
def png():
  """png(pixels) -> bytes."""
  def png(pixels):
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, 'PNG')
    return file.getvalue()
  return png


@pytest.fixture
def build(tmp_path, png):
  """build(name, images by split, ...) prepares a TFDS set in $TFDS_DATA_DIR, as array_record and without TensorFlow; label i % 3."""
  import tensorflow_datasets as tfds

  def build(name, splits, shape=(8, 8, 1), labels=True, version='1.0.0', fails=False, register=False, prepare=True, features=None):
    label = {'label': tfds.features.ClassLabel(num_classes=3)} if labels else {}

    def _info(self):
      found = features or {'image': tfds.features.Image(shape=shape), **label}
      return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(found))

    def _split_generators(self, manager):
      if fails:
        raise ConnectionError('no route\nto anywhere')
      return {s: self._generate_examples(x) for s, x in splits.items()}

    def _generate_examples(self, x):
      for i, pixels in enumerate(x):
        yield i, {'image': io.BytesIO(png(pixels)), **({'label': i % 3} if labels else {})}

    parts = dict(VERSION=tfds.core.Version(version), name=name, _info=_info, _split_generators=_split_generators,
                 _generate_examples=_generate_examples, __module__=__name__, pkg_dir_path=tmp_path)
    with tfds.core.registered.skip_registering() if not register else _nothing():
      builder = type(name, (tfds.core.GeneratorBasedBuilder,), parts)
    if prepare:
      builder(data_dir=str(tmp_path / 'tfds'), file_format='array_record').download_and_prepare()
    return name
  return build


class _nothing:
  def __enter__(self):
    return self

  def __exit__(self, *args):
    pass
