"""The sentence encoder against transformers', on weights drawn by name (experiments/parity/minilm.py), as the ruler of a run on text, and every
refusal."""
import hashlib
import json
import pathlib

import numpy as np
import pytest
import safetensors.numpy
import tokenizers
from evals import inputs
from ml_collections import ConfigDict

from gen_jax import config, core, data, evals, extractors, run
from gen_jax.evals import agreement, classes, inception_score
from gen_jax.extractors import minilm

RECORDED = json.loads((pathlib.Path(__file__).parent / 'minilm.json').read_text())
STORY = ''.join(f'{i} sheep jumped over the fence. ' for i in range(400))


def drawn():
  return {name: inputs.tensor(name, tuple(shape)) for name, shape in RECORDED['shapes'].items()}


@pytest.fixture
def fetched(tmp_path, monkeypatch):
  """A data directory with a drawn model, whose tokens are words and, as the public one's, truncated and filled up to 128; and a story."""
  words = {word: i for i, word in enumerate(['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'sheep', 'jumped', 'over', 'the', 'fence', '.'])}
  tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, '[UNK]'))
  tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  tokenizer.post_processor = tokenizers.processors.TemplateProcessing('[CLS] $A [SEP]', special_tokens=[('[CLS]', 2), ('[SEP]', 3)])
  tokenizer.enable_truncation(128)
  tokenizer.enable_padding(length=128)
  files = {'model.safetensors': safetensors.numpy.save(drawn()), 'tokenizer.json': tokenizer.to_str().encode()}
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path))
  monkeypatch.setattr(minilm, 'FILES', {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()})
  extractors.make.cache_clear()
  minilm.directory().mkdir()
  for name, raw in files.items():
    (minilm.directory() / name).write_bytes(raw)
  (tmp_path / 'story.txt').write_text(STORY)
  yield minilm.directory()
  extractors.make.cache_clear()


def build(names, tokenizer='characters'):
  c = ConfigDict(config.variant(config.base('text', 'autoregressive', 'transformer', model={}), 'smoke'))
  c.data.path, c.data.length, c.data.tokenizer = str(data.directory() / 'story.txt'), 33, tokenizer
  c.network.width = 16
  c.update({'evals': names, 'eval_examples': 18, 'eval_few': True, 'mesh': 'data=1'})
  return run.build(c.lock(), data.make(c, 'train').spec)


def test_the_network_is_transformers():
  tokens, wanted = inputs.minilm_tokens().astype(np.int32), np.array(RECORDED['drawn'])
  assert wanted.std(0).mean() > .3 * wanted.std()   # the texts are told apart
  features, logits = minilm.run(drawn(), tokens)
  assert features.dtype == np.float32 and logits is None
  np.testing.assert_allclose(features, wanted, rtol=0, atol=1e-6)
  # What stands beside a text, and how far it is filled up, moves nothing.
  np.testing.assert_allclose(minilm.run(drawn(), tokens[2:3, :8])[0], wanted[2:3], rtol=0, atol=1e-6)


def test_the_public_model_is_transformers():
  if not minilm.directory().exists():
    pytest.skip('python -m gen_jax.fetch minilm')
  weights, tokenizer, name = minilm.read(minilm.directory())
  assert name == 'minilm:53aa5117'
  assert (minilm.tokens(inputs.TEXTS, tokenizer) != minilm.NONE).sum(1).tolist() == RECORDED['tokens']
  found = minilm.embed(list(inputs.TEXTS))
  assert found.shape == (len(inputs.TEXTS), 384)
  np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
  np.testing.assert_allclose(found[:, ::RECORDED['stride']], RECORDED['public'], rtol=0, atol=1e-6)


def test_texts_are_read_whole_and_apart(fetched, monkeypatch):
  monkeypatch.setattr(minilm, 'CHUNK', 2)
  said = ['the sheep', '', 'sheep jumped over the fence. ' * 60, 'sheep jumped over the fence. ' * 50, 'the [PAD]']
  tokens = minilm.tokens(said, minilm.read(fetched)[1])
  assert tokens.shape == (5, 256) and (tokens != minilm.NONE).sum(1).tolist() == [4, 2, 256, 256, 6]
  assert tokens[0, :5].tolist() == [2, 7, 4, 3, -1]
  found = minilm.embed(said)
  assert found.dtype == np.float32 and found.shape == (5, 64) and minilm.embed([]).shape == (0, 64)
  np.testing.assert_allclose(found[4:], minilm.embed(said[4:]), atol=1e-6)
  np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
  np.testing.assert_allclose(found[2], found[3], atol=1e-6)   # beyond the last token that is read


def test_metrics_of_a_run_on_text(fetched, monkeypatch):
  made = build('fid,fid_infinity,kid,prdc')
  name = f'minilm:{minilm.FILES["model.safetensors"][:8]}'
  found = evals.make(made)(run.initial(made))
  assert {key.partition('@')[2].removesuffix('_stderr') for key in found} == {name} and np.isfinite(list(found.values())).all()
  assert found[f'fid@{name}'] > 0
  # The same characters as other numbers have the same features; what is kept of one tokenizer's is not taken for the other's.
  real = [evals.real(build('fid', tokenizer), 'validation', ('features', 'x')) for tokenizer in ('characters', 'bytes')]
  assert not np.array_equal(real[0].x, real[1].x)
  np.testing.assert_allclose(real[0].features, real[1].features, atol=1e-6)
  assert len(list((data.directory() / 'references').iterdir())) == 2
  said = [STORY[int(.9 * len(STORY)):][:32]]   # the first window begins with what ends a document
  assert np.abs(real[0].features - minilm.embed(said)).max(1).min() < 1e-6


def refused(f, *args):
  with pytest.raises(core.InputError) as e:
    f(*args)
  assert '\n' not in str(e.value)
  return str(e.value)


def test_what_is_not_text_is_refused(fetched):
  assert 'minilm is for text, not image' in refused(minilm.make, data.Spec((8, 8, 1)))
  assert 'minilm is for text, not music' in refused(minilm.make, data.Spec((8,), bounded=False, modality='music', tokenizer='roll'))


def test_metrics_of_classes_are_refused(fetched):
  made = build('')
  for module in (inception_score, classes):
    assert 'needs an extractor with classes, minilm:' in refused(module.make, made, 'validation')
  assert 'asked for a class' in refused(agreement.make, made, 'validation')


def test_files_that_are_missing_or_others_are_refused(fetched):
  made, path = build('fid'), fetched / 'model.safetensors'
  path.write_bytes(path.read_bytes()[:-1] + b'?')
  assert refused(evals.make, made) == f'{path} is not what it should be (sha256): python -m gen_jax.fetch minilm'
  path.unlink()
  assert refused(evals.make, made) == refused(minilm.embed, ['a']) == f'{path} is missing: python -m gen_jax.fetch minilm'
