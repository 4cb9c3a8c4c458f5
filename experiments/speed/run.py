"""Images a second of our loop and of PyTorch's, eager and compiled, side by side; the loop's overhead; the main job's memory.

  python -m experiments.speed.run --json=out.json [--rounds=5] [--seconds=6] [--only=mlp_gan|conv_gan|mlp_vae|loop_overhead|memory]

Needs `pip install 'gen_jax[torch]'`, and a machine with nothing else to do.
"""
import importlib
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

import numpy as np

from gen_jax import cli, core, data, manifest
from gen_jax import config as configs

CASES = {'mlp_gan': 'mnist_mlp_gan', 'conv_gan': 'mnist_gan', 'mlp_vae': 'mnist_vae'}
WORKERS = {'ours': ('ours', 'run'), 'torch_eager': ('theirs', 'eager'), 'torch_compile': ('theirs', 'compile')}
MEMORY_STEPS = 100


class Worker:
  """A process that waits for a line, works for as long as it says, and answers with a line of JSON; it fails the run if it dies."""

  def __init__(self, name, *command):
    self.name = name
    self.process = subprocess.Popen([*map(str, command)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
      self.ready = self.answer()
    except BaseException:
      self.close()
      raise

  def answer(self) -> dict:
    line = self.process.stdout.readline()
    if not line:
      raise core.RunError(f'the worker {self.name} died with exit code {self.process.wait()}: its error is above')
    return json.loads(line)

  def __call__(self, line) -> dict:
    try:
      self.process.stdin.write(f'{line}\n')
      self.process.stdin.flush()
    except BrokenPipeError:
      pass   # answer() says what became of it
    return self.answer()

  def close(self):
    self.process.kill()
    self.process.wait()


def prepare(directory, name):
  """Leaves the config and the training set for the workers."""
  config = importlib.import_module(f'configs.{name}').get_config()
  configs.save(config, pathlib.Path(directory) / 'config.json')
  np.savez(pathlib.Path(directory) / 'data.npz', **data.make(config, 'train').arrays)
  return config


def spread(values) -> dict:
  return {'median': statistics.median(values), 'min': min(values), 'max': max(values)}


def race(name, rounds, seconds) -> dict:
  """Medians of images a second, the workers taking turns."""
  with tempfile.TemporaryDirectory() as directory:
    config = prepare(directory, CASES[name])
    workers = {}
    try:
      for kind, (module, argument) in WORKERS.items():
        workers[kind] = Worker(f'{name} {kind}', sys.executable, '-m', f'experiments.speed.{module}', directory, argument)
      counts = {kind: worker.ready['parameters'] for kind, worker in workers.items()}
      if len(set(counts.values())) != 1:
        raise core.RunError(f'{name}: not the same network, the parameters are {counts}')
      found = {kind: [] for kind in workers}
      for _ in range(rounds):
        for kind, worker in workers.items():
          done = worker(seconds)
          found[kind].append(done['steps'] * config.batch_size / done['seconds'])
    finally:
      for worker in workers.values():
        worker.close()
  median = {kind: statistics.median(values) for kind, values in found.items()}
  return {'name': name, **median, 'ratio': median['ours'] / max(median['torch_eager'], median['torch_compile']),
          'spread': {kind: spread(values) for kind, values in found.items()}, 'rounds': found, 'parameters': counts['ours'],
          'workers': {kind: worker.ready for kind, worker in workers.items()}, 'batch_size': config.batch_size,
          'steps_per_dispatch': config.steps_per_dispatch, 'load_average': os.getloadavg()[0]}


def overhead(name, rounds, seconds) -> dict:
  """What loop.train adds to the bare compiled step, as a fraction: logging at its rate, no pictures, no checkpoints."""
  with tempfile.TemporaryDirectory() as directory:
    prepare(directory, CASES[name])
    worker = Worker(f'loop_overhead {name}', sys.executable, '-m', 'experiments.speed.ours', directory, 'overhead')
    try:
      found = [worker(seconds) for _ in range(rounds)]
    finally:
      worker.close()
  return {'name': f'loop_overhead/{name}', **{kind: spread([one[kind] for one in found]) for kind in ('whole', 'bare')},
          'overhead': spread([one['whole'] / one['bare'] - 1 for one in found]), 'rounds': found}


def memory() -> dict:
  """Peak resident memory of the main job: training, pictures, checkpoints."""
  with tempfile.TemporaryDirectory() as workdir:
    half = MEMORY_STEPS // 2
    command = [sys.executable, '-m', 'gen_jax.train', '--config=configs/mnist_gan.py', f'--workdir={workdir}/run',
               f'--config.steps={MEMORY_STEPS}', *(f'--config.{what}_every={half}' for what in ('log', 'sample', 'checkpoint'))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
      raise core.RunError(f'{" ".join(command)} exited {process.returncode}')
  return {'name': 'memory/mnist_gan', 'peak_gb': usage.ru_maxrss * (1 if sys.platform == 'darwin' else 1024) / 1e9, 'steps': MEMORY_STEPS}


def machine() -> dict:
  info = pathlib.Path('/proc/cpuinfo')
  return {'machine': manifest._processor(), 'cores': len(os.sched_getaffinity(0)), 'avx512': info.exists() and 'avx512f' in info.read_text(),
          'python': platform.python_version(), 'platform': platform.platform(), 'xla_flags': os.environ.get('XLA_FLAGS', ''),
          'load_average': os.getloadavg()}


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('json',), json='', rounds=5, seconds=6, only='')
  jobs = {**{name: lambda name=name: [race(name, flags.rounds, flags.seconds)] for name in CASES},
          'loop_overhead': lambda: [overhead(name, flags.rounds, flags.seconds) for name in ('mlp_gan', 'conv_gan')],
          'memory': lambda: [memory()]}
  if flags.only and flags.only not in jobs:
    raise core.InputError(f'--only={flags.only}: there are {", ".join(jobs)}')
  if flags.only in ('', *CASES) and importlib.util.find_spec('torch') is None:
    raise core.InputError("torch is not installed: pip install 'gen_jax[torch]'")
  result = {'machine': machine(), 'rows': []}
  for name in [flags.only] if flags.only else jobs:
    for row in jobs[name]():
      result['rows'].append(row)
      print(line(row), flush=True)
  pathlib.Path(flags.json).write_text(json.dumps(result, indent=1) + '\n')


def line(row) -> str:
  """A row as a reader wants it."""
  if 'ratio' in row:
    each = [f'{kind} {row[kind]:,.0f} ({row["spread"][kind]["min"]:,.0f}-{row["spread"][kind]["max"]:,.0f})' for kind in WORKERS]
    return f'{row["name"]}: images/s {", ".join(each)}; ratio {row["ratio"]:.2f}'
  if 'overhead' in row:
    ms = {kind: 1e3 * row[kind]['median'] for kind in ('whole', 'bare')}
    return f'{row["name"]}: {ms["whole"]:.2f} ms a step, bare {ms["bare"]:.2f}: {row["overhead"]["median"]:+.1%}'
  return f'{row["name"]}: {row["peak_gb"]:.2f} GB'


if __name__ == '__main__':
  sys.exit(main())
