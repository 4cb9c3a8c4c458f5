"""What studies share: rows under several seeds, of which each run leaves results/ROW_SEED.json, so that the same command goes on."""
import argparse
import json
import pathlib
import re
import subprocess
import sys

import numpy as np

from gen_jax import cli, core

RECORDED = ('parameters', 'jax', 'state_sha256', 'machine', 'git_commit')


def verb(name, *flags):
  done = subprocess.run([sys.executable, '-m', f'gen_jax.{name}', *map(str, flags)])
  if done.returncode < 0:
    raise core.RunError(f'gen_jax.{name} was killed by signal {-done.returncode}')
  if done.returncode:
    sys.exit(done.returncode)   # its line says why


def record(workdir, *before) -> dict:
  """Of its manifest what a result tells; before: the runs that it started from, whose training counts too."""
  first = json.loads((workdir / 'manifest.json').read_text())
  seconds = sum(json.loads((path / 'manifest.json').read_text())['wall_seconds'] for path in (workdir, *before))
  return {'train_seconds': seconds, **{name: first[name] for name in RECORDED}}


def metrics(folder) -> dict[str, float]:
  """The means in the report of one run."""
  return {name: value['mean'] for name, value in json.loads((folder / 'report.json').read_text())['runs'][0]['metrics'].items()}


def results(here, row) -> list[dict]:
  return [json.loads(path.read_text()) for path in sorted((here / 'results').glob('*.json')) if re.fullmatch(rf'{row}_\d+', path.stem)]


def cell(values, digits: str = '.3f') -> str:
  """The mean, and its standard error where there are several: of what no seed changes there is one."""
  return f'{np.mean(values):{digits}}' + (f' ± {np.std(values, ddof=1) / len(values)**.5:{digits}}' if len(set(values)) > 1 else '')


def seconds(found) -> str:
  """Of training: the median, the least and the most."""
  every = [f['train_seconds'] for f in found]
  return f'{np.median(every):.0f} ({min(every):.0f} to {max(every):.0f})'


def main(doc, here, rows, one, table, path='', **more):
  """one: (row, seed, options) -> what its result holds; path: what the flag --path names, if there is one; more: other flags and their defaults."""
  @cli.verb
  def run(argv):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rows', default=','.join(rows))
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--runs', default=f'runs/{here.name}_study', type=pathlib.Path)
    parser.add_argument('--table', action='store_true')
    for name, default in {**({'path': ''} if path else {}), **more}.items():
      parser.add_argument(f'--{name}', default=default)
    options = parser.parse_args(argv)
    if unknown := set(options.rows.split(',')) - set(rows):
      raise core.InputError(f'--rows={",".join(sorted(unknown))}: there are {", ".join(rows)}')
    if path and not options.table and not (options.path and pathlib.Path(options.path).is_file()):
      raise core.InputError(f'--path=FILE: {path}')
    if not options.table:
      for seed in range(options.seeds):   # the rows in turn
        for row in options.rows.split(','):
          kept = here / 'results' / f'{row}_{seed}.json'
          if not kept.exists():
            found = one(row, seed, options)
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(json.dumps({'row': row, 'seed': seed, **found}, indent=1) + '\n')
    print(table())
  sys.exit(run())
