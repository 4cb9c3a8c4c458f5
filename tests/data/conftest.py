import copy
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
  # TFDS reads $TFDS_DATA_DIR when it is imported.
  monkeypatch.setattr('tensorflow_datasets.core.constants.DATA_DIR', str(tmp_path / 'tfds'))


@pytest.fixture
def make():
  """make(name, split, **options) -> Source, with the source's own defaults."""
  def make(name, split='train', **options):
    config = ConfigDict({'data': {'name': name, **data.DEFAULTS, **copy.deepcopy(configs.defaults('data', name))}}).lock()
    config.data.update(options)
    data._make.cache_clear()   # which knows nothing of files that change
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
  """build(name, images by split, ...) prepares a TFDS set as array_record and without TensorFlow."""
  import tensorflow_datasets as tfds

  def build(name, splits, shape=(8, 8, 1), label=lambda split, i: i % 3, version='1.0.0', fails=False, register=False, prepare=True):
    labels = {'label': tfds.features.ClassLabel(num_classes=3)} if label else {}

    def _info(self):
      features = tfds.features.FeaturesDict({'image': tfds.features.Image(shape=shape), **labels})
      return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, manager):
      if fails:
        raise ConnectionError('no route\nto anywhere')
      return {s: self._generate_examples(s, x) for s, x in splits.items()}

    def _generate_examples(self, split, x):
      for i, pixels in enumerate(x):
        yield i, {'image': io.BytesIO(png(pixels)), **({'label': label(split, i)} if label else {})}

    parts = dict(VERSION=tfds.core.Version(version), name=name, _info=_info, _split_generators=_split_generators,
                 _generate_examples=_generate_examples, __module__=__name__, pkg_dir_path=tmp_path)
    builder = type(name, (tfds.core.GeneratorBasedBuilder,), parts, skip_registration=not register)
    if prepare:
      builder(data_dir=str(tmp_path / 'tfds'), file_format='array_record').download_and_prepare()
    return name
  return build

