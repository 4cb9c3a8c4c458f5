"""Trains what a config says, in a workdir; the same command again resumes.

  python -m gen_jax.train --config=configs/mnist_gan.py[:smoke] --workdir=runs/a [--config.FIELD=VALUE ...]
    --force                go on in a workdir of another config
    --distributed=WHERE    many processes: 'auto' on a TPU pod, HOST:PORT,PROCESSES,ID elsewhere
"""
import sys

import jax

from gen_jax import cli, core, loop


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('workdir',), 'file', workdir='', force=False, distributed='')
  if flags.distributed:
    connect(flags.distributed)
  loop.train(flags.config, flags.workdir, flags.force)


def connect(where: str):
  """Joins the other processes. Raises InputError for what is neither 'auto' nor HOST:PORT,PROCESSES,ID."""
  address, *numbers = where.split(',')
  if where == 'auto':
    jax.distributed.initialize()
  elif len(numbers) == 2 and all(n.isdigit() for n in numbers) and ':' in address:
    jax.distributed.initialize(address, num_processes=int(numbers[0]), process_id=int(numbers[1]))
  else:
    raise core.InputError(f"--distributed={where}: give 'auto' or HOST:PORT,PROCESSES,ID")


if __name__ == '__main__':
  sys.exit(main())
