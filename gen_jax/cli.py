"""The command line: flags to values, a user's mistake to one line and a non-zero exit."""
import functools
import sys
import warnings

from absl import flags
from ml_collections import config_flags

from gen_jax import core


def verb(main):
  """Wraps main(argv): InputError exits 2, RunError 1, Ctrl-C 130, each with one line."""
  @functools.wraps(main)
  def wrapped(argv=None) -> int:
    try:
      return main(sys.argv[1:] if argv is None else list(argv)) or 0
    except (core.InputError, core.RunError) as e:
      print('error: ' + ' '.join(str(e).split()), file=sys.stderr)
      return 2 if isinstance(e, core.InputError) else 1
    except KeyboardInterrupt:
      print('interrupted; the same command goes on from the last checkpoint', file=sys.stderr)
      return 130
  return wrapped


def parse(argv: list[str], about: str, required=(), config=None, **defaults) -> flags.FlagValues:
  """Flags with the type of their defaults. config: None, 'file' (--config=FILE[:ARG]) or a function of the workdir that gives a ConfigDict;
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
    config_flags.DEFINE_config_file('config', flag_values=values, lock_config=True)
    argv = sorted(argv, key=lambda a: a.startswith('--config.'))   # overrides come after the config that they change
  elif config:
    workdir = [a.split('=', 1)[1] for a in argv if a.startswith('--workdir=')]
    config_flags.DEFINE_config_dict('config', config(workdir[-1] if workdir else ''), flag_values=values, lock_config=True)
  said, sys.argv = sys.argv, [sys.argv[0], *argv]   # config_flags looks for overrides there
  try:
    with warnings.catch_warnings(action='ignore'):
      rest = values(sys.argv)
  except core.InputError:
    raise
  except AttributeError as e:
    raise core.InputError('no such field in the config: ' + str(e).replace('\\n', ' ').replace('"', '').replace('\\', '').replace("'", '')) from None
  except (flags.Error, OSError, ValueError, TypeError, KeyError, SyntaxError, ImportError) as e:
    raise core.InputError(str(e)) from None
  finally:
    sys.argv = said
  if len(rest) > 1:
    raise core.InputError(f'{rest[1]!r} is not a flag: flags are --name=value')
  if config == 'file':
    try:
      if values.config is None:
        raise core.InputError('--config=FILE is missing; try --help')
    except OSError as e:
      raise core.InputError(f'no config file: {" ".join(str(e).split("Attempted", 1)[-1].split())}') from None
  for name in required:
    if not values[name].value:
      raise core.InputError(f'--{name} is missing; try --help')
  return values
