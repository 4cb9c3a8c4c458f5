"""Trains, samples, evaluates and replays every config of configs/ in its smoke form; a data set that can't be had here is named."""
import pathlib
import shutil
import subprocess
import sys

from gen_jax import core, data

ROOT = pathlib.Path(__file__).parent.parent
RUNS = ROOT / 'runs' / 'ci'


def verb(name, *flags):
  subprocess.run([sys.executable, '-m', f'gen_jax.{name}', *flags], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def main():
  shutil.rmtree(RUNS, ignore_errors=True)
  sys.path.insert(0, str(ROOT))
  fetched = subprocess.run([sys.executable, '-m', 'gen_jax.fetch', 'fashion_mnist'], cwd=ROOT)
  missing = set()
  for path in sorted((ROOT / 'configs').glob('[a-z]*.py')):
    config = __import__(f'configs.{path.stem}', fromlist=['get_config']).get_config('smoke')
    try:
      data.make(config, 'train')
    except core.InputError as e:
      if config.data.name != 'fashion_mnist' or fetched.returncode == 0:
        raise
      missing.add(f'{config.data.name}: {e}')
      continue
    workdir = RUNS / path.stem
    verb('train', f'--config=configs/{path.name}:smoke', f'--workdir={workdir}')
    verb('evaluate', f'--workdir={workdir}')
    verb('replay', f'--workdir={workdir}')
    if core.module('families', config.family.name).make(config, data.make(config, 'train').spec).sample:
      verb('sample', f'--workdir={workdir}', '--num=4', f'--out={workdir}/drawn.png')
    print(f'{path.name}: trained, evaluated, replayed', flush=True)
  for text in sorted(missing):
    print(f'not run, for want of data: {text}')


if __name__ == '__main__':
  main()
