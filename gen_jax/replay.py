"""Runs a workdir's manifest again, in a workdir inside it, and compares the final states; exits 0 only if their hashes agree.

  python -m gen_jax.replay --workdir=runs/a

Bit for bit on the same software and devices; where those differ, says in what. Interrupted, the same command goes on.
"""
import pathlib
import shutil
import sys

from gen_jax import cli, core, loop, manifest
from gen_jax import config as configs
from gen_jax import run as runs

SAME = ('git_commit', 'git_clean', 'python', 'packages', 'device_kind', 'machine', 'processes', 'mesh', 'xla_flags', 'jax_config', 'data',
        'init_from')


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('workdir',), workdir='')
  workdir = pathlib.Path(flags.workdir)
  config = configs.load(workdir / 'config.json')
  old = manifest.read(workdir)
  if not old or not old.get('state_sha256') or old.get('steps') != config.steps:
    raise core.InputError(f'{workdir} is not a finished run: nothing to compare with')
  runs.same_parts(old, config)
  with config.unlocked():
    config.wandb = None
  again = workdir / 'replay'
  if not begun(again, config):
    shutil.rmtree(again, ignore_errors=True)
  new = loop.train(config, again, force=True)   # what differs by now is said below
  differs = configs.differences({k: old.get(k) for k in SAME}, {k: new.get(k) for k in SAME})
  changes = old.get('changes', []) + new.get('changes', [])
  for line in changes + differs:
    print(f'not the same: {line}')
  if new['state_sha256'] == old['state_sha256']:
    shutil.rmtree(again)
    print(f'the same to the bit: {new["state_sha256"]}')
    return 0
  if changes:
    why = 'a run was changed on its way'
  else:
    why = 'software or devices differ' if differs else 'software and devices are the same: this is a defect, or the manifest is not the run\'s'
  raise core.RunError(f'{old["state_sha256"][:16]} then, {new["state_sha256"][:16]} now; {why}; the replayed run is kept in {again}')


def begun(again: pathlib.Path, config) -> bool:
  """Whether a replay of this config was interrupted, and goes on."""
  there = manifest.read(again)
  if not there or 'state_sha256' in there or not (again / 'config.json').is_file():
    return False
  return configs.plain(configs.load(again / 'config.json')) == configs.plain(config)


if __name__ == '__main__':
  sys.exit(main())
