"""A folder of images, with a sub-folder a class or none.

The split is a hash of a file's path, so that adding a file never moves another: about 10 % validation and 10 % test.
"""
import hashlib
import pathlib

import numpy as np
from ml_collections.config_dict import placeholder

from gen_jax import core, data
from gen_jax.modalities import image

DEFAULTS = dict(
    folder=placeholder(str),
    size=64,      # pixels, a multiple of 4: shorter side resized to it and centre cropped
    channels=3,   # 1 or 3
)
SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.webp', '.gif')


def make(config, split):
  """uint8 [n, size, size, channels], and as label the place of a file's class among the sorted sub-folders.

  Raises InputError for a folder that is missing, has no images, or has some beside its classes, and for an image that cannot be read.
  """
  image.check_size(config.size)
  if config.channels not in (1, 3):
    raise core.InputError(f'config.data.channels={config.channels}: 1 or 3')
  if not config.folder:
    raise core.InputError('config.data.folder is not set: name the folder of images')
  folder = pathlib.Path(config.folder).expanduser()
  if not folder.is_dir():
    raise core.InputError(f'{folder} is not a folder')
  paths = find(folder)
  if not paths:
    raise core.InputError(f'{folder} has no images ({" ".join(SUFFIXES)})')
  classes = sorted({p.split('/')[0] for p in paths if '/' in p})
  beside = next((p for p in paths if '/' not in p), None)
  if classes and beside:
    raise core.InputError(f'{folder} has images beside its classes, such as {beside}: all in sub-folders or none')
  paths = [p for p in paths if split_of(p) == split]

  def take(indices):
    chosen = [paths[i] for i in indices]
    batch = {'x': np.stack([image.decode((folder / p).read_bytes(), config.channels, config.size, name=folder / p) for p in chosen])}
    if classes:
      batch['condition'] = np.array([classes.index(p.split('/')[0]) for p in chosen], np.int32)
    return batch

  checksum = hashlib.sha256()
  for p in paths:
    checksum.update(p.encode() + b'\0' + hashlib.sha256((folder / p).read_bytes()).digest())
  spec = data.Spec((config.size, config.size, config.channels), classes=len(classes), names=tuple(classes))
  return data.from_take(take, len(paths), spec, checksum.hexdigest(), config.resident_mb)


def find(folder: pathlib.Path) -> list[str]:
  """The images under a folder as sorted relative paths with '/', hidden ones left out."""
  found = (p.relative_to(folder) for p in folder.rglob('*') if p.suffix.lower() in SUFFIXES and p.is_file())
  return sorted(p.as_posix() for p in found if not any(part.startswith('.') for part in p.parts))


def split_of(path: str) -> str:
  """The split of a relative path: a function of nothing else."""
  return data.split_of(path, .1, .1)
