import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen_jax import core, data

seeds, sizes = st.integers(0, 2**31), st.integers(1, 40)


@settings(max_examples=40, deadline=None)
@given(seeds, sizes, st.integers(0, 5))
def test_every_epoch_is_a_permutation(seed, size, epoch):
  assert sorted(data.Plan(seed, size, size)(epoch)) == list(range(size))


@settings(max_examples=40, deadline=None)
@given(seeds, sizes, st.integers(1, 50), st.integers(1, 50))
def test_the_order_does_not_depend_on_the_batch_size(seed, size, a, b):
  def first(n):
    plan = data.Plan(seed, size, n)
    return np.concatenate([plan(step) for step in range(-(-120 // n))])[:120]
  assert (first(a) == first(b)).all()


@settings(max_examples=20, deadline=None)
@given(seeds, sizes, st.lists(st.integers(0, 30), min_size=1, max_size=10))
def test_a_step_does_not_depend_on_what_was_asked_before(seed, size, steps):
  plan = data.Plan(seed, size, 7)
  for step in steps:
    assert (plan(step) == data.Plan(seed, size, 7)(step)).all()


def test_seeds_and_epochs_have_orders_of_their_own():
  orders = [tuple(data.Plan(seed, 50, 50)(epoch)) for seed in range(3) for epoch in range(3)]
  assert len(set(orders)) == 9


def test_arrays_that_do_not_fit_are_not_resident(make):
  assert make('mnist', 'test').arrays is not None
  assert make('mnist', 'test', resident_mb=0).arrays is None


def test_an_unknown_split_is_refused(make):
  with pytest.raises(core.InputError, match="split='valid': there are train, validation, test"):
    make('mnist', 'valid')
