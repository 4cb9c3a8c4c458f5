import numpy as np

from gen_jax.evals import memorisation


def normal(seed, n=1000):
  return np.random.default_rng(seed).standard_normal((n, 8)).astype(np.float32)


def test_copies_of_the_training_set():
  train, held_out = normal(0), normal(1)
  for copies in (train, train[::-1] + 1e-3 * normal(2)):
    found = memorisation.copied(copies, train, held_out)
    assert found['nearer_to_train'] == 1. and found['distance_ratio'] > 100
  assert memorisation.copied(held_out, train, held_out)['nearer_to_train'] == 0.


def test_samples_that_know_nothing_by_heart():
  for i in range(3):
    found = memorisation.copied(normal((2, i)), normal((0, i)), normal((1, i)))
    share = found['nearer_to_train']
    error = (share * (1 - share) / 1000)**.5
    # The two sets are the same for all samples, and so have an error of their own.
    assert abs(share - .5) < 3 * 2**.5 * error and abs(found['distance_ratio'] - 1) < .05
  assert memorisation.copied(normal(0), normal(1), normal(1))['nearer_to_train'] == .5   # ties are shared


def test_duplicates():
  real, samples = normal(0), normal(1)
  assert abs(memorisation.duplicates(samples, real) - .01) < .01
  assert memorisation.duplicates(samples[:1].repeat(1000, 0), real) == 1
  tenth = np.concatenate([samples[:950], samples[:50]])
  assert abs(memorisation.duplicates(tenth, real) - .1 - .01) < .01


def test_nearest():
  a, b = normal(0, 50), normal(1, 30)
  distance = np.linalg.norm(a[:, None].astype(np.float64) - b, axis=-1)
  index, found = memorisation.nearest(a, b)
  np.testing.assert_array_equal(index, distance.argmin(1))
  np.testing.assert_allclose(found, distance.min(1), rtol=1e-9)
