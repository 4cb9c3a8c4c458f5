"""The command line: flags to values, a user's mistake to one line and a non-zero exit; `gen-jax VERB` is `python -m gen_jax.VERB`."""
import functools
import importlib
import os
import sys
import warnings

from absl import flags
from ml_collections import ConfigDict, config_flags

from gen_jax import config as configs
from gen_jax import core

VERBS = ('train', 'sample', 'evaluate', 'blind', 'replay', 'fetch')


def main(argv=None) -> int:
  """The console script: a verb and its own flags."""
  name, *rest = (sys.argv[1:] if argv is None else argv) or ['']
  if name in VERBS:
    return importlib.import_module(f'gen_jax.{name}').main(rest)
  if name in ('-h', '--help'):
    print(f'gen-jax {"|".join(VERBS)} [--help] [flags]')
    return 0
  print(f'error: {name!r} is not a verb: there are {", ".join(VERBS)}', file=sys.stderr)
  return 2


def verb(main):
  """Wraps main(argv): InputError exits 2, RunError and OSError (a full disk) 1, Ctrl-C 130, each with one line; a closed pipe 141, silently."""
  @functools.wraps(main)
  def wrapped(argv=None) -> int:
    try:
      return main(sys.argv[1:] if argv is None else list(argv)) or 0
    except (core.InputError, core.RunError) as e:
      print('error: ' + ' '.join(str(e).split()), file=sys.stderr)
      return 2 if isinstance(e, core.InputError) else 1
    except BrokenPipeError:
      os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())   # or Python complains when it flushes at exit
      return 141
    except OSError as e:
      print(f'error: {e}', file=sys.stderr)
      return 1
    except KeyboardInterrupt:
      print('interrupted', file=sys.stderr)
      return 130
  return wrapped


def parse(argv: list[str], about: str, required=(), config=None, **defaults) -> flags.FlagValues:
  """Flags with the type of their defaults. config: None, 'file' (--config=FILE[:ARG]) or names of fields of the run in --workdir;
  with either, --config.FIELD=VALUE changes a field.

  Raises InputError for what can't be parsed. Prints `about` and exits 0 for --help.
  """
  if '--help' in argv or '-h' in argv:
    print(about.strip())
    raise SystemExit(0)
  values = flags.FlagValues()
  for name, default in defaults.items():
    define = {bool: flags.DEFINE_bool, int: flags.DEFINE_integer, str: flags.DEFINE_string}[type(default)]
    define(name, default, '', flag_values=values)
  if config == 'file':
    file = next((a.split('=', 1)[1] for a in reversed(argv) if a.startswith('--config=')), None)
    if not file:
      raise core.InputError('--config=FILE is missing; try --help')
    if not os.path.isfile(file.split(':')[0]):
      raise core.InputError(f'no config file {file.split(":")[0]}')
    argv = sorted(argv, key=lambda a: a.startswith('--config.'))   # overrides come after the config that they change
  said, sys.argv = sys.argv, [sys.argv[0], *argv]   # config_flags looks for overrides there
  try:
    if config == 'file':
      config_flags.DEFINE_config_file('config', flag_values=values, lock_config=True)
    elif config:
      workdir = next((a.split('=', 1)[1] for a in reversed(argv) if a.startswith('--workdir=')), '')
      if not workdir:
        raise core.InputError('--workdir is missing; try --help')
      config_flags.DEFINE_config_dict('config', configs.changeable(workdir, *config), flag_values=values, lock_config=True)
    with warnings.catch_warnings(action='ignore'):
      rest = values(sys.argv)
  except core.InputError:
    raise
  except (AttributeError, KeyError) as e:
    raise core.InputError('no such field in the config: ' + str(e).replace('\\n', ' ').replace('"', '').replace('\\', '').replace("'", '')) from None
  except (flags.Error, OSError, ValueError, TypeError, SyntaxError, ImportError) as e:
    last = (str(e).strip() or repr(e)).splitlines()[-1]   # of a traceback, where the config's own code failed
    raise core.InputError(last.removeprefix('gen_jax.core.InputError: ')) from None
  finally:
    sys.argv = said
  if len(rest) > 1:
    raise core.InputError(f'{rest[1]!r} is not a flag: flags are --name=value')
  if config == 'file':
    if not isinstance(values.config, ConfigDict):
      raise core.InputError(f'get_config in {file} gives no config')
    configs.check(values.config, file)
  for name in required:
    if not values[name].value:
      raise core.InputError(f'--{name} is missing; try --help')
  return values
