"""Metrics of text by hand, and of a run whose samples are known."""
import numpy as np
import pytest
import sacrebleu
from ml_collections import ConfigDict
from rouge_score import rouge_scorer

from gen_jax import config, core, data, evals, run
from gen_jax.evals import answers, bleu, copied, distinct, score
from gen_jax.modalities import text

STORY = ''.join(f'{i} sheep jumped over the fence. ' for i in range(400))


def test_distinct_words_pairs_and_triples():
  found = distinct.distinct(['a b a b', 'a b c', 'd'])
  assert found == {1: 4 / 8, 2: 3 / 5, 3: 3 / 3}   # pairs: ab ba ab ab bc; triples: aba bab abc
  assert distinct.distinct(['', 'a']) == {1: 1, 2: 0, 3: 0}
  assert distinct.distinct(['春眠，', '眠 a']) == {1: 3 / 4, 2: 2 / 2, 3: 0}   # of Chinese a word is a character


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


def test_nats_are_of_all_tokens(tmp_path):
  """Of one token a character; an unknown one is a character, too, and an end is none."""
  nats, error = score.ratio([1, 5], [1, 3])
  assert nats == 1.5 and error == pytest.approx(.5 / (2 * 2**.5)) and np.isnan(score.ratio([1], [0])).all()
  (tmp_path / 'x.txt').write_text(STORY)
  made = make(tmp_path, 'score', 0)
  x = evals.real(made, 'test', ('x',)).x.astype(np.int32)
  x[0, 5:] = text.NOTHING
  x[1, 3:9] = text.UNKNOWN
  x[2, 7] = text.END
  state = run.initial(made)
  found = score.make(made, 'test')(state, evals.Draw(None, x=x))
  assert found['perplexity/samples'][0] == pytest.approx(np.exp(found['nats_per_token/samples'][0]))
  assert found['bits_per_character/test'][0] == pytest.approx(found['nats_per_token/test'][0] / np.log(2))
  each = run.mapped(made, made.family.score)(state, made.key, len(x), {'x': x})
  told = (x[:, 1:] != text.NOTHING).sum()
  assert found['nats_per_token/samples'][0] == pytest.approx(-each['log_likelihood'].sum() / each['tokens'].sum())
  assert found['bits_per_character/samples'][0] == pytest.approx(-each['log_likelihood'].sum() / (told - 1) / np.log(2))


def test_they_are_of_text():
  c = config.variant(config.base('mnist', 'vae', 'mlp', model={}), 'smoke')
  made = run.build(c, data.make(c, 'train').spec)
  for module in (bleu, copied, distinct):
    with pytest.raises(core.InputError, match='is of text'):
      module.make(made, 'test')


@pytest.mark.parametrize('said, meant', [('the cat sat on the mat', 'the cat was on the mat'), ('', 'a'), ('a', 'b'), ('Turn it off.', 'turn IT on')])
def test_answers_are_as_rouge_score_scores_them(said, meant):
  theirs = rouge_scorer.RougeScorer(list(answers.KINDS)).score(meant, said)
  assert answers.rouge(said, meant) == pytest.approx({kind: score.fmeasure for kind, score in theirs.items()}, rel=1e-8)


def test_chinese_counts_by_character():
  assert answers.rouge('人工智能', '人工智慧') == pytest.approx({'rouge1': 3 / 4, 'rouge2': 2 / 3, 'rougeL': 3 / 4})


def test_answers_to_held_out_turns(tmp_path):
  (tmp_path / 'x.txt').write_text('\n\n'.join(f'what is {i}?\n{i} is {i}' for i in range(150)))
  c = ConfigDict(config.variant(config.base('documents', 'autoregressive', 'transformer', model={}), 'smoke'))
  c.data.update(path=str(tmp_path), between='\n\n', turns=True, length=32)
  c.update(evals='answers', mesh='data=1', eval_examples=15)
  made = run.build(c.lock(), data.make(c, 'train').spec)
  meant = run.held_out(made, 'validation', 15)['x']
  found = answers.make(made, 'validation')(None, evals.Draw(None, x=meant))
  assert all(value == (1, 0) for value in found.values())
  other = answers.make(made, 'validation')(None, evals.Draw(None, x=np.where(meant == made.spec.between_turns, made.spec.between_turns, meant)[::-1]))
  assert other['rouge2'][0] < .5
  asked = text.texts(run.prompts(made.spec, meant), made.spec.tokenizer)
  assert all(said.endswith('?\n') for said in asked)
  assert set(evals.make(made)(run.initial(made))) >= {'answers/rouge1', 'answers/rougeL_stderr'}
  c = ConfigDict(made.config)
  c.evals = 'distinct'
  with pytest.raises(core.InputError, match='of a dialogue only the answers are made'):
    evals.make(made._replace(config=c))


def test_documents_are_copied_by_heart_too(tmp_path):
  (tmp_path / 'x.txt').write_text('\n'.join(f'{i} sheep jumped' for i in range(80)))
  c = ConfigDict(config.variant(config.base('documents', 'autoregressive', 'transformer', model={}), 'smoke'))
  c.data.update(path=str(tmp_path), between='\n', length=24)
  c.update(evals='copied', mesh='data=1')
  made = run.build(c.lock(), data.make(c, 'train').spec)
  train = data.make(c, 'train').take(np.arange(4))['x']
  assert copied.make(made, 'validation')(None, evals.Draw(None, x=train))['mean/samples'] >= 14
