"""Trains, evaluates and samples every config of configs/ in its smoke form, and replays the first of each family.

A data set that can't be had here is named.
"""
import importlib
import json
import pathlib
import shutil
import subprocess
import sys
from concurrent import futures

import numpy as np
from scipy.io import savemat

from gen_jax import core, data, modalities
from gen_jax import run as runs
from gen_jax.config import base, plain
from gen_jax.modalities import image

ROOT = pathlib.Path(__file__).parent.parent
RUNS = ROOT / 'runs' / 'ci'
FETCHED = {'fashion_mnist': 'fashion_mnist', 'emoji': 'emoji', 'chorales': 'chorales', 'molecules': 'moses'}   # by source


def verb(name, *flags):
  subprocess.run([sys.executable, '-m', f'gen_jax.{name}', *flags], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def folder_of_images():
  x = data.normalise(data.make(base('mnist', 'gan', 'mlp'), 'train').take(np.arange(40)))['x']
  for i, one in enumerate(x):
    image.save(RUNS / 'images' / f'{i}.png', one[None])
  return f'--config.data.folder={RUNS / "images"}'


def reference(source, extra):
  workdir = RUNS / f'{source}_reference'
  verb('train', f'--config=configs/{source}_gpt.py:smoke', f'--workdir={workdir}', *extra)
  return [f'--config.{field}={workdir}' for field in ('frozen.reference', 'init_from', 'data.tokenizer')]


def folder_of_texts():
  """A class a folder, a dialogue a file."""
  for kind, answer in (('fruit', 'pears, I like'), ('sums', 'are so many')):
    (RUNS / 'texts' / kind).mkdir(parents=True, exist_ok=True)
    for i in range(64):
      (RUNS / 'texts' / kind / f'{i}.txt').write_text(f'{i} and {i % 7} of {kind}?\n{i + i % 7} {answer}\n')
  return f'--config.data.path={RUNS / "texts"}'


def file_of_rolls():
  rng = np.random.default_rng(0)
  pieces = [rng.random((12, 88)) < .05 for _ in range(40)]
  cells = np.empty((1, len(pieces)), object)
  cells[0] = pieces
  savemat(RUNS / 'rolls.mat', dict.fromkeys(('traindata', 'validdata', 'testdata'), cells))
  return f'--config.data.path={RUNS / "rolls.mat"}'


def run(path, config, extra, known, again) -> str:
  workdir = RUNS / path.stem
  verb('train', f'--config=configs/{path.name}:smoke', f'--workdir={workdir}', *extra)
  if known:   # the same on other data
    return f'{path.name}: trained'
  verb('evaluate', f'--workdir={workdir}')
  if again:   # that every game gives the same bits twice is in tests/test_conformance.py
    verb('replay', f'--workdir={workdir}')
  made, _ = runs.load(workdir)
  if made.family.sample:
    given = ['--prompt=1 and 2'] if made.spec.between_turns else []
    if config.family.name == 'translation':
      image.save(workdir / 'given.png', data.normalise(data.make(config, 'test').take(np.arange(1)))['condition'], 1)
      given = ['--edit=translate', f'--image={workdir}/given.png']
    verb('sample', f'--workdir={workdir}', '--num=4', f'--out={workdir}/drawn{modalities.of(made.spec).SUFFIXES[0]}', *given)
  return f'{path.name}: trained, evaluated, sampled{", replayed" if again else ""}'


def main():
  shutil.rmtree(RUNS, ignore_errors=True)
  RUNS.mkdir(parents=True)
  sys.path.insert(0, str(ROOT))
  fetched = {source for source, name in FETCHED.items()
             if subprocess.run([sys.executable, '-m', 'gen_jax.fetch', name], cwd=ROOT).returncode == 0}
  absent, seen, todo = set(), set(), []
  for path in sorted((ROOT / 'configs').glob('[a-z]*.py'), reverse=True):
    config = importlib.import_module(f'configs.{path.stem}').get_config('smoke')
    extra = {'folder': folder_of_images, 'rolls': file_of_rolls, 'documents': folder_of_texts,
             'text': lambda: f'--config.data.path={ROOT / "README.md"}'}.get(config.data.name)
    extra = [extra()] if extra else []
    try:
      if not extra:
        data.make(config, 'train')
    except core.InputError as e:
      if config.data.name in fetched or config.data.name not in FETCHED:
        raise
      absent.add(str(e))
      continue
    if config.reward.name:
      extra += reference(config.data.name, extra)
    game = json.dumps([plain(config[part]) for part in ('family', 'network', 'reward', 'roles', 'sample')])
    todo.append((path, config, extra, game in seen, config.family.name not in seen))
    seen |= {game, config.family.name}
  with futures.ThreadPoolExecutor(2) as pool:   # two at once, for a verb mostly traces and compiles, which takes one core
    for line in pool.map(lambda given: run(*given), todo):
      print(line, flush=True)
  for text in sorted(absent):
    print(f'not run, for want of data: {text}')


if __name__ == '__main__':
  main()
