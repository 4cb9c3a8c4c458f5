"""Of all words, pairs and triples of words in the samples, how many differ (Li et al. 2016, https://arxiv.org/abs/1510.03055); beside held-out text.

Words are modalities.text.words. It falls with the amount of text, so samples and held-out text are as many windows of one length.
"""
import itertools

from gen_jax import core, evals
from gen_jax.modalities import text

NEEDS = ('x',)


def make(run, split):
  if run.spec.modality != 'text':
    raise core.InputError('distinct is of text: leave it out of config.evals')
  real = distinct(text.texts(evals.real(run, split, NEEDS).x, run.spec.tokenizer))

  def evaluate(state, samples):
    found = distinct(text.texts(samples.x, run.spec.tokenizer))
    return {f'{n}/{name}': values[n] for name, values in (('samples', found), (split, real)) for n in values}
  return evaluate


def distinct(said: list[str]) -> dict[int, float]:
  """{n: the part of all n-grams of words that differ}; 0 where there are none."""
  found = {}
  for n in (1, 2, 3):
    grams = list(itertools.chain.from_iterable(zip(*(text.words(one)[i:] for i in range(n))) for one in said))
    found[n] = len(set(grams)) / max(1, len(grams))
  return found
