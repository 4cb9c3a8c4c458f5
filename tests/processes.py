"""Runs of gen_jax in processes of their own, to be killed and resumed."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from gen_jax import log, manifest

ROOT = pathlib.Path(__file__).parent.parent
# What all runs here have in common: 12 dispatches, 6 checkpoints, and rates that do not fall, so that steps may be extended.
SMALL = (f'--config={ROOT}/configs/gaussians_gan.py:smoke', '--config.steps=24', '--config.checkpoint_every=4', '--config.evals=',
         '--config.eval_every=0', '--config.sample_every=12', '--config.roles.discriminator.schedule=constant',
         '--config.roles.generator.schedule=constant')
CACHE = tempfile.TemporaryDirectory(prefix='gen_jax')
ENVIRONMENT = {'PYTHONPATH': str(ROOT), 'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1', 'JAX_COMPILATION_CACHE_DIR': CACHE.name,
               'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0', 'JAX_NUM_CPU_DEVICES': '1'}


def start(*argv, first='', **environment) -> subprocess.Popen:
  """`python -m gen_jax.VERB FLAGS ...`, its output read as text; `first` is code that runs there before."""
  verb, *flags = argv
  code = f'{first}\nimport sys\nfrom gen_jax import {verb}\nsys.exit({verb}.main(sys.argv[1:]))'
  how = ['-c', code] if first else ['-m', f'gen_jax.{verb}']
  return subprocess.Popen([sys.executable, *how, *map(str, flags)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, **ENVIRONMENT, **environment})


def finish(process, code=0) -> tuple[str, str]:
  """What it said, after it ended with an exit code (or one of several)."""
  out, err = process.communicate(timeout=120)
  assert process.returncode in (code if isinstance(code, tuple) else (code,)), (process.returncode, out, err)
  return out, err


def train(workdir, *flags, code=0, **options) -> tuple[str, str]:
  return finish(start('train', f'--workdir={workdir}', *SMALL, *flags, **options), code)


def kill_at_random(process, moments: random.Random):
  """kill -9 after a random number of the lines that it says, and a little later."""
  for _ in range(moments.randrange(15)):
    process.stdout.readline()
  time.sleep(moments.uniform(0, .15))
  process.kill()
  process.communicate()


def on(event: str, text: str, do: str) -> str:
  """Code that does something the first time Python raises an audit event whose arguments contain a text: `kill` -9, or `full`, the disk."""
  return f'''
import os, resource, signal, sys
done = []
def hook(event, args):
  if event == {event!r} and {text!r} in str(args) and not done:
    done.append(1)
    {dict(kill='os.kill(os.getpid(), signal.SIGKILL)', full='resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))')[do]}
sys.addaudithook(hook)'''


def left(workdir) -> tuple[str, list]:
  """What two runs must have in common to be the same: the final state's hash and the rows of metrics, `time` aside."""
  rows = [{k: v for k, v in row.items() if k != 'time'} for row in log.read(pathlib.Path(workdir) / 'metrics.jsonl')]
  return manifest.read(pathlib.Path(workdir))['state_sha256'], rows


def edit(path, **changes):
  """Changes fields of a JSON file."""
  path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
