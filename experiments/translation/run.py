"""Twitter's emoji as Google would draw them, learnt from pairs (pix2pix) and without (CycleGAN): how near do held-out ones come to the truth?

  python -m gen_jax.fetch emoji
  python -m experiments.translation.run [--runs=runs/translation] [--config.FIELD=VALUE ...]

Trains what is not there, prints the table, and writes test.png beside this file (into --runs where fields are changed). The baseline is to change
nothing.
"""
import argparse
import pathlib
import sys

import jax
import numpy as np

from experiments import study
from gen_jax import cli, core, evals, extractors
from gen_jax import run as runs
from gen_jax.evals import fid
from gen_jax.families import translation
from gen_jax.modalities import image

HERE = pathlib.Path(__file__).parent
CONFIGS = {'pix2pix, from pairs': 'emoji_pix2pix', 'CycleGAN, without pairs': 'emoji_cyclegan'}
SHOWN = 16


@cli.verb
def main(argv):
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--runs', default='runs/translation', type=pathlib.Path)
  options, overrides = parser.parse_known_args(argv)
  made = {}
  for name, config in CONFIGS.items():
    workdir = options.runs / config
    study.verb('train', f'--config=configs/{config}.py', f'--workdir={workdir}', *overrides)
    run, state = runs.load(workdir)
    test = runs.held_out(run, 'test', 10_000)   # pairs in both
    n = len(test['x'])
    made[name] = runs.sampler(run)(state, core.fold(jax.random.key(0), 'translation'), test['condition'], n)
  rows = {"Twitter's drawing unchanged": test['condition'], **made}
  ruler = extractors.make('random', 'emoji', run.spec)
  moments = lambda x_N: evals.collect([x_N], None, run.spec, ruler, ('moments',)).moments
  real, similarity = moments(test['x']), jax.jit(translation.similarity)
  print(f'| {n} test emoji | PSNR, dB | SSIM | FID by {ruler.name} |\n| --- | ---: | ---: | ---: |')
  for name, x_N in rows.items():
    found = jax.device_get(similarity(x_N, test['x']))
    mean, error = ({k: f(v) for k, v in found.items()} for f in (np.mean, lambda v: np.std(v, ddof=1) / len(v)**.5))
    print(f'| {name} | {mean["psnr"]:.2f} ± {error["psnr"]:.2f} | {mean["ssim"]:.3f} ± {error["ssim"]:.3f} | {fid.between(moments(x_N), real):.3f} |')
  # Rows: the source, what each makes of it, the truth.
  every = np.stack([*rows.values(), test['x']])[:, np.linspace(0, n - 1, SHOWN).astype(int)]
  image.save(options.runs / 'test.png' if overrides else HERE / 'test.png', every.reshape(-1, *run.spec.shape), SHOWN)


if __name__ == '__main__':
  sys.exit(main())
