"""Text to image on emoji: how well do pictures show held-out captions, and what does guidance do?

  python -m gen_jax.fetch emoji
  python -m experiments.text_to_image.run [--runs=runs/text_to_image]   # trains what is not there, measures, writes the pictures and prints the table
"""
import argparse
import pathlib
import subprocess
import sys

import jax
import numpy as np

from gen_jax import core
from gen_jax import run as runs
from gen_jax.modalities import image, text

HERE = pathlib.Path(__file__).parent
GUIDANCES = (1., 2., 4.)
CANDIDATES = 100
EACH = 4   # pictures of a caption and guidance
# Of the test split, and some that no emoji has.
SHOWN = ('sun with face', 'red apple', 'smiling cat face with open mouth', 'blue car', 'green square button',
         'flag with a star', 'purple book', 'dog face')


def trained(config, runs_at):
  workdir = runs_at / config
  subprocess.run([sys.executable, '-m', 'gen_jax.train', f'--config=configs/{config}.py', f'--workdir={workdir}'], check=True)
  return workdir


def precision(judge, state, x_N, words_NxL) -> tuple[float, float]:
  """(share, standard error) of the pictures that the judge finds nearer to their own caption than to any of 99 others, drawn once."""
  rng = np.random.default_rng(0)
  call = runs.mapped(judge, lambda state, arrays, keys: judge.family.score(state, arrays, keys)['cosine'])
  right = []
  for i, x in enumerate(x_N):
    others = np.flatnonzero((words_NxL != words_NxL[i]).any(-1))
    candidates = np.concatenate([[i], rng.choice(others, CANDIDATES - 1, replace=False)])
    batch = {'x': np.broadcast_to(x, (CANDIDATES, *x.shape)), 'condition': words_NxL[candidates]}
    right.append(call(state, jax.random.key(0), CANDIDATES, batch).argmax() == 0)
  return np.mean(right), np.std(right, ddof=1) / len(right)**.5


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--runs', default='runs/text_to_image', type=pathlib.Path)
  options = parser.parse_args()
  judge_at, model_at = trained('emoji_judge', options.runs), trained('emoji_text', options.runs)
  judge, judge_state = runs.load(judge_at)
  test = runs.held_out(judge, 'test', 10_000)
  rows = [('real test images', *precision(judge, judge_state, test['x'], test['condition']))]
  key, sheets = core.fold(jax.random.key(0), 'text_to_image'), []
  said = text.encode(SHOWN, judge.spec.words, judge.spec.length).repeat(EACH, axis=0)
  for guidance in GUIDANCES:
    run, state = runs.load(model_at, lambda config, guidance=guidance: config.sample.update(guidance=guidance))
    draw = runs.sampler(run)
    x = draw(state, key, test['condition'], len(test['x']))
    rows.append((f'guidance {guidance:g}', *precision(judge, judge_state, x, test['condition'])))
    sheets.append(draw(state, key, said, len(said)))
    image.save(HERE / f'test_guidance_{guidance:g}.png', np.stack([test['x'], x], 1)[::9].reshape(-1, *x.shape[1:])[:64], 16)
  shown = np.stack(sheets).reshape(len(GUIDANCES), len(SHOWN), EACH, *test['x'].shape[1:]).swapaxes(0, 1)   # a row a caption
  image.save(HERE / 'captions.png', shown.reshape(-1, *test['x'].shape[1:]), len(GUIDANCES) * EACH)
  print('| pictures of 354 test captions | R-precision among 100, % |\n| --- | ---: |')
  for name, share, error in rows:
    print(f'| {name} | {100 * share:.1f} ± {100 * error:.1f} |')
  print('chance: 1 %')


if __name__ == '__main__':
  main()
