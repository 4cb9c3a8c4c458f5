"""Augmentations of one example x_HxWxC in [-1, 1], keyed; `jax.vmap` them over a batch. All are differentiable in x."""
import jax
import jax.numpy as jnp


def shift(x, key, pixels):
  """Moved by up to +-pixels along each axis; what comes in is black (-1)."""
  return _window(jnp.pad(x, ((pixels, pixels), (pixels, pixels), (0, 0)), constant_values=-1), key, x.shape)


def crop(x, key, pixels):
  """A random window of the image padded by reflection (He et al. 2016)."""
  return _window(jnp.pad(x, ((pixels, pixels), (pixels, pixels), (0, 0)), mode='reflect'), key, x.shape)


def flip(x, key):
  """Mirrored left to right, every second time."""
  return jnp.where(jax.random.bernoulli(key), x[:, ::-1], x)


def _window(padded, key, shape):
  room = jnp.array([p - s + 1 for p, s in zip(padded.shape[:2], shape[:2])])
  i, j = jax.random.randint(key, (2,), 0, room)
  return jax.lax.dynamic_slice(padded, (i, j, 0), shape)


# Differentiable augmentation (Zhao et al. 2020, https://arxiv.org/abs/2006.10738), applied to real and generated images alike. Where every image is
# flipped or rotated, nothing tells which way is up: those two are for adaptive augmentation, which leaves some images as they are.

def brightness(x, key):
  return x + jax.random.uniform(key, minval=-.5, maxval=.5)


def saturation(x, key):
  mean = x.mean(axis=-1, keepdims=True)
  return (x - mean) * jax.random.uniform(key, maxval=2.) + mean


def contrast(x, key):
  return (x - x.mean()) * jax.random.uniform(key, minval=.5, maxval=1.5) + x.mean()


def translation(x, key):
  """By up to an eighth of the size."""
  return shift(x, key, max(1, x.shape[0] // 8))


def cutout(x, key):
  """A square of half the size becomes grey (0), anywhere, cut at the border."""
  h, w = x.shape[:2]
  centre = jax.random.randint(key, (2,), 0, jnp.array([h, w]))
  i, j = jnp.arange(h)[:, None] - centre[0], jnp.arange(w)[None] - centre[1]
  hidden = (i >= -(h // 4)) & (i < h // 4) & (j >= -(w // 4)) & (j < w // 4)
  return jnp.where(hidden[..., None], 0., x)


def rotation(x, key):
  """By a random number of quarter turns; square images only."""
  half, quarter = jax.random.bernoulli(key, shape=(2,))
  x = jnp.where(half, x[::-1, ::-1], x)
  return jnp.where(quarter, jnp.rot90(x), x)


DIFFERENTIABLE = {f.__name__: f for f in (brightness, saturation, contrast, translation, cutout, flip, rotation)}
