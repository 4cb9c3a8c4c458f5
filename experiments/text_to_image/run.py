"""Text to image on emoji: how well do pictures show held-out captions, and what does guidance do?

  python -m gen_jax.fetch emoji
  python -m experiments.text_to_image.run [--runs=runs/text_to_image]   # trains what is not there, measures, writes the pictures and prints the table
"""
import argparse
import pathlib
import sys

import jax
import numpy as np

from experiments import study
from gen_jax import cli, core
from gen_jax import run as runs
from gen_jax.modalities import image, text

HERE = pathlib.Path(__file__).parent
GUIDANCES = (1., 2., 4.)
CANDIDATES = 100
EACH = 4   # pictures of a caption and guidance
HELD_OUT = ('frowning face', 'large blue square', 'heavy black heart', 'sleeping face')
NEW = ('blue car', 'green square button', 'flag with a star', 'purple book')   # which no emoji has


def trained(config, runs_at):
  workdir = runs_at / config
  study.verb('train', f'--config=configs/{config}.py', f'--workdir={workdir}')
  return workdir


def found(judge, state, x_N, words_NxL) -> np.ndarray:
  """Which pictures the judge finds nearer to their own caption than to any of 99 others, drawn once, bool [N]."""
  rng = np.random.default_rng(0)
  call = runs.mapped(judge, lambda state, arrays, keys: judge.family.score(state, arrays, keys)['cosine'])
  right = []
  for i, x in enumerate(x_N):
    others = np.flatnonzero((words_NxL != words_NxL[i]).any(-1))
    candidates = np.concatenate([[i], rng.choice(others, CANDIDATES - 1, replace=False)])
    batch = {'x': np.broadcast_to(x, (CANDIDATES, *x.shape)), 'condition': words_NxL[candidates]}
    right.append(call(state, jax.random.key(0), CANDIDATES, batch).argmax() == 0)
  return np.array(right)


def cells(right_N, known_N) -> list[str]:
  """Percent and standard error, of all pictures and of those of known words alone."""
  return [f'{100 * r.mean():.1f} ± {100 * r.std(ddof=1) / len(r)**.5:.1f}' for r in (right_N, right_N[known_N])]


@cli.verb
def main(argv):
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--runs', default='runs/text_to_image', type=pathlib.Path)
  options = parser.parse_args(argv)
  judge_at, model_at = trained('emoji_judge', options.runs), trained('emoji_text', options.runs)
  judge, judge_state = runs.load(judge_at)
  test = runs.held_out(judge, 'test', 10_000)
  known_N = (test['condition'] != text.UNKNOWN).all(-1)
  said = text.encode(HELD_OUT + NEW, judge.spec.words, judge.spec.length)
  there = [(test['condition'] == words).all(-1).any() for words in said]
  if there != [True] * len(HELD_OUT) + [False] * len(NEW) or (said == text.UNKNOWN).any():
    raise core.InputError('other emoji than those whose captions were chosen to be shown')
  rows = [('real test images', *cells(found(judge, judge_state, test['x'], test['condition']), known_N))]
  key, sheets = core.fold(jax.random.key(0), 'text_to_image'), []
  for guidance in GUIDANCES:
    run, state = runs.load(model_at, lambda config, guidance=guidance: config.sample.update(guidance=guidance))
    draw = runs.sampler(run)
    x = draw(state, key, test['condition'], len(test['x']))
    rows.append((f'guidance {guidance:g}', *cells(found(judge, judge_state, x, test['condition']), known_N)))
    sheets.append(draw(state, key, said.repeat(EACH, axis=0), EACH * len(said)))
    image.save(HERE / f'test_guidance_{guidance:g}.png', np.stack([test['x'], x], 1)[::9].reshape(-1, *x.shape[1:])[:64], 16)
  shown = np.stack(sheets).reshape(len(GUIDANCES), len(said), EACH, *test['x'].shape[1:]).swapaxes(0, 1)   # a row a caption
  image.save(HERE / 'captions.png', shown.reshape(-1, *test['x'].shape[1:]), len(GUIDANCES) * EACH)
  print(f'| R-precision among 100, % | {len(known_N)} test captions | {known_N.sum()} of known words alone |\n| --- | ---: | ---: |')
  for row in rows:
    print(f'| {" | ".join(row)} |')
  print('chance: 1 %')


if __name__ == '__main__':
  sys.exit(main())
