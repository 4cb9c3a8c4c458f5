"""An alarm on a stream of texts: what a classifier takes them for, and a sum that grows when that shifts (CUSUM, Page 1954).

  python -m gen_jax.fetch topics; python -m gen_jax.fetch sentiment
  python -m experiments.monitoring.run [--runs=runs/classification_study]   # trains the classifiers where they are not yet

What is usual is learnt from the first texts of a stream. The height of the alarm, at which it is false once in 1,000 usual texts, comes from streams
of validation texts that go the same way; the streams that are judged are drawn from the test split. Writes table.md and alarm.png.
"""
import argparse
import pathlib
import sys

import jax
import matplotlib.pyplot as plt
import numpy as np

from experiments.classification import run as classification
from gen_jax import cli
from gen_jax import run as runs

HERE = pathlib.Path(__file__).parent
SLACK = .25                 # deviations of the mean that are let pass
USUAL = 1000                # texts between two false alarms
SHIFTS = (.1, .2, .4)       # so much more of one class, at the expense of the others alike
LEARNT, BEFORE, AFTER, STREAMS = 200, 300, 700, 200


def verdicts(workdir, split) -> tuple[np.ndarray, np.ndarray]:
  """What the classifier gives each text of a split: (probabilities [N, C], labels [N])."""
  run, state = runs.load(workdir)
  taken = runs.held_out(run, split, 10**6)
  classify = runs.mapped(run, lambda state, arrays, keys: jax.nn.softmax(run.family.classify(state, arrays['x'])))
  return classify(state, run.key, len(taken['x']), {'x': taken['x']}), taken['condition']


def statistic(p_TxC, mean_C, deviation_C) -> np.ndarray:
  """[T]: the largest of the sums, of each class's rises and falls, each kept from going below 0."""
  sums, found = np.zeros((2, p_TxC.shape[1])), []
  for z_C in (p_TxC - mean_C) / deviation_C:
    sums = np.maximum(0, sums + np.stack([z_C, -z_C]) - SLACK)
    found.append(sums.max())
  return np.array(found)


def judged(p_TxC) -> np.ndarray:
  """The statistic of the texts after those that say what is usual."""
  usual = p_TxC[:LEARNT]
  return statistic(p_TxC[LEARNT:], usual.mean(0), usual.std(0))


def height(p_NxC, labels_N, rng) -> float:
  """The alarm that usual streams raise once in USUAL texts: by chance, so that exp(-BEFORE / USUAL) of them raise none in BEFORE."""
  most = [judged(stream(p_NxC, labels_N, 0., rng))[:BEFORE].max() for _ in range(2 * STREAMS)]
  return float(np.quantile(most, np.exp(-BEFORE / USUAL)))


def stream(p_NxC, labels_N, shift, rng) -> np.ndarray:
  """LEARNT and BEFORE usual verdicts, then AFTER of which the first class has so much more, [T, C]."""
  share_C = np.bincount(labels_N) / len(labels_N)
  more_C = share_C + shift * np.where(np.arange(len(share_C)) == 0, 1, -share_C / (1 - share_C[0]))
  drawn = [rng.choice(len(share_C), n, p=share) for n, share in ((LEARNT + BEFORE, share_C), (AFTER, more_C))]
  of = [np.flatnonzero(labels_N == c) for c in range(len(share_C))]
  return p_NxC[[rng.choice(of[c]) for c in np.concatenate(drawn)]]


@cli.verb
def main(argv):
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--runs', default='runs/classification_study', type=pathlib.Path)
  options = parser.parse_args(argv)
  lines = ['| stream | the first class gains | alarms before | alarms after | texts until then, median (quartiles) |', '|---|---:|---:|---:|---:|']
  _, axes = plt.subplots(1, 2, figsize=(10, 3))
  for name, axis in zip(('topics', 'sentiment'), axes):
    workdir, *_ = classification.trained(f'{name}_finetuned', 0, options.runs)
    rng = np.random.default_rng(0)
    alarm = height(*verdicts(workdir, 'validation'), rng)
    p, labels = verdicts(workdir, 'test')
    for shift in (0., *SHIFTS):
      every = [judged(stream(p, labels, shift, rng)) > alarm for _ in range(STREAMS)]
      early = [raised[:BEFORE].any() for raised in every]
      late = [int(raised[BEFORE:].argmax()) + 1 for raised, soon in zip(every, early) if not soon and raised.any()]
      quartiles = np.percentile(late, [50, 25, 75]) if late else [np.nan] * 3
      lines.append(f'| {name} | {shift:.0%} | {np.mean(early):.1%} | {len(late) / max(1, STREAMS - sum(early)):.1%} | '
                   f'{quartiles[0]:.0f} ({quartiles[1]:.0f} to {quartiles[2]:.0f}) |')
    axis.plot(judged(stream(p, labels, SHIFTS[1], rng)), label=f'{SHIFTS[1]:.0%} more of the first class')
    axis.axhline(alarm, color='k', ls=':', label='alarm')
    axis.axvline(BEFORE, color='gray', lw=.5)
    axis.set(title=name, xlabel='texts', ylabel='largest sum')
    axis.legend()
  plt.tight_layout()
  plt.savefig(HERE / 'alarm.png', dpi=80)
  (HERE / 'table.md').write_text('\n'.join(lines) + '\n')
  print('\n'.join(lines))


if __name__ == '__main__':
  sys.exit(main())
