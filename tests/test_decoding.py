"""Which tokens may be drawn, and how likely: by hand, on the logits of known probabilities."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from gen_jax import decoding

P = np.array([[.5, .25, .15, .07, .03]])


def probabilities(seen=(), p=P, **options):
  seen_NxV = np.isin(np.arange(5), seen)[None]
  return jax.nn.softmax(decoding.filtered(jnp.log(p), seen_NxV, ConfigDict({**decoding.DEFAULTS, **options})))[0]


@pytest.mark.parametrize('options, kept', [
    ({}, 5), (dict(top_k=2), 2), (dict(top_k=9), 5), (dict(top_p=.5), 1), (dict(top_p=.51), 2), (dict(top_p=.9), 3), (dict(top_p=.91), 4),
    (dict(min_p=.2), 3), (dict(min_p=1.), 1), (dict(temperature=0.), 1), (dict(top_k=4, top_p=.6, min_p=.3), 2)])
def test_which_tokens_are_left(options, kept):
  found = probabilities(**options)
  np.testing.assert_allclose(found, np.where(np.arange(5) < kept, P[0], 0) / P[0, :kept].sum(), atol=1e-6)


def test_temperature_is_a_power():
  np.testing.assert_allclose(probabilities(temperature=.5), P[0]**2 / (P[0]**2).sum(), rtol=1e-5)


def test_repetition_makes_what_is_there_less_likely():
  """Whatever the sign of its logit."""
  logits = np.array([[2., -1., 0., 1., -2.]])
  o = ConfigDict({**decoding.DEFAULTS, 'repetition': 2.})
  found = decoding.filtered(jnp.array(logits), np.array([[True, True, True, False, False]]), o)
  np.testing.assert_allclose(found, [[1., -2., 0., 1., -2.]])


def test_repetition_lets_texts_end():
  """Each begins with END, which is to be drawn once more."""
  end, logits = 2, jnp.array([0., 0., 2., 1.5])
  o = ConfigDict({**decoding.DEFAULTS, 'repetition': 2., 'temperature': 0.})
  step = lambda token_Nx1, cache: (jnp.broadcast_to(logits, (1, 1, 4)), cache)
  found = decoding.generate(step, lambda length: {'length': jnp.zeros((), jnp.int32)}, jax.random.split(jax.random.key(0), 1),
                            jnp.array([[end, 0, 0, 0]]), np.array([True, True, False, False]), o, 0, end)
  np.testing.assert_array_equal(found, [[end, end, 0, 0]])


def test_inverse_draws_what_is_likely_as_often():
  """Also where tokens do not fill a square of blocks, and never what can't be."""
  p = np.array([.3, 0., .05, .15, .1, .25, .15])
  x = np.asarray(jax.jit(decoding.inverse)(jax.random.split(jax.random.key(0), 20_000), jnp.broadcast_to(jnp.log(p), (20_000, 7))))
  found = np.bincount(x, minlength=7) / len(x)
  assert (np.abs(found - p) <= 5 * np.sqrt(p * (1 - p) / len(x))).all()


@pytest.mark.parametrize('beams', [1, 2])
def test_a_cache_that_grows_holds_all_that_was_in_it(beams):
  """Each token here follows from the sum of all before it, which the cache alone knows."""
  length, n = 130, 2

  def step(token_Nx1, cache):
    seen = jax.lax.dynamic_update_slice_in_dim(cache['seen'], token_Nx1, cache['length'], axis=1)
    next_N = (seen.sum(1) + cache['length']) % 5
    return 9. * jax.nn.one_hot(next_N, 5)[:, None], {'seen': seen, 'length': cache['length'] + 1}

  def empty(places):
    return {'seen': jnp.zeros((n * beams, places), jnp.int32), 'length': jnp.zeros((), jnp.int32)}
  given = np.full((n, length), -1, np.int32)
  given[:, 0], given[1, 1:40] = (1, 2), 3
  expected = given.copy()
  for i in range(1, length):
    expected[:, i] = np.where(given[:, i] < 0, (expected[:, :i].sum(1) + i - 1) % 5, given[:, i])
  o = ConfigDict({**decoding.DEFAULTS, 'temperature': 0., 'beams': beams})
  if beams == 1:
    found = decoding.generate(step, empty, jax.random.split(jax.random.key(0), n), jnp.array(given), np.zeros(5, bool), o, -1)
  else:
    found = decoding.beams(step, empty, jnp.array(given), np.zeros(5, bool), o, -1)
  np.testing.assert_array_equal(found, expected)


def test_relaxed_tokens_are_drawn_from_the_softmax_and_differentiable():
  """Of a chain whose next token depends on the last: the gradient of the last weights reaches the first step through the token between."""
  p = np.array([[.2, .5, .3], [.1, .1, .8], [.6, .3, .1]])
  n, never = 5000, np.zeros(3, bool)

  @jax.jit
  def both(table, temperature):
    def run(bias):
      def step(token_Nx1xV, i):
        return token_Nx1xV @ table + jnp.where(i == 0, bias, 0.)[None, None], i + 1
      return decoding.relaxed(step, lambda length: 0, jax.random.split(jax.random.key(0), n), jnp.zeros(n, jnp.int32), 3, never, temperature)
    drawn, soft = run(jnp.zeros(3))
    return drawn, soft, jax.grad(lambda bias: run(bias)[1][:, 1, 0].mean())(jnp.zeros(3))
  drawn, soft, gradient = both(jnp.log(p), .5)
  np.testing.assert_array_equal(soft.argmax(-1), drawn)
  np.testing.assert_allclose(soft.sum(-1), 1, rtol=1e-5)
  found = np.bincount(np.asarray(drawn[:, 0] * 3 + drawn[:, 1]), minlength=9).reshape(3, 3) / n
  expected = p[0][:, None] * p
  assert (np.abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / n)).all()
  assert (np.abs(gradient) > 1e-3).all()
  assert (both(jnp.log(p), .001)[1].max(-1) > .9).mean() > .99
