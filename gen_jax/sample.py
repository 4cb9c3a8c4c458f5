"""Draws from a trained run, into a picture. Sample i depends on --seed and i alone.

  python -m gen_jax.sample --workdir=runs/a --out=grid.png [--num=64] [--seed=0] [--label=3] [--columns=10]

Without --label a class-conditional run draws the classes in turn. A run of several seeds writes a file a seed.
"""
import pathlib
import sys

import jax
import numpy as np

from gen_jax import cli, core
from gen_jax import run as runs
from gen_jax.modalities import image


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('workdir', 'out'), workdir='', out='', num=64, seed=0, label=-1, columns=10)
  if flags.num < 1 or flags.columns < 1:
    raise core.InputError('--num and --columns: at least 1')
  run, state = runs.load(flags.workdir)
  if flags.label != -1 and not 0 <= flags.label < run.spec.classes:
    raise core.InputError(f'--label={flags.label}: the classes are 0 to {run.spec.classes - 1}' if run.spec.classes
                          else f'--label={flags.label}: this run knows no classes')
  out = pathlib.Path(flags.out)
  if out.suffix != '.png':
    raise core.InputError(f'--out={out}: a picture ends in .png')
  one = runs.alone(run)
  draw = runs.sampler(one)
  condition = None
  if run.spec.classes:
    condition = np.full(flags.num, flags.label) if flags.label >= 0 else np.arange(flags.num) % run.spec.classes
  for i, part in enumerate(runs.parts(run, one, state)):
    path = out.with_stem(f'{out.stem}_seed{run.config.seed + i}') if run.config.seeds > 1 else out
    x = draw(part, core.fold(jax.random.key(flags.seed), 'sample'), condition, flags.num)
    try:
      image.save(path, x, flags.columns)
    except OSError as e:
      raise core.InputError(f'{path} can not be written: {e.strerror}') from None
    print(f'{flags.num} samples of step {int(state.step)}: {path}')


if __name__ == '__main__':
  sys.exit(main())
