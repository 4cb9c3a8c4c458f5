"""The report is of what the classifier says of held-out examples, by hand."""
import numpy as np
import pytest

from gen_jax import config, core, evals, run
from gen_jax.data import mnist


def build(family='classifier', *roles, spec=mnist.SPEC):
  c = config.variant(config.base('mnist', family, 'mlp', **{role: {} for role in roles or ('model',)}), 'smoke')
  c.update(mesh='data=1', evals='classification', eval_examples=200)
  return run.build(c, spec)


def test_precision_recall_and_f1_of_each_class():
  made = build()
  state = run.initial(made)
  head = state.params['model']['head']
  state = state.replace(params={'model': {**state.params['model'], 'head': {**head, 'bias': head['bias'].at[3:].set(-1e3)}}})   # says 0 to 2 alone
  found = evals.make(made)(state)
  real = run.held_out(made, 'validation', 200)
  said, truth = np.asarray(made.family.classify(state, real['x'])).argmax(-1), real['condition']
  named = build(spec=mnist.SPEC._replace(names=('macro', *'bcdefghij')))
  again = evals.make(named)(state)
  assert [again[f'classification/{c}/recall'] for c in '0bc'] == [found[f'classification/{c}/recall'] for c in range(3)]
  for c in range(10):
    hit, of_said, of_truth = ((said == c) & (truth == c)).sum(), (said == c).sum(), (truth == c).sum()
    wanted = {'precision': hit / max(1, of_said), 'recall': hit / of_truth, 'f1-score': 2 * hit / (of_said + of_truth)}
    assert {name: found[f'classification/{c}/{name}'] for name in wanted} == pytest.approx(wanted)
  assert found['classification/macro/f1-score'] == pytest.approx(np.mean([found[f'classification/{c}/f1-score'] for c in range(10)]))
  assert found['classification/accuracy'] == pytest.approx((said == truth).mean()) and found['classification/accuracy_stderr'] > 0


def test_what_does_not_classify_is_refused():
  with pytest.raises(core.InputError, match='the family gan is none'):
    evals.make(build('gan', 'discriminator', 'generator'))
