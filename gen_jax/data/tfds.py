"""Any image set of TensorFlow Datasets by name, read from array_record files without TensorFlow (preparing most sets needs it).

Splits are the set's own; what it lacks is cut from the end of its training set, a tenth each.
"""
import hashlib
import importlib.util

import numpy as np
from ml_collections.config_dict import placeholder

from gen_jax import core, data
from gen_jax.modalities import image

DEFAULTS = dict(
    dataset=placeholder(str),    # 'cifar10', 'oxford_flowers102:2.1.1', ...
    data_dir=placeholder(str),   # where sets are prepared; else $TFDS_DATA_DIR, else TFDS's own default
    size=placeholder(int),       # pixels: shorter side resized to it and centre cropped; needed where sizes vary
)


def make(config, split):
  """uint8 [n, H, W, C], and labels where the set has one ClassLabel. Raises InputError for a set that cannot be had, or not of images."""
  if not config.dataset:
    raise core.InputError('config.data.dataset is not set: give the name of a TFDS image set, such as cifar10')
  return read(prepared(config.dataset, config.data_dir), split, config.resident_mb, config.size)


def find(dataset: str, data_dir: str | None = None):
  """TFDS's builder of a set if it is prepared, else None. Raises InputError for a set that TFDS does not know."""
  builder = _builder(dataset, data_dir)
  return builder if _is_prepared(builder) else None


def prepared(dataset: str, data_dir: str | None = None):
  """TFDS's builder of a set, downloaded and prepared if it was not. Raises InputError where that is impossible."""
  builder = _builder(dataset, data_dir)
  if not _is_prepared(builder):
    _features(builder.info)
    if importlib.util.find_spec('tensorflow') is None:
      raise core.InputError(f'{dataset} is not prepared in {builder.data_path}, and preparing needs TensorFlow: '
                            f'`pip install tensorflow`, or bring the folder that `tfds build {dataset} --file_format=array_record` made')
    try:
      builder.download_and_prepare(file_format='array_record')
    except Exception as e:   # from any of a thousand builders
      raise core.InputError(f'TFDS cannot prepare {dataset}: {type(e).__name__}: {_line(e)}') from e
  return builder


def read(builder, split: str, resident_mb: int, size: int | None = None, held_out: int | None = None) -> data.Source:
  """A split of a prepared set; `held_out` examples are cut for each split that it lacks (None: a tenth of train)."""
  import tensorflow_datasets as tfds
  info, name = builder.info, builder.info.name
  if info.file_format.value != 'array_record':
    raise core.InputError(f'{builder.data_path} is stored as {info.file_format.value}, which needs TensorFlow to read: '
                          f'prepare it elsewhere with `tfds build {name} --file_format=array_record`')
  pixels, label = _features(info)
  height, width, channels = info.features[pixels].shape
  if size is not None:
    image.check_size(size)
    height = width = size
  elif height is None or width is None:
    raise core.InputError(f'the images of {name} vary in size: set config.data.size')
  if channels not in (1, 3) or np.dtype(info.features[pixels].np_dtype) != np.uint8:
    raise core.InputError(f'the images of {name} have {channels} channels of {info.features[pixels].np_dtype}: 1 or 3 of uint8 can be read')
  spec = data.Spec((height, width, channels), classes=info.features[label].num_classes if label else 0)

  place, start, stop = _range({s: part.num_examples for s, part in info.splits.items()}, split, held_out, name)
  records = builder.as_data_source(split=place, decoders={pixels: tfds.decode.SkipDecoding()})

  def take(indices):
    examples = records.__getitems__([start + int(i) for i in indices])
    x = [image.decode(e[pixels], channels, size, name=f'an image of {name}') for e in examples]
    wrong = next((a.shape for a in x if a.shape != spec.shape), None)
    if wrong:
      raise core.InputError(f'{name} holds an image of shape {wrong} where {spec.shape} was promised: set config.data.size')
    batch = {'x': np.stack(x)}
    if label:
      batch['condition'] = np.array([e[label] for e in examples], np.int32)
      if batch['condition'].min() < 0:
        raise core.InputError(f'the {place} split of {name} has no labels')
    return batch

  checksum = hashlib.sha256()
  for path in sorted(info.splits[place].filepaths):
    with open(path, 'rb') as f:
      checksum.update(hashlib.file_digest(f, 'sha256').digest())
  return data.from_take(take, stop - start, spec, checksum.hexdigest(), resident_mb)


def _builder(dataset, data_dir):
  import tensorflow_datasets as tfds
  try:
    return tfds.builder(dataset, data_dir=data_dir)
  except Exception as e:   # DatasetNotFoundError, ValueError, AssertionError ... by what is wrong with the name
    raise core.InputError(f'TFDS has no {dataset}: {_line(e)}') from None


def _is_prepared(builder):
  return builder.data_path.exists() and builder.is_prepared()   # which warns of a folder that does not exist


def _features(info):
  """The names of the image and the label (None: there is none) among the features; 'image' and 'label' where there are several."""
  import tensorflow_datasets as tfds
  def one(kind, usual):
    found = [k for k, f in info.features.items() if isinstance(f, kind)]
    return usual if usual in found else found[0] if len(found) == 1 else None
  pixels = one(tfds.features.Image, 'image')
  if pixels is None:
    raise core.InputError(f'{info.name} is not a set of images: it has {", ".join(info.features)}')
  return pixels, one(tfds.features.ClassLabel, 'label')


def _range(sizes, split, held_out, name):
  """Where a split lies: (the set's own split, start, stop)."""
  if 'train' not in sizes:
    raise core.InputError(f'{name} has no train split: it has {", ".join(sizes)}')
  if split != 'train' and split in sizes:
    return split, 0, sizes[split]
  lacking = [s for s in ('validation', 'test') if s not in sizes]
  each = sizes['train'] // 10 if held_out is None else held_out
  start = sizes['train'] - each * len(lacking)
  if split == 'train':
    return 'train', 0, start
  start += each * lacking.index(split)
  return 'train', start, start + each


def _line(e):
  return (str(e).strip().splitlines() or [''])[0]
