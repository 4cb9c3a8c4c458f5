"""Exact likelihoods: they sum to one, are those of the samples, and see nothing of what comes later or stands in another document."""
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import KEYS, weights

from gen_jax import core, data
from gen_jax.config import base
from gen_jax.families import autoregressive
from gen_jax.modalities import text

LETTERS = text.characters(['abcd'], 0).to_str()
A, B, C, D = range(3, 7)


def make(spec, network=(), sample=(), **family):
  data_name, name = 'mnist' if spec.bounded else 'text', 'recurrent' if 'cell' in dict(network) else 'transformer'
  config = base(data_name, 'autoregressive', name, model=dict(optimizer='sgd', learning_rate=.1))
  config.network.update({'width': 16, 'layers': 2, **dict(network)})
  config.family.update(family)
  config.sample.update(dict(sample))
  made = autoregressive.make(config, spec)
  made = made._replace(score=jax.jit(made.score))
  x = np.zeros((1, *spec.shape), np.float32 if spec.bounded else np.int32)
  return made, jax.tree.map(jnp.asarray, weights(lambda: core.create(made, jax.random.key(0, impl=KEYS), {'x': x})))


def keys(n):
  return core.per_example(jax.random.key(1), jnp.arange(n))


def tokens(length):
  return data.Spec((length,), bounded=False, modality='text', tokenizer=LETTERS)


NETWORKS = pytest.mark.parametrize('network', [{'style': 'gpt2'}, {'style': 'llama', 'groups': 1}, {'cell': 'lstm'}, {'cell': 'gru'}], ids=str)


@NETWORKS
def test_probabilities_of_all_images_sum_to_one_and_are_those_of_the_samples(network):
  family, state = make(data.Spec((2, 1, 2)), network, binarize='threshold')
  every = np.array(list(itertools.product((-1., 1.), repeat=4)), np.float32).reshape(-1, 2, 1, 2)
  p = np.exp(family.score(state, {'x': every}, keys(16))['log_likelihood_threshold'])
  np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)
  assert p.max() > 2 / 16
  x = np.asarray(jax.jit(family.sample)(state, keys(4000)))
  found = np.array([(x == one).all((1, 2, 3)).mean() for one in every])
  assert (np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / 4000) + 1e-9).all()


@NETWORKS
def test_nothing_sees_what_comes_later(network):
  family, state = make(tokens(8), network)
  told = lambda x: family.score(state, {'x': x}, keys(len(x)))['log_likelihood']
  x = np.random.default_rng(0).integers(A, D + 1, (1, 8))
  ends = np.array([[*x[0, :n], *[text.NOTHING] * (8 - n)] for n in range(2, 9)])   # padding counts nothing
  each = np.diff(told(ends))
  for i in range(2, 8):
    other = np.where(np.arange(8) == i, A + (x - A + 1) % 4, x)
    changed = np.diff(told(np.where(ends > 0, other, 0)))
    np.testing.assert_allclose(changed[:i - 2], each[:i - 2], atol=1e-5)
    assert (np.abs(changed[i - 1:] - each[i - 1:]) > 1e-6).all()


@NETWORKS
def test_a_packed_document_is_one_by_itself(network):
  family, state = make(tokens(12), network, documents=True)
  one, other = [text.END, A, C, B, B], [text.END, D, A, A, C, D, B]
  alone = np.array([d + [text.NOTHING] * (12 - len(d)) for d in ([*one, text.END], other)])
  score = lambda x: family.score(state, {'x': x}, keys(len(x)))['log_likelihood']
  np.testing.assert_allclose(score(np.array([one + other]))[0], score(alone).sum(), rtol=1e-5)
  unaware, _ = make(tokens(12), network)
  assert abs(unaware.score(state, {'x': np.array([one + other])}, keys(1))['log_likelihood'][0] - score(alone).sum()) > 1e-2


def test_tokens_that_are_there_count_alike():
  family, state = make(tokens(6))
  x = np.array([[text.END, A, B, C, D, A], [text.END, B, *[text.NOTHING] * 4]])
  given = state.params['model'], state, {'x': x}, keys(2), jax.random.key(0)
  loss, aux = jax.jit(family.roles['model'].loss)(*given)
  np.testing.assert_array_equal(aux.weight_B, [5, 1])
  np.testing.assert_allclose(loss * aux.weight_B, -family.score(state, {'x': x}, keys(2))['log_likelihood'], rtol=1e-5)
  found = jax.jit(functools.partial(core.mean_gradient, family.roles['model'].loss))(*given)
  np.testing.assert_allclose(found.metrics['loss'], (5 * loss[0] + loss[1]) / 6, rtol=1e-6)


def test_smoothing_moves_mass_to_all_tokens_alike():
  x, found = {'x': np.array([[text.END, A, B, C, D, A]])}, []
  for smoothing in (0., .2, .4):
    family, state = make(tokens(6), smoothing=smoothing)
    found.append(jax.jit(family.roles['model'].loss)(state.params['model'], state, x, keys(1), jax.random.key(0))[0][0])
  np.testing.assert_allclose(found[2] - found[0], 2 * (found[1] - found[0]), rtol=1e-4)
  assert found[0] != found[1]


def test_a_sample_goes_on_from_its_prompt_until_its_end():
  family, state = make(tokens(10))
  prompt = np.array([[A, B, text.NOTHING], [text.END, C, D], [D, text.NOTHING, text.NOTHING]])
  x = np.asarray(jax.jit(family.sample)(state, keys(3), prompt))
  assert x.shape == (3, 10) and (np.where(prompt > 0, x[:, :3], 0) == prompt).all()
  many = np.asarray(jax.jit(family.sample)(state, keys(200), np.full((200, 1), A)))
  assert (many != text.UNKNOWN).all()
  for row in many:
    end = [*np.flatnonzero(row == text.END), 10][0]
    assert (row[:end] >= A).all() and (row[end + 1:] == text.NOTHING).all()
  assert (many == text.END).any()
  np.testing.assert_array_equal(jax.jit(family.sample)(state, keys(2))[:, 0], text.END)
  with pytest.raises(core.InputError, match='a prompt of 11 tokens is longer than the 10'):
    family.sample(state, keys(1), np.full((1, 11), A))


@pytest.mark.parametrize('penalty', [0., 1.])
def test_enough_beams_find_the_likeliest_text_of_all(penalty):
  network = {'cell': 'gru', 'width': 8} if penalty else {'heads': 2}
  family, state = make(tokens(4), network, sample={'beams': 125, 'length_penalty': penalty})
  x = np.asarray(jax.jit(family.sample)(state, keys(3), np.array([[A, text.NOTHING], [B, text.NOTHING], [C, A]])))
  score = jax.jit(lambda x: family.score(state, {'x': x}, keys(len(x)))['log_likelihood'])
  for found, prompt in zip(x, ([A], [B], [C, A])):
    every = [(*prompt, *rest) for rest in itertools.product(range(text.END, D + 1), repeat=4 - len(prompt))]
    every = sorted({e[:e.index(text.END) + 1] + (text.NOTHING,) * (3 - e.index(text.END)) if text.END in e else e for e in every})
    told = score(np.array(every)) - score(np.array([[*prompt, *[text.NOTHING] * (4 - len(prompt))]]))
    best = told / np.array([sum(t > 0 for t in e) - len(prompt) for e in every])**penalty
    assert every[int(best.argmax())] == tuple(found.tolist())


def test_one_after_another_is_all_at_once():
  """A text that is made a few tokens at a time, as `gen_jax.sample --stream` does."""
  prompt = np.array([[A, B], [A, text.NOTHING], [C, D]] * 8)
  whole, state = make(tokens(16))
  few, _ = make(tokens(16), sample={'tokens': 3})
  x, sample = np.pad(prompt, ((0, 0), (0, 14))), jax.jit(few.sample)
  for given in (2, 5, 8, 11, 14):
    x = np.asarray(sample(state, keys(24), x))
    assert x[:, given:].any() and not x[:, given + 3:].any()
  x = np.asarray(sample(state, keys(24), x))
  np.testing.assert_array_equal(x, jax.jit(whole.sample)(state, keys(24), prompt))


def test_at_temperature_zero_every_token_is_the_likeliest():
  family, state = make(tokens(8), sample={'temperature': 0.})
  x = np.asarray(jax.jit(family.sample)(state, keys(2), np.array([[A], [B]])))
  assert (x[0] != x[1]).any()
  score = lambda x: family.score(state, {'x': x}, keys(len(x)))['log_likelihood']
  for row in x:
    for i in np.flatnonzero(row[1:]) + 1:
      others = np.array([[*row[:i], t, *[text.NOTHING] * (7 - i)] for t in range(text.END, D + 1)])
      assert others[score(others).argmax(), i] == row[i]


def test_dropout_is_of_training_and_of_each_example():
  family, state = make(tokens(8), {'dropout': .5})
  x = {'x': np.full((3, 8), A)}
  loss = jax.jit(functools.partial(family.roles['model'].loss, state.params['model'], state, x))
  one, other = loss(keys(3), jax.random.key(0))[0], loss(keys(3)[::-1], jax.random.key(0))[0]
  np.testing.assert_allclose(one, other[::-1], rtol=1e-6)
  assert len(set(np.asarray(one).tolist())) == 3
  assert len(set(np.asarray(family.score(state, x, keys(3))['log_likelihood']).tolist())) == 1


@pytest.mark.parametrize('spec, options, said', [
    (data.Spec((4, 4, 1)), dict(binarize='often'), "family.binarize='often'"), (data.Spec((4, 4, 1)), dict(documents=True), 'are for text'),
    (data.Spec((4, 4, 1)), dict(condition=True), 'needs labels'), (tokens(4), dict(binarize='dynamic'), 'is for images'),
    (tokens(4), dict(smoothing=1.), r'must be in \[0, 1\)'), (data.Spec((2,), bounded=False), {}, 'of text or of images'),
    (tokens(4), dict(network={'style': 'bert'}), 'there are gpt2, llama'),
    (tokens(4), dict(network={'cell': 'rnn'}), 'there are lstm, gru'), (tokens(4), dict(network={'heads': 3}), 'must be a multiple'),
    (tokens(4), dict(network={'dropout': 1.}), 'network.dropout'), (tokens(4), dict(sample={'temperature': -1.}), 'sample.temperature=-1.0: must be'),
    (tokens(4), dict(sample={'top_p': 0.}), 'sample.top_p=0.0: must be'), (tokens(4), dict(sample={'beams': 0}), 'sample.beams=0: must be'),
    (tokens(4), dict(sample={'beams': 2, 'top_k': 3}), 'sample.top_k=3 changes nothing with sample.beams=2'),
    (tokens(4), dict(sample={'length_penalty': .5}), 'sample.length_penalty=0.5 changes nothing'),
    (data.Spec((4, 4, 1)), dict(sample={'tokens': 3}), 'sample.tokens is for text')])
def test_what_is_refused(spec, options, said):
  with pytest.raises(core.InputError, match=said):
    make(spec, **options)


def test_a_label_stands_for_the_beginning():
  spec = tokens(3)._replace(classes=2)
  family, state = make(spec, condition=True)
  drawn = np.asarray(jax.jit(family.sample)(state, keys(4000), np.repeat([0, 1], 2000))).reshape(2, 2000, 3)
  assert (drawn[:, :, 0] == text.END).all() and drawn.max() <= D
  known = range(text.END, D + 1)   # a text may begin with UNKNOWN, but is not drawn so
  x = np.array([[text.END, token, text.NOTHING] for token in known])
  p = np.stack([np.exp(family.score(state, {'x': x, 'condition': np.full(5, label)}, keys(5))['log_likelihood']) for label in (0, 1)])
  p /= p.sum(-1, keepdims=True)
  found = np.stack([(drawn[:, :, 1] == token).mean(-1) for token in known], axis=-1)
  assert np.abs(p[0] - p[1]).max() > .05 and (np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / 2000)).all()


def test_smoothing_is_over_tokens_and_not_over_classes():
  family, state = make(tokens(4)._replace(classes=2), condition=True, smoothing=.1)
  x = {'x': np.array([[text.END, A, B, C]]), 'condition': np.array([1])}
  assert float(family.roles['model'].loss(state.params['model'], state, x, keys(1), keys(1)[0])[0][0]) < 20


def test_a_dialogue_ends_with_its_answer():
  family, state = make(tokens(12)._replace(between_turns=D))
  plain, _ = make(tokens(12))
  prompt = np.array([[text.END, A, D]] * 100)
  free, told = (np.asarray(jax.jit(f.sample)(state, keys(100), prompt)) for f in (plain, family))
  turns = (free == D).cumsum(-1) - (free == D)   # before each token
  np.testing.assert_array_equal(told, np.where(turns < 2, free, text.NOTHING))
  assert (turns[free > 0] > 2).any()
  more = np.asarray(jax.jit(family.sample)(state, keys(100), told))   # an answer that has ended does not go on
  ended = (told == D).sum(-1) == 2
  np.testing.assert_array_equal(more[ended], told[ended])


def test_only_answers_are_told():
  """u | a | u | a END, with a loss that is that of the answers, of which each sees all that was said before."""
  spec = tokens(10)._replace(between_turns=D)
  family, state = make(spec)
  plain, _ = make(tokens(10))
  x = np.array([[text.END, A, B, D, C, C, D, A, D, text.END]])
  told = lambda f, x: float(f.score(state, {'x': x}, keys(1))['log_likelihood'][0])
  # Log-probabilities of every token by itself, from texts that end one token later each time.
  each = np.diff([0] + [told(plain, np.where(np.arange(10) < n, x, text.NOTHING)) for n in range(2, 11)])
  assert told(family, x) == pytest.approx(each[[3, 4, 5, 8]].sum(), abs=1e-4)   # C C D, and END
  loss, aux = family.roles['model'].loss(state.params['model'], state, {'x': x}, keys(1), keys(1)[0])
  assert float(loss[0]) == pytest.approx(-each[[3, 4, 5, 8]].mean(), abs=1e-4) and aux.weight_B == 4
