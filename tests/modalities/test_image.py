import io

import numpy as np
import pytest
from PIL import Image

from gen_jax import core
from gen_jax.modalities import image

RNG = np.random.default_rng(0)


def raw(picture, kind='PNG', **options):
  file = io.BytesIO()
  picture.save(file, kind, **options)
  return file.getvalue()


@pytest.mark.parametrize('channels', [1, 3])
def test_a_grid_places_images_row_by_row(channels):
  x = RNG.uniform(-1, 1, (5, 70, 64, channels)).astype(np.float32)
  found = image.grid(x, 2)
  assert found.dtype == np.uint8 and found.shape == (3 * 72 - 2, 2 * 66 - 2, channels)
  for i in range(5):
    top, left = i // 2 * 72, i % 2 * 66
    assert (found[top:top + 70, left:left + 64] == np.rint((x[i] + 1) * 127.5)).all()
  assert (found[144:, 66:] == 255).all()                                   # where the sixth would be
  assert (found[70:72] == 255).all() and (found[:, 64:66] == 255).all()    # gaps


def test_small_images_are_enlarged():
  x = RNG.uniform(-1, 1, (1, 28, 28, 1))
  found = image.grid(x, 1)
  assert found.shape == (56, 56, 1)
  for i in range(2):
    for j in range(2):
      assert (found[i::2, j::2] == image.grid(x, 1)[::2, ::2]).all()
  assert image.grid(np.zeros((1, 64, 64, 1)), 1).shape == (64, 64, 1)


def test_every_byte_survives_and_the_rest_is_clipped():
  stored = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
  assert (image.grid(stored.astype(np.float32) / 127.5 - 1, 1)[::4, ::4] == stored[0]).all()
  assert image.grid(np.array([-7., 7.]).reshape(2, 1, 1, 1), 1)[[0, -1], 0, 0].tolist() == [0, 255]


@pytest.mark.parametrize('channels', [1, 3])
def test_what_is_saved_loads(tmp_path, channels):
  stored = RNG.integers(0, 256, (64, 80, channels))
  image.save(tmp_path / 'new' / 'x.png', stored[None] / 127.5 - 1, 1)
  found = image.load(tmp_path / 'new' / 'x.png')
  assert found.dtype == np.float32 and found.shape == (64, 80, channels)
  np.testing.assert_allclose(found, stored / 127.5 - 1, atol=1e-6)
  assert [p.name for p in (tmp_path / 'new').iterdir()] == ['x.png']


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
  path = tmp_path / 'x.png'
  path.write_bytes(b'old')
  def broken(self, raw):
    with open(self, 'wb') as f:
      f.write(raw[:10])
    raise OSError('disk full')
  monkeypatch.setattr('pathlib.Path.write_bytes', broken)
  with pytest.raises(OSError, match='disk full'):
    image.save(path, np.zeros((1, 8, 8, 1)), 1)
  assert path.read_bytes() == b'old'


def test_points_are_scattered_on_fixed_axes(tmp_path):
  def draw(*points):
    image.save(tmp_path / 'x.png', np.array(points))
    return image.load(tmp_path / 'x.png')
  near, far = draw([0., 0.]), draw([0., 0.], [1.5, 1.])
  assert near.shape == far.shape
  i, j = np.nonzero((near != far).any(-1))
  h, w = near.shape[:2]
  assert len(i) and i.max() < h / 2 and j.min() > w / 2          # only the second point, above and right of the middle
  assert (draw([0., 0.], [9., 1.]) != near).any()                # what lies outside shows


def test_what_is_transparent_becomes_white():
  picture = Image.new('RGBA', (4, 4), (9, 9, 9, 0))
  picture.putpixel((0, 0), (10, 20, 30, 255))
  found = image.decode(raw(picture))
  assert found[0, 0].tolist() == [10, 20, 30] and (found.reshape(-1, 3)[1:] == 255).all()


def test_a_palette_with_a_transparent_colour_becomes_white():
  picture = Image.new('P', (2, 1))
  picture.putpalette([10, 20, 30, 40, 50, 60])
  picture.putpixel((1, 0), 1)
  assert image.decode(raw(picture, transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_photographs_stand_upright():
  picture = Image.new('RGB', (8, 4))
  exif = Image.Exif()
  exif[0x0112] = 6   # turned by 90 degrees
  assert image.decode(raw(picture, 'JPEG', exif=exif)).shape == (8, 4, 3)


def test_the_middle_is_cut_and_the_shorter_side_fits():
  wide = np.zeros((8, 24, 3), np.uint8)
  wide[:, 8:16] = 200
  assert (image.decode(raw(Image.fromarray(wide)), size=8) == 200).all()
  assert (image.decode(raw(Image.fromarray(wide.transpose(1, 0, 2))), size=8) == 200).all()
  assert image.decode(raw(Image.fromarray(wide)), size=4).shape == (4, 4, 3)
  assert (image.decode(raw(Image.fromarray(wide)), size=4) > 150).mean() > .4


def test_the_first_frame_and_the_channels_asked_for():
  frames = [Image.new('L', (4, 4), grey) for grey in (60, 200)]
  animation = raw(frames[0], 'GIF', save_all=True, append_images=frames[1:])
  assert (image.decode(animation, channels=1) == 60).all()
  assert image.decode(animation, channels=3).shape == (4, 4, 3)
  assert image.decode(raw(frames[0])).shape == (4, 4, 1)
  assert image.decode(raw(Image.new('RGB', (4, 4))), channels=1).shape == (4, 4, 1)


def test_what_is_no_image_is_named(tmp_path):
  whole = raw(Image.fromarray(RNG.integers(0, 256, (32, 32), np.uint8)))
  for content in (b'', b'text', whole[:len(whole) // 2]):
    path = tmp_path / 'bad.png'
    path.write_bytes(content)
    with pytest.raises(core.InputError, match='bad.png cannot be read as an image'):
      image.load(path)
  with pytest.raises(core.InputError, match='none.png cannot be read: No such file'):
    image.load(tmp_path / 'none.png')


def test_deep_images_are_refused():
  deep = Image.fromarray(np.full((4, 4), 1000, np.uint16))
  with pytest.raises(core.InputError, match='more than 8 bits a channel'):
    image.decode(raw(deep))
