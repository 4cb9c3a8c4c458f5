"""Metrics of text by hand, and of a run whose samples are known."""
import numpy as np
import pytest
import sacrebleu
from ml_collections import ConfigDict

from gen_jax import config, core, data, evals, run
from gen_jax.evals import bleu, copied, distinct
from gen_jax.modalities import text

STORY = ''.join(f'{i} sheep jumped over the fence. ' for i in range(400))


def test_distinct_words_pairs_and_triples():
  found = distinct.distinct(['a b a b', 'a b c', 'd'])
  assert found == {1: 4 / 8, 2: 3 / 5, 3: 3 / 3}   # pairs: ab ba ab ab bc; triples: aba bab abc
  assert distinct.distinct(['', 'a']) == {1: 1, 2: 0, 3: 0}


@pytest.mark.parametrize('said, length', [('xxfoxx', 3), ('the end', 7), ('', 0), ('?', 0), ('foe end', 5)])
def test_the_longest_copied_span(said, length):
  assert copied.longest(said, ['a fox foo', 'the end']) == length


def test_bleu_is_sacrebleus():
  texts = [STORY[i:i + 90] for i in range(0, 900, 90)]
  for n in bleu.ORDERS:
    theirs = [sacrebleu.BLEU(max_ngram_order=n, effective_order=True).sentence_score(one, texts[:4]).score / 100 for one in texts[4:]]
    found = bleu.against(texts[4:], texts[:4], n)
    np.testing.assert_allclose(found, theirs, rtol=1e-8)
    by_hand = [bleu.against([one], texts[:i] + texts[i + 1:], n)[0] for i, one in enumerate(texts)]
    np.testing.assert_array_equal(bleu.within(texts, n), by_hand)
  assert bleu.against(['the fence'], ['on the fence at'], 2)[0] < .9   # brevity
  assert bleu.against(['the fence'], ['the fence', 'x'], 2)[0] == pytest.approx(1)
  assert .7 < bleu.against(['春眠'], ['眠春'], 2)[0] < .75   # by character: of 2 both, of 1 pair none
  with pytest.raises(core.InputError, match='self-BLEU compares texts'):
    bleu.within(['a'], 2)


def make(path, evals_of, stride):
  c = ConfigDict(config.variant(config.base('text', 'autoregressive', 'transformer', model={}), 'smoke'))
  c.data.path, c.data.length, c.data.stride, c.evals, c.mesh = str(path), 33, stride, evals_of, 'data=1'
  return run.build(c.lock(), data.make(c, 'train').spec)


@pytest.mark.parametrize('stride', [0, 1])
def test_what_stands_in_the_training_text_is_copied(tmp_path, stride):
  (tmp_path / 'x.txt').write_text(STORY)
  made = make(tmp_path, 'bleu,copied,distinct', stride)
  train = data.make(made.config, 'train').take(np.arange(8))['x'].astype(np.int32)
  evaluate = copied.make(made, 'validation')
  found = evaluate(None, evals.Draw(None, x=train))
  assert found['mean/samples'] >= 32 - 1 and 20 <= found['mean/validation'] < 33
  noise = np.random.default_rng(0).integers(3, text.size(made.spec.tokenizer), train.shape)
  assert evaluate(None, evals.Draw(None, x=noise))['longest/samples'] < 8
  assert all(np.isfinite(v) for v in evals.make(made)(run.initial(made)).values())


def test_they_are_of_text():
  c = config.variant(config.base('mnist', 'vae', 'mlp', model={}), 'smoke')
  made = run.build(c, data.make(c, 'train').spec)
  for module in (bleu, copied, distinct):
    with pytest.raises(core.InputError, match='is of text'):
      module.make(made, 'test')
