"""Every token is told once, in its split; what a tokenizer makes can be read again."""
import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from gen_jax import core, data
from gen_jax.data import text as source
from gen_jax.modalities import text

STORY = ''.join(f'{i} sheep jumped over the fence. ' for i in range(400))


def make(split='train', **options):
  return source.make(ConfigDict({**source.DEFAULTS, **data.DEFAULTS, **options}), split)


@pytest.fixture
def story(tmp_path):
  (tmp_path / 'story.txt').write_text(STORY)
  return str(tmp_path / 'story.txt')


def test_splits_are_the_text_in_order(story):
  edges = dict(zip(data.SPLITS, (0, int(.9 * len(STORY)), int(.95 * len(STORY)))))
  for split, start in edges.items():
    made = make(split, path=story, length=9)
    x = made.take(np.arange(made.size))['x']
    assert x.dtype == np.uint16 and x.shape == (made.size, 9)
    stream = np.concatenate([x[:1, 0], *x[:, 1:]])   # the last of a window is the first of the next
    assert stream[0] == text.END and (x[1:, 0] == x[:-1, -1]).all()
    assert text.texts([stream], made.spec.tokenizer)[0] == STORY[start:start + len(stream) - 1]
    stop = {'train': edges['validation'], 'validation': edges['test']}.get(split, len(STORY))
    assert 0 <= stop - start - len(stream) + 1 < 8   # what does not fill a window is left out


def test_strides_overlap_in_training_alone(story):
  assert make(path=story, stride=1, length=9).size == int(.9 * len(STORY)) + 1 - 8
  assert make('test', path=story, stride=1).size == make('test', path=story).size


@pytest.mark.parametrize('kind', text.TOKENIZERS)
def test_what_is_encoded_is_read_again(kind):
  tokenizer = text.TOKENIZERS[kind](['Über 9000 <end> 漢字\n\n  x', 'the fence the fence'], 300).to_str()
  for said in ('Über 9000 <end> 漢字\n\n  x', 'fence 9', '漢'):
    numbers = text.tokens(said, tokenizer)
    assert (numbers > text.END).all() and numbers.max() < text.size(tokenizer)
    assert text.texts([[text.END, *numbers, text.END, *numbers, 0]], tokenizer) == [said]
  assert text.untold('fezq', tokenizer) == ('qz' if kind == 'characters' else '')
  size = text.size(tokenizer)
  assert 259 < size <= 300 if kind == 'pairs' else size == (259 if kind == 'bytes' else 3 + len(set('Über 9000 <end> 漢字\n x fence th')))


@pytest.mark.parametrize('between', ['\n\n', r'\n\n'])
def test_documents_begin_with_the_end_and_stay_whole(tmp_path, between):
  for i in range(3):
    (tmp_path / f'{i}.txt').write_text('\n\n'.join(f'poem {i} {j}' for j in range(40)))
  made = {split: make(split, path=str(tmp_path), between=between, length=2) for split in data.SPLITS}
  poems = {}
  for split, one in made.items():
    x = one.take(np.arange(one.size))['x']
    stream = [*x[:1, 0], *x[:, 1]]
    starts = [i for i, t in enumerate(stream) if t == text.END]
    poems[split] = [text.texts([stream[i:]], one.spec.tokenizer)[0] for i in starts]
  assert sum(poems.values(), []) == [f'poem {i} {j}' for i in range(3) for j in range(40)]
  assert len(poems['validation']) and len(poems['test']) and len(poems['train']) > 100


def test_what_does_not_fit_is_streamed(story):
  resident, streamed = make(path=story), make(path=story, resident_mb=0)
  assert streamed.arrays is None and streamed.checksum == resident.checksum
  np.testing.assert_array_equal(streamed.take(np.array([3, 0]))['x'], resident.arrays['x'][[3, 0]])


@pytest.mark.parametrize('options, said', [
    ({}, 'data.path is missing'), (dict(path='nowhere.txt'), 'nowhere.txt can not be read'),
    (dict(path='.', tokenizer='words'), 'there are characters'),
    (dict(path='.', tokenizer='pairs', vocabulary=100), 'pairs begin with 259'), (dict(path='.', length=1), 'at least 2')])
def test_what_is_refused(options, said, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'x.txt').write_text(STORY)
  with pytest.raises(core.InputError, match=said):
    make(**options)


def test_another_runs_tokenizer_knows_the_text(tmp_path):
  (tmp_path / 'manifest.json').write_text(json.dumps({'spec': {'tokenizer': text.characters(['the fox\n'], 0).to_str()}}))
  for name, said in dict(known='the fox\n' * 99 + 'Q', foreign='the fox 狐狸\n' * 99).items():
    (tmp_path / f'{name}.txt').write_text(said)
  assert make(path=str(tmp_path / 'known.txt'), tokenizer=str(tmp_path), length=5).size
  with pytest.raises(core.InputError, match="knows no '(狐狸|狸狐)', 18% of"):
    make(path=str(tmp_path / 'foreign.txt'), tokenizer=str(tmp_path), length=5)
  (tmp_path / 'manifest.json').write_text(json.dumps({'spec': {'tokenizer': 'roll'}}))
  with pytest.raises(core.InputError, match='is the workdir of a run on music'):
    make(path=str(tmp_path / 'known.txt'), tokenizer=str(tmp_path), length=5)


@pytest.mark.parametrize('content, said', [(b'\xff\xfe', 'is not UTF-8: byte 0'), (b' \n', 'holds no text'), (b'short', 'less than data.length'),
                                           (None, r'holds no \*.txt')])
def test_files_that_are_no_text(content, said, tmp_path):
  if content is not None:
    (tmp_path / 'x.txt').write_bytes(content)
  with pytest.raises(core.InputError, match=said):
    make(path=str(tmp_path))
