"""The longest span of each sample that stands in the training text, in characters: what a model says by heart. Beside held-out text's."""
import numpy as np

from gen_jax import core, data, evals
from gen_jax.modalities import text

NEEDS = ('x',)
MOST = 200   # texts that are searched for


def make(run, split):
  if run.spec.modality != 'text':
    raise core.InputError('copied is of text: leave it out of config.evals')
  source = data.make(run.config, 'train')
  x = source.take(np.arange(source.size))['x']
  if 'stride' in run.config.data:   # windows of longer texts
    stream = np.concatenate([x[0], x[1:, -(run.config.data.stride or run.spec.shape[0] - 1):].reshape(-1)])
    x = np.split(stream, np.flatnonzero(stream == text.END))
  train = text.texts(x, run.spec.tokenizer)
  real = [longest(said, train) for said in text.texts(evals.real(run, split, NEEDS, MOST).x, run.spec.tokenizer)]

  def evaluate(state, samples):
    found = [longest(said, train) for said in text.texts(samples.x[:MOST], run.spec.tokenizer)]
    return {f'{what}/{name}': value for name, lengths in (('samples', found), (split, real))
            for what, value in (('mean', float(np.mean(lengths))), ('longest', float(np.max(lengths))))}
  return evaluate


def longest(said: str, texts: list[str]) -> int:
  """Characters of the longest part of `said` that one of the texts holds."""
  best = 0
  for start in range(len(said)):
    while start + best < len(said) and any(said[start:start + best + 1] in one for one in texts):
      best += 1
  return best
