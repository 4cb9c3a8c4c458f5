import numpy as np

from gen_jax import data
from gen_jax.evals import cas

SPEC = data.Spec((8, 8, 1), classes=4)


def quadrants(seed, n=400, by=100):
  """Noise with one quadrant brighter, which is the class."""
  rng = np.random.default_rng(seed)
  labels = np.arange(n) % 4
  x = rng.integers(0, 100, (n, 2, 4, 2, 4, 1))
  x[np.arange(n), labels // 2, :, labels % 2] += by
  return x.reshape(n, 8, 8, 1).astype(np.uint8), labels


def test_labels_matter_and_the_same_comes_out_twice():
  train, examples, test = cas.trainer('mnist', SPEC, 20), quadrants(0), quadrants(1)
  accuracy, error = train(examples, test)
  assert accuracy > .95
  np.testing.assert_allclose(error, (accuracy * (1 - accuracy) / 400)**.5, rtol=1e-6)
  hard, held_out = quadrants(2, by=20), quadrants(3, by=20)
  assert train(hard, held_out) == train(hard, held_out) and .4 < train(hard, held_out)[0] < .9
  # What is learnt from labels at random are answers at random, but the same for all that look alike: the spread is that of a few draws.
  chance = [train((examples[0], np.random.default_rng(i).permutation(examples[1])), test)[0] for i in range(12)]
  assert abs(np.mean(chance) - .25) < 3 * np.std(chance) / 12**.5 < .2
  assert train((examples[0], (examples[1] + 1) % 4), test)[0] < .05


def test_a_few_examples_and_a_test_set_of_any_size():
  train, (x, labels), test = cas.trainer('mnist', SPEC, 20), quadrants(0, 8), quadrants(1, 131, by=20)
  whole = train((x, labels), test)
  parts = [train((x, labels), (test[0][i], test[1][i]))[0] for i in (slice(0, 1), slice(1, 131))]
  assert .3 < whole[0] < .9
  np.testing.assert_allclose(whole[0], (parts[0] + 130 * parts[1]) / 131, rtol=1e-6)


def test_subsets_are_balanced_and_nested():
  labels = np.random.default_rng(0).choice(5, 1000, p=[.5, .2, .2, .09, .01])
  subsets = [cas.balanced(labels, percent) for percent in (1, 10, 100)]
  for percent, subset in zip((1, 10, 100), subsets):
    wanted = [max(1, round(n * percent / 100)) for n in np.bincount(labels)]
    assert np.bincount(labels[subset]).tolist() == wanted and len(set(subset)) == len(subset)
  assert set(subsets[0]) < set(subsets[1]) < set(subsets[2])
  np.testing.assert_array_equal(subsets[2], np.arange(1000))
