import json
import pathlib

import numpy as np
import pytest
from evals import inputs

from gen_jax.evals import inception_score

RECORDED = json.loads((pathlib.Path(__file__).parent / 'references.json').read_text())['inception_score']


@pytest.mark.parametrize('name', inputs.LOGITS)
def test_equals_the_reference(name):
  found, recorded = inception_score.score(inputs.logits(name)), RECORDED[name]['in_order']
  np.testing.assert_allclose([found.mean(), found.std()], [recorded['mean'], recorded['std']], rtol=1e-6)


@pytest.mark.parametrize('classes', [2, 10])
def test_its_ends(classes):
  """1 where nothing is known or all is one class, the number of classes where each example is surely of one and all are as often."""
  sure = 1e3 * np.eye(classes)[np.arange(20 * classes) % classes]
  np.testing.assert_allclose(inception_score.score(np.zeros((50, classes))), 1, rtol=1e-12)
  np.testing.assert_allclose(inception_score.score(sure[:1].repeat(50, 0)), 1, rtol=1e-12)
  np.testing.assert_allclose(inception_score.score(sure), classes, rtol=1e-12)


def test_a_constant_in_the_logits_does_not_matter():
  logits = inputs.logits('n1000')
  np.testing.assert_allclose(inception_score.score(logits + np.arange(1000)[:, None]), inception_score.score(logits), rtol=1e-9)
