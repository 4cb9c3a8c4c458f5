import math

import numpy as np

from gen_jax import evals
from gen_jax.evals import agreement, classes


def of(labels):
  """Logits with these verdicts."""
  return 5 * np.eye(4, dtype=np.float32)[np.array(labels)] + np.random.default_rng(0).uniform(0, 1, (len(labels), 4)).astype(np.float32)


def test_classes_by_hand():
  real = of([0, 1, 2, 3])
  assert classes.covered(real, real) == {'covered': 4, 'kl': 0.}
  found = classes.covered(of([0, 0, 0, 1]), real)
  assert found['covered'] == 2
  np.testing.assert_allclose(found['kl'], .75 * math.log(3), rtol=1e-12)   # 3/4 log (3/4 / 1/4) + 1/4 log 1
  assert classes.covered(real, of([0, 0, 1, 2]))['kl'] == math.inf


def test_agreement_by_hand():
  draw = evals.Draw(np.array([0, 1, 2, 3]), logits=of([0, 1, 2, 0]))
  np.testing.assert_allclose(agreement.accuracy(draw), (.75, (.75 * .25 / 4)**.5))
