import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import augment

X = np.random.default_rng(0).uniform(-.9, .9, (8, 8, 3)).astype(np.float32)
POSITION = np.arange(64, dtype=np.float32).reshape(8, 8, 1) / 100   # every pixel known by its value
ALL = {**augment.DIFFERENTIABLE, 'shift': lambda x, key: augment.shift(x, key, 2), 'crop': lambda x, key: augment.crop(x, key, 2)}
many = lambda f, x, n=64: np.asarray(jax.jit(jax.vmap(f, (None, 0)))(x, jax.random.split(jax.random.key(1), n)))


@pytest.mark.parametrize('name', ALL)
def test_the_key_alone_decides(name):
  found = many(ALL[name], X)
  assert found.shape == (64, 8, 8, 3) and found.dtype == np.float32
  assert (found == many(ALL[name], X)).all()
  assert len(np.unique(found.reshape(64, -1), axis=0)) > 1


@pytest.mark.parametrize('name', ALL)
def test_gradients_pass(name):
  """The derivative along a direction is that of finite differences: all are affine in x for a fixed key."""
  f = lambda x: ALL[name](x, jax.random.key(3))
  direction = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
  _, found = jax.jit(lambda x, d: jax.jvp(f, (x,), (d,)))(X, direction)
  np.testing.assert_allclose(found, f(X + direction) - f(X), atol=1e-5)
  back = jax.jit(jax.grad(lambda x: (f(x) * direction).sum()))(X)
  assert jnp.isfinite(back).all() and (back != 0).any()


@pytest.mark.parametrize('name', ['shift', 'crop'])
def test_no_room_is_no_change(name):
  assert (many(lambda x, key: getattr(augment, name)(x, key, 0), X, 8) == X).all()


def windows(padded, size):
  room = padded.shape[0] - size + 1
  return {(i, j): padded[i:i + size, j:j + size] for i in range(room) for j in range(room)}


@pytest.mark.parametrize('name, pad', [('shift', dict(mode='constant', constant_values=-1)), ('crop', dict(mode='reflect'))])
def test_every_window_of_the_padded_image_comes_and_nothing_else(name, pad):
  expected = windows(np.pad(POSITION, ((2, 2), (2, 2), (0, 0)), **pad), 8)
  found = many(lambda x, key: getattr(augment, name)(x, key, 2), POSITION, 400)
  seen = np.array([next(at for at, w in expected.items() if (w == x).all()) for x in found])
  assert set(map(tuple, seen)) == set(expected)
  for axis in (0, 1):   # every offset as often: 80 of 400, deviation 8
    assert (abs(np.bincount(seen[:, axis]) - 80) < 32).all()


def test_a_shift_within_the_margin_keeps_the_mass():
  x = jnp.full((16, 16, 1), -1.).at[6:10, 6:10].set(X[:4, :4, :1])
  for f in (lambda x, key: augment.shift(x, key, 6), augment.translation):
    np.testing.assert_allclose((many(f, x) + 1).sum((1, 2, 3)), (x + 1).sum(), rtol=1e-5)


def test_a_translation_is_by_an_eighth_at_most():
  x = jnp.full((16, 16, 1), -1.).at[8, 8].set(1.)
  moved = {tuple(np.argwhere(a[..., 0] == 1)[0] - 8) for a in many(augment.translation, x, 400)}
  assert moved == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}


def test_a_flip_mirrors_every_second_time():
  found = many(augment.flip, X, 400)
  mirrored = (found == X[:, ::-1]).all((1, 2, 3))
  assert ((found == X).all((1, 2, 3)) ^ mirrored).all()
  assert 150 < mirrored.sum() < 250


def test_a_rotation_is_by_each_number_of_quarter_turns_alike():
  found = many(augment.rotation, X, 400)
  turned = np.array([(found == np.rot90(X, k)).all((1, 2, 3)) for k in range(4)])
  assert (turned.sum(0) == 1).all()
  assert (abs(turned.sum(1) - 100) < 40).all()   # deviation 9


def test_brightness_adds_a_constant():
  change = many(augment.brightness, X, 400) - X
  np.testing.assert_allclose(change, np.broadcast_to(change[:, :1, :1, :1], change.shape), atol=1e-6)
  assert -.5 <= change.min() < -.45 and .45 < change.max() <= .5 + 1e-6


def test_saturation_scales_the_distance_to_grey():
  found = many(augment.saturation, X, 400)
  grey = X.mean(-1, keepdims=True)
  np.testing.assert_allclose(found.mean(-1, keepdims=True), np.broadcast_to(grey, (400, 8, 8, 1)), atol=1e-6)
  ratio = (found - grey)[:, 0, 0, 0] / (X - grey)[0, 0, 0]
  np.testing.assert_allclose(found - grey, ratio[:, None, None, None] * (X - grey), atol=1e-5)
  assert 0 <= ratio.min() < .1 and 1.9 < ratio.max() <= 2
  one = many(augment.saturation, X[..., :1], 4)
  np.testing.assert_allclose(one, np.broadcast_to(X[..., :1], one.shape), atol=1e-6)   # grey images have none


def test_contrast_scales_the_distance_to_the_mean():
  found = many(augment.contrast, X, 400)
  np.testing.assert_allclose(found.mean((1, 2, 3)), X.mean(), atol=1e-5)
  ratio = found.std((1, 2, 3)) / X.std()
  assert .5 <= ratio.min() + 1e-5 and ratio.min() < .55 and 1.45 < ratio.max() < 1.5 + 1e-5


def test_cutout_hides_one_square_and_keeps_the_rest():
  hidden = (many(augment.cutout, X, 400) != X).all(-1)
  sizes = set()
  for mask in hidden:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert mask.sum() == len(rows) * len(columns) and np.ptp(rows) == len(rows) - 1 and np.ptp(columns) == len(columns) - 1
    sizes.add((len(rows), len(columns)))
  assert max(sizes) == (4, 4) and min(sizes) == (2, 2)   # whole, and cut in the corner
  assert hidden.any(0).all()                             # anywhere
  assert (many(augment.cutout, X, 4)[hidden[:4]] == 0).all()
