"""Documents stay whole and in one split; what is a class, and what is a turn."""
import re

import numpy as np
import pytest
from ml_collections import ConfigDict

from gen_jax import core, data
from gen_jax.data import documents
from gen_jax.modalities import text


def make(split='train', **options):
  return documents.make(ConfigDict({**documents.DEFAULTS, **data.DEFAULTS, **options}), split)


def every(**options):
  """[(split, what it says, label or None)] of all splits."""
  found = []
  for split in data.SPLITS:
    made = make(split, **options)
    taken = made.take(np.arange(made.size))
    said = text.texts(taken['x'], made.spec.tokenizer)
    found += zip([split] * len(said), said, taken.get('condition', [None] * len(said)))
  return found


@pytest.fixture
def classes(tmp_path):
  (tmp_path / 'sums').mkdir()
  (tmp_path / 'fruit.txt').write_text('\n\n'.join(f'{i} pears\nand {i} figs' for i in range(60)))
  for i in range(2):
    (tmp_path / 'sums' / f'{i}.txt').write_text('\n\n'.join(f' {j} + {j}\n\n{j} + 1\n' for j in range(40)))   # in both: the same documents
  return str(tmp_path)


@pytest.mark.parametrize('tokenizer', text.TOKENIZERS)
def test_a_class_is_a_folder_or_a_file(classes, tokenizer):
  found = every(path=classes, labels=True, between='\n\n', tokenizer=tokenizer)
  assert len(found) == 60 + 2 * 2 * 40
  assert all(('pears' in said) == (label == 0) for _, said, label in found)
  of = {}
  for split, said, _ in found:
    assert of.setdefault(said, split) == split   # what is said twice is in one split
  assert min(list(of.values()).count(split) for split in data.SPLITS) > 3
  made = make(path=classes, labels=True, between='\n\n', tokenizer=tokenizer)
  assert made.spec.names == ('fruit', 'sums') and made.spec.classes == 2 and made.spec.shape == (129,) and made.arrays['x'].dtype == np.uint16
  assert (made.arrays['x'][:, 0] == text.END).all() and ((made.arrays['x'] == text.END).sum(1) == 2).all()
  assert make(path=classes, between='\n\n').spec.classes == 0


def test_turns_are_lines_and_the_first_decides_the_split(tmp_path):
  (tmp_path / 'x.txt').write_text('\n\n'.join(f'{i // 2}?\n {i} !\n\tso' for i in range(200)))
  found = every(path=str(tmp_path), turns=True, between='\n\n', length=20)
  assert sorted(said for _, said, _ in found) == sorted(f'{i // 2}?\n{i} !\nso' for i in range(200))
  of = {}
  for split, said, _ in found:
    assert of.setdefault(said.split('\n')[0], split) == split
  made = make(path=str(tmp_path), turns=True, between='\n\n', length=20)
  assert text.texts([[made.spec.between_turns]], made.spec.tokenizer) == ['\n']
  assert ((made.arrays['x'] == made.spec.between_turns).sum(1) == 2).all()


@pytest.mark.parametrize('length, said', [(20, 'abcdefgh\nij\nk'), (14, 'abcdefgh\nij'), (10, 'abcde\nij'), (7, 'ab\nij'), (5, 'a\ni'), (3, '\n')])
def test_what_is_too_long_loses_its_last_turns_then_the_longest_its_end(tmp_path, length, said):
  (tmp_path / 'x.txt').write_text('\n\n'.join(f'{i}bcdefgh\nij\nk' for i in range(10)))
  found = every(path=str(tmp_path), turns=True, between='\n\n', length=length, tokenizer='bytes')
  assert {re.sub('^[0-9]', 'a', one) for _, one, _ in found} == {said} and len(found) == 10
  x = make(path=str(tmp_path), turns=True, between='\n\n', length=length, tokenizer='bytes').arrays['x']
  assert ((x[:, 1:] == text.END).sum(1) == said.endswith(('j', 'k'))).all()   # a turn that was cut does not end there


def test_a_longer_text_loses_its_end(classes):
  assert {len(said) for _, said, _ in every(path=classes, labels=True, length=5, tokenizer='bytes')} == {3}
  assert (make(path=classes, labels=True, length=5, tokenizer='bytes').arrays['x'][:, 1:] != text.END).all()


@pytest.mark.parametrize('options, said', [
    (dict(length=2), 'at least 3'), (dict(labels=True, turns=True), 'there are no classes'), (dict(labels=True, path='x'), 'two classes or more'),
    (dict(turns=True, path='x'), 'a document of one line'), (dict(path=''), 'data.path is missing'),
    (dict(path='nowhere'), 'nor is it a set that was fetched')])
def test_what_is_refused(options, said, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'x').mkdir()
  (tmp_path / 'x' / 'a.txt').write_text('one line')
  with pytest.raises(core.InputError, match=said):
    make(**{'path': '.', **options})


def test_what_was_fetched_goes_by_its_name(classes, monkeypatch, tmp_path):
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path.parent))
  monkeypatch.chdir(tmp_path / 'sums')
  assert make(path=tmp_path.name, labels=True).spec.classes == 2
