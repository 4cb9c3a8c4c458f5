import numpy as np

from gen_jax.data import gaussians


def test_every_point_lies_at_its_mean(make):
  for split, n in (('train', 100_000), ('validation', 10_000), ('test', 10_000)):
    source = make('gaussians', split)
    x = source.arrays['x']
    assert source.spec[:3] == ((2,), 0, False) and x.shape == (n, 2) and x.dtype == np.float32 and set(source.arrays) == {'x'}
    distance = np.linalg.norm(x[:, None] - gaussians.MEANS, axis=-1)
    assert (np.bincount(distance.argmin(1), minlength=25) == n // 25).all()
    # Rayleigh: E r^2 = 2 std^2.
    assert abs((distance.min(1)**2).mean() / (2 * gaussians.STD**2) - 1) < .03
    assert (distance.min(1) < 6 * gaussians.STD).all()


def test_the_grid(make):
  means = np.unique(gaussians.MEANS, axis=0)
  assert len(means) == 25
  np.testing.assert_allclose(np.diff(np.unique(means[:, 0])), 2 / 8**.5, rtol=1e-6)   # in units of the published std, 40
  np.testing.assert_allclose(2 / 8**.5 / gaussians.STD, 40, rtol=1e-6)
  np.testing.assert_allclose(means.std(0), 1, rtol=1e-6)


def test_splits_share_no_point_and_stay_the_same(make):
  points = [set(map(tuple, make('gaussians', split).arrays['x'].tolist())) for split in ('train', 'validation', 'test')]
  assert len(set.union(*points)) == sum(map(len, points))
  assert make('gaussians').checksum == make('gaussians').checksum
