import numpy as np

from gen_jax.evals import memorisation


def normal(seed, n=1000):
  return np.random.default_rng(seed).standard_normal((n, 8)).astype(np.float32)


def test_copies_of_the_training_set():
  train, held_out, fresh = normal(0, 5000), normal(1), normal(2)
  for copies in (train[:1000], train[:1000] + 1e-3 * normal(3)):
    found = memorisation.copied(copies, train, held_out)
    assert found['nearer_to_train'] == 1. and found['copies'] == 1. and found['distance_ratio'] > 50
  tenth = np.concatenate([train[:100], fresh[:900]])   # of five thousand any may be the one that is copied
  found = memorisation.copied(tenth, train, held_out)
  assert abs(found['nearer_to_train'] - .55) < .04 and abs(found['copies'] - .1 - .01) < .012


def test_samples_that_know_nothing_by_heart():
  for i in range(3):
    found = memorisation.copied(normal((2, i)), normal((0, i), 5000), normal((1, i)))
    error = (1 / 12 * (1 / 1000 + 1 / 1000))**.5   # of the Mann-Whitney statistic
    assert abs(found['nearer_to_train'] - .5) < 3 * error and abs(found['distance_ratio'] - 1) < .05 and found['copies'] < .03
  assert memorisation.copied(normal(0), normal(1), normal(0))['nearer_to_train'] == .5   # ties are shared
  far = memorisation.copied(normal(2) + 3, normal(0, 5000), normal(1))
  assert far['nearer_to_train'] < .1 and far['distance_ratio'] < 1 and far['copies'] == 0
  assert memorisation.copied(.5 * normal(2), normal(0, 5000), normal(1))['nearer_to_train'] > .7   # crowded, though no copies


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
