"""Images, and points of the plane: arrays in [-1, 1] <-> PNG and other files."""
import io
import pathlib

import numpy as np
from PIL import Image, ImageOps

from gen_jax import core, modalities

SUFFIXES = ('.png',)
GAP = 2   # white pixels between the images of a grid


def grid(x, columns: int) -> np.ndarray:
  """Images [N, H, W, C] in [-1, 1], C 1 or 3, in rows of `columns`: uint8 [H', W', C]. Small ones are enlarged by a whole factor."""
  x = np.asarray(x, np.float32)
  times = max(1, 64 // max(x.shape[1:3]))
  x = to_uint8(x).repeat(times, axis=1).repeat(times, axis=2)
  n, h, w, c = x.shape
  rows = -(-n // columns)
  out = np.full((rows * (h + GAP) - GAP, columns * (w + GAP) - GAP, c), 255, np.uint8)
  for i, image in enumerate(x):
    top, left = i // columns * (h + GAP), i % columns * (w + GAP)
    out[top:top + h, left:left + w] = image
  return out


def to_uint8(x) -> np.ndarray:
  """[-1, 1] in 256 levels; what lies outside is cut."""
  return np.rint((np.clip(x, -1, 1) + 1) * 127.5).astype(np.uint8)


def save(path, x, columns: int = 10, tokenizer: str = ''):
  """Writes a PNG, whole or not at all: a grid of images [N, H, W, C], or a scatter plot of points [N, 2] on [-2, 2]^2."""
  file = io.BytesIO()
  x = np.asarray(x)
  if x.ndim == 2:
    _scatter(file, x)
  else:
    pixels = grid(x, columns)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, 'PNG')
  modalities.write(path, file.getvalue())


def load(path, channels: int | None = None) -> np.ndarray:
  """The image of a file as float32 [H, W, C] in [-1, 1]; C is `channels` (1 or 3), by default 1 for grey ones, else 3.

  Raises InputError where it cannot be read.
  """
  try:
    raw = pathlib.Path(path).read_bytes()
  except OSError as e:
    raise core.InputError(f'{path} cannot be read: {e.strerror}') from None
  return decode(raw, channels, name=path).astype(np.float32) / 127.5 - 1


def decode(raw: bytes, channels: int | None = None, size: int | None = None, name='an image') -> np.ndarray:
  """The (first) image in a file's bytes as uint8 [H, W, C], upright; what is transparent turns white.

  channels: 1, 3 or None for what it has; size: the shorter side is resized to it, the longer centre cropped. Raises InputError
  with the name.
  """
  try:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(raw)))
    deep = image.mode[0] in 'IF'
    channels = channels or (1 if image.mode in ('1', 'L', 'LA') else 3)
    if image.has_transparency_data:
      image = image.convert('RGBA')
      image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    image = image.convert('L' if channels == 1 else 'RGB')
    if size is not None:
      image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
  except Exception as e:   # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error ...
    raise core.InputError(f'{name} cannot be read as an image: {e}') from None
  if deep:
    raise core.InputError(f'{name} has more than 8 bits a channel: convert it first')
  pixels = np.asarray(image)
  return pixels[..., None] if channels == 1 else pixels


def check_size(size: int):
  """Raises InputError unless the networks can halve it twice."""
  if size < 4 or size % 4:
    raise core.InputError(f'config.data.size={size} is not a positive multiple of 4')


def _scatter(file, x):
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure
  figure = Figure((5, 5), dpi=100)
  FigureCanvasAgg(figure)
  axes = figure.add_axes((.1, .06, .88, .92), xlim=(-2, 2), ylim=(-2, 2), aspect='equal')
  # What lies outside shows on the frame.
  axes.plot(*np.clip(x.T, -2, 2), '.', markersize=2, alpha=.5, clip_on=False)
  figure.savefig(file, format='png')
