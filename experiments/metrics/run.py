"""How the metrics answer to known damage: real test images under growing noise, blur and loss of classes, against other real ones.

  python -m experiments.metrics.run [--data=fashion_mnist]

Prints the table and writes DATA.png into this folder. Two halves of the test set against each other are the floor.
"""
import argparse
import pathlib

import matplotlib
import numpy as np
from scipy.ndimage import gaussian_filter

from gen_jax import config as configs
from gen_jax import data, evals
from gen_jax.evals import fid, kid, prdc

matplotlib.use('Agg')
HERE = pathlib.Path(__file__).parent
EXTRACTORS = {'fashion_mnist': 'fmnist-cnn', 'mnist': 'mnist-cnn'}
NOISE = (0, 8, 16, 32, 64)           # standard deviation in grey levels
BLUR = (0, .5, 1., 1.5, 2.)          # standard deviation in pixels
DROPPED = (0, 1, 3, 5, 8)            # classes that are missing; the others fill the set up


def noisy(x, amount, labels, rng):
  return np.clip(np.rint(x + amount * rng.standard_normal(x.shape)), 0, 255).astype(np.uint8)


def blurred(x, amount, labels, rng):
  return np.clip(np.rint(gaussian_filter(x.astype(np.float32), (0, amount, amount, 0))), 0, 255).astype(np.uint8)


def dropped(x, amount, labels, rng):
  return x[np.resize(np.flatnonzero(labels >= amount), len(x))]


DAMAGES = {'noise': (noisy, NOISE), 'blur': (blurred, BLUR), 'classes lost': (dropped, DROPPED)}


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--data', default='fashion_mnist', choices=EXTRACTORS)
  options = parser.parse_args()
  test = data.make(configs.base(options.data, 'vae', 'mlp', model={}), 'test')
  order = np.random.default_rng(0).permutation(test.size)
  here, there = (test.take(half) for half in np.array_split(order, 2))
  n = min(len(here['x']), len(there['x']))
  rows, panels = [], {}
  for ruler in (EXTRACTORS[options.data], 'random'):
    used = evals.extractors.make(ruler, options.data, test.spec)
    seen = lambda x, used=used: evals.collect([x], None, test.spec, used, ('moments', 'features'))
    real = seen(there['x'][:n])
    for damage, (f, amounts) in DAMAGES.items():
      rng = np.random.default_rng(1)
      for amount in amounts:
        draw = seen(f(here['x'][:n], amount, here['condition'][:n], rng))
        values = {'FID': fid.between(draw.moments, real.moments), 'KID': kid.mmd2(draw.features, real.features),
                  **prdc.prdc(real.features, draw.features)}
        rows.append(f'| {used.name} | {damage} {amount} | ' + ' | '.join(f'{v:.3g}' for v in values.values()) + ' |')
        for name, value in values.items():
          panels.setdefault((name, damage), {}).setdefault(used.name, []).append((amount, value))
  print('| ' + ' | '.join(['extractor', 'damage', *values]) + ' |', '|---|---|' + '---:|' * len(values), *rows, sep='\n')
  plot(panels, list(values), HERE / f'{options.data}.png')


def plot(panels, names, path):
  from matplotlib import pyplot
  figure, axes = pyplot.subplots(len(DAMAGES), len(names), figsize=(3 * len(names), 2.6 * len(DAMAGES)), layout='constrained')
  for (name, damage), lines in panels.items():
    axis = axes[list(DAMAGES).index(damage), names.index(name)]
    for label, points in lines.items():
      amount, value = zip(*points)
      top = max(map(abs, value)) if name in ('FID', 'KID') else 1   # of rulers with scales of their own
      axis.plot(amount, np.array(value) / top, marker='.', label=label)
    axis.set_title(f'{name}{", of its largest" if name in ("FID", "KID") else ""}', fontsize=9)
    axis.set_xlabel(damage, fontsize=8)
    axis.grid(alpha=.3)
  axes[0, 0].legend(fontsize=7)
  figure.savefig(path, dpi=80)


if __name__ == '__main__':
  main()
