"""What rewards tell, by hand."""
import pytest
from ml_collections import ConfigDict

from gen_jax import core, data
from gen_jax.data import text as text_source
from gen_jax.modalities import text
from gen_jax.rewards import length, rhyme, sentiment

SAID = 'the night\nso bright\n\nthe day,\nand away!\nday\nand no'
LETTERS = text.characters([SAID], 0).to_str()


def test_verse_rhymes_with_another_word_of_whole_lines():
  told = lambda said: rhyme.rhymes(said, 2)
  assert told(SAID) == 3 / 4    # night bright, bright day, day away, away day; the last line is not whole
  assert told('day\nday\n') == 0 and told('one line\n') == told('') == told('\n\n') == told('night\nlight') == 0
  assert told('a\na\n') == 0 and told('sun\npin\n') == 1 / 2 and told('a\nka\n') == 1 / 2


@pytest.mark.parametrize('name, told', [(length, [-1 / 12, -1.]), (rhyme, [3 / 4, 0.])], ids=str)
def test_of_tokens(name, told):
  spec = data.Spec((80,), bounded=False, modality='text', tokenizer=LETTERS)
  options = ConfigDict({**name.DEFAULTS, **({'target': 12} if name is length else {})})
  tokens = [text.END, *text.tokens(SAID, LETTERS), text.END]
  found = name.make(options, spec)([tokens + [0] * (80 - len(tokens)), [text.END] * 2 + [0] * 78])
  assert found.tolist() == pytest.approx(told)
  with pytest.raises(core.InputError, match='is of text'):
    name.make(options, data.Spec((4, 4, 1)))


def test_sentiment_is_learnt_of_reviews(tmp_path, monkeypatch):
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path))
  (tmp_path / 'sentiment').mkdir()
  for name, word in (('negative', 'dull'), ('positive', 'lovely')):
    (tmp_path / 'sentiment' / f'{name}.txt').write_text('\n'.join(f'a {word} film, number {i}' for i in range(40)))
  spec = data.Spec((80,), bounded=False, modality='text', tokenizer=text.characters(['a dull lovely film'], 0).to_str())
  tokens = [[text.END, *text.tokens(f'a {word} film', spec.tokenizer)] for word in ('dull', 'lovely')]
  with pytest.raises(core.InputError, match='is not what'):
    sentiment.make(ConfigDict({}), spec)
  monkeypatch.setattr(sentiment, 'REVIEWS', text_source.read(ConfigDict({'path': str(tmp_path / 'sentiment'), 'between': '\n'}))[1])
  worse, better = sentiment.make(ConfigDict({}), spec)(tokens)
  assert worse < .2 < .8 < better
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path / 'nowhere'))
  with pytest.raises(core.InputError, match='nor is it a set that was fetched'):
    sentiment.make(ConfigDict({}), spec)
