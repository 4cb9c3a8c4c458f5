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
