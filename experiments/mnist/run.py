"""Every image config on one machine: trains it, evaluates it, and writes the table and the pictures of this folder.

  python -m experiments.mnist.run [--data=mnist|fashion_mnist] [--runs=runs/study] [--seeds=3]

Resumable: a run that is complete is not run again. Run it alone on the machine: the table holds wall times.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
CONFIGS = ('classifier', 'gan', 'acgan', 'wgan_gp', 'mlp_gan', 'vae', 'autoencoder')   # the classifier first: it judges the others
CONDITIONAL = ('gan', 'acgan', 'wgan_gp')
REACHED = {'classifier': ('score/accuracy/test', 'test accuracy'), 'vae': ('score/iwae_64/test', 'test IWAE-64, nats'),
           'autoencoder': ('score/reconstruction/test', 'test reconstruction, nats'),
           'mlp_gan': ('score/discriminator/test', 'discriminator on test')}


def verb(name, *flags):
  subprocess.run([sys.executable, '-m', f'gen_jax.{name}', *flags], check=True)


def _spread(values):
  return f'{np.mean(values):.3f}' + (f' +- {np.std(values, ddof=1):.3f}' if len(values) > 1 else '')


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--data', default='mnist', choices=('mnist', 'fashion_mnist'))
  parser.add_argument('--runs', default='runs/study')
  parser.add_argument('--seeds', type=int, default=3)
  options = parser.parse_args()
  ruler = f'{options.runs}/{options.data}_classifier_0'
  lines = ['| config | steps | wall time, s | reached (mean +- deviation over seeds) | of what | seeds |', '| --- | --- | --- | --- | --- | --- |']
  for name in CONFIGS:
    config, values, seconds = f'{options.data}_{name}', [], []
    for seed in range(options.seeds):
      workdir = pathlib.Path(f'{options.runs}/{config}_{seed}')
      verb('train', f'--config=configs/{config}.py', f'--config.seed={seed}', f'--workdir={workdir}')
      evals = 'agreement' if name in CONDITIONAL else 'score'
      verb('evaluate', f'--workdir={workdir}', f'--config.evals={evals}', f'--config.frozen.ruler={ruler}')
      metrics = json.loads((workdir / 'evaluation.json').read_text())['metrics']
      key, reached = REACHED.get(name) or (next(k for k in metrics if k.startswith('agreement/samples')), 'of 1,000 samples are the class asked for')
      values.append(metrics[key]['mean'])
      manifest = json.loads((workdir / 'manifest.json').read_text())
      seconds.append(manifest['wall_seconds'])
      if seed == 0 and name != 'classifier':
        shutil.copy(workdir / 'samples' / f'step_{manifest["steps"]}.png', HERE / f'{config}.png')
    lines.append(f'| `{config}` | {manifest["steps"]} | {np.median(seconds):.0f} | {_spread(values)} | {reached} | '
                 f'{options.seeds} |')
  (HERE / f'{options.data}.md').write_text('\n'.join(lines) + '\n')
  print('\n'.join(lines))


if __name__ == '__main__':
  main()
