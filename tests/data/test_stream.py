import time

import numpy as np
import pytest

from gen_jax import core, data

SPEC = data.Spec((2, 2, 1), classes=3)


@pytest.fixture
def source():
  x = np.arange(37 * 4, dtype=np.uint8).reshape(37, 2, 2, 1)
  return data.from_arrays(x, np.arange(37) % 3, SPEC)


def slowly(source):
  """Odd batches take longer, so that threads that raced would deliver out of order."""
  def take(indices):
    time.sleep(.004 * (indices[0] % 2))
    return source.take(indices)
  return source._replace(take=take, arrays=None)


@pytest.mark.parametrize('threads', [1, 3])
def test_it_gives_what_gathering_gives(source, threads):
  found = list(data.stream(slowly(source), data.Plan(5, 37, 8), 3, 20, threads))   # four epochs
  plan = data.Plan(5, 37, 8)
  assert len(found) == 17
  for step, batch in zip(range(3, 20), found):
    for name, a in source.arrays.items():
      assert batch[name].dtype == a.dtype
      assert (batch[name] == a[plan(step)]).all()


def test_plans_side_by_side_keep_their_shape(source):
  plans = [data.Plan(seed, 37, 8) for seed in range(2)]
  batch = next(data.stream(source, lambda step: np.stack([plan(step) for plan in plans]), 4, 6))
  assert batch['x'].shape == (2, 8, 2, 2, 1) and batch['condition'].shape == (2, 8)
  for i, plan in enumerate(plans):
    assert (batch['x'][i] == source.arrays['x'][plan(4)]).all()


def test_nothing_to_do_is_an_empty_stream(source):
  assert list(data.stream(source, data.Plan(0, 37, 8), 5, 5)) == []


def test_an_error_surfaces_as_itself_at_its_step(source):
  class Broken(Exception):
    pass

  def take(indices):
    if 7 in indices:
      raise Broken('no image')
    return source.take(indices)
  found = data.stream(source._replace(take=take), lambda step: np.array([step]), 5, 10)
  assert [next(found)['condition'].item() for _ in range(2)] == [5 % 3, 6 % 3]
  with pytest.raises(Broken, match='no image'):
    next(found)


def test_it_reads_ahead_but_not_far(source):
  steps = []
  def plan(step):
    steps.append(step)
    return np.array([0])
  found = data.stream(source, plan, 0, 1000)
  next(found)
  deadline = time.monotonic() + 10
  while len(steps) < 3 and time.monotonic() < deadline:
    time.sleep(.01)
  time.sleep(.1)
  assert 3 <= len(steps) < 12


def test_a_label_is_a_number_or_a_name():
  spec = data.Spec((4, 4, 1), classes=3, names=('cat', 'dog', '0'))
  assert [data.label(said, spec) for said in ('dog', '2', '0')] == [1, 2, 2]   # a name goes before a number
  with pytest.raises(core.InputError, match='0 to 2, or cat, dog, 0'):
    data.label('Dog', spec)
  with pytest.raises(core.InputError, match='knows no classes'):
    data.label('0', data.Spec((4,)))
