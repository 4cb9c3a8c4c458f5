"""What a config holds: the run's own fields, and the DEFAULTS of the modules that it names."""
import copy
import json
import pathlib

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gen_jax import core, data, optimizers, rewards

# The run. Sizes count examples, *_every and steps count steps.
DEFAULTS = dict(
    seed=0,                     # the only random state; seeds=n trains the runs seed .. seed+n-1 in one program
    seeds=1,
    steps=1000,
    batch_size=64,              # real examples a turn
    accumulate=1,               # microbatches a turn
    encode_ahead=False,         # the codec encodes the training set once, before the first step: no augmentation then
    init_from='',               # the workdir of a run of one seed, whose roles of the same names this one starts from
    lora_rank=8,                # of the adapters of frozen.base
    mesh='',                    # 'seed=2,data=4,fsdp=1'; '': all devices on data
    steps_per_dispatch=1,       # steps in one compiled program; must divide steps and the *_every
    log_every=50,
    checkpoint_every=500,
    keep_checkpoints=2,
    sample_every=500,
    sample_rows=10,             # of the sample grid; a conditional grid has a row a class
    sample_columns=10,
    eval_every=0,               # 0: not during training
    evals='',                   # names of gen_jax.evals, with commas
    eval_examples=1000,         # samples drawn for evaluation, and at most this many held-out examples
    eval_few=False,             # Frechet distances of fewer examples than features all the same
    wandb=placeholder(str),     # project to report to, beside TensorBoard
    # Embeddings of tokens are moved against the model in training: by fgm or freelb (transforms.adversarial), or '' not at all.
    adversary=dict(method='', radius=.01, steps=3, rate=.01),
)
# Trained parts: the ruler of the metrics, by name or workdir (gen_jax/extractors), and the workdirs of the codec in whose space this is trained,
# of the run whose adapters are (transforms.lora), and of the run near to which a reward leaves the samples (transforms.rewarded).
FROZEN = ('extractor', 'codec', 'base', 'reference')


def base(data_name: str, family: str, network: str, reward: str = '', **roles) -> ConfigDict:
  """A locked config of a data set, a family and a network with their defaults; roles: the options of each player (optimizers.DEFAULTS);
  reward: what the samples are trained for, by name (gen_jax/rewards)."""
  # Copies, for a ConfigDict links what shares a placeholder: one role's clip would be every role's.
  config = ConfigDict(copy.deepcopy(DEFAULTS))
  config.data = {'name': data_name, **data.DEFAULTS, **defaults('data', data_name)}
  config.family = {'name': family, **defaults('families', family)}
  config.network = {'name': network, **defaults('networks', network)}
  config.sample = defaults('families', family, 'SAMPLE')   # how a trained run samples; the verbs may change it
  config.reward = {'name': reward, **(rewards.DEFAULTS | defaults('rewards', reward) if reward else {})}
  config.roles = {name: {**copy.deepcopy(optimizers.DEFAULTS), **options} for name, options in roles.items()}
  config.frozen = {name: placeholder(str) for name in FROZEN}
  return config.lock()


def variant(config: ConfigDict, arg: str) -> ConfigDict:
  """What the argument behind a config's name makes of it. 'smoke': the same run in seconds, four steps of a tiny network, every file a real run
  leaves; '': the config as it is. Raises InputError for any other."""
  if arg not in ('', 'smoke'):
    raise core.InputError(f'configs take the argument smoke or none, not {arg!r}')
  if not arg:
    return config
  config.update(steps=4, batch_size=8, steps_per_dispatch=min(2, config.steps_per_dispatch), log_every=2, checkpoint_every=2, sample_every=4,
                sample_columns=2, eval_examples=20, eval_few=True)
  config.network.width = 8
  if 'features' in config.network:
    config.network.features = 16
  if 'layers' in config.network:   # each is compiled
    config.network.layers = min(config.network.layers, 2)
  return config


def defaults(kind: str, name: str, what='DEFAULTS') -> dict:
  return copy.deepcopy(getattr(core.module(kind, name), what, {}))


def save(config, path):
  partial = path.with_suffix('.partial')
  partial.write_text(json.dumps(plain(config), indent=1) + '\n')
  partial.replace(path)   # whole or not at all


def load(path) -> ConfigDict:
  """A config as a run saved it. Raises InputError where there is none."""
  if not path.is_file():
    raise core.InputError(f'{path.parent} is not a workdir: it has no {path.name}')
  try:
    return check(ConfigDict(json.loads(path.read_text())), path).lock()
  except (ValueError, TypeError, AttributeError) as e:
    raise core.InputError(f'{path} is not a config: {e}') from None


def changeable(workdir, *names: str) -> ConfigDict:
  """These fields of a run's config, as it has them, for the command line to change."""
  config = load(pathlib.Path(workdir) / 'config.json')
  found = {name: plain(config)[name] for name in names}
  empty = {'frozen': {name: placeholder(str) for name in config.frozen}, 'sample': defaults('families', config.family.name, 'SAMPLE')}
  for name in empty.keys() & found.keys():   # what is None takes no value but in a placeholder
    found[name] = {k: empty[name][k] if v is None else v for k, v in found[name].items()}
  return ConfigDict(found)


def check(config: ConfigDict, where) -> ConfigDict:
  """The config. Raises InputError where a field is missing, has not the type of its default, or is an integer out of range: below 1 where the
  default is not 0 (but for sample_every), else below 0."""
  def walk(found, like, at):
    for key, default in like.items():
      value = found.get(key) if isinstance(found, dict) else None
      if isinstance(default, dict):
        walk(value, default, f'{at}{key}.')
      elif not isinstance(found, dict) or key not in found:
        raise core.InputError(f'{where} lacks {at}{key}: configs come from gen_jax.config.base, of this version')
      elif type(default) in (bool, int, str) and type(value) is not type(default):
        raise core.InputError(f'{where} has {at}{key}={value!r}, which is no {type(default).__name__}')
      elif type(value) is int and value < (low := int(bool(default) and key != 'sample_every')):
        raise core.InputError(f'{at}{key}={value}: must be at least {low}')
  found = plain(config)
  parts = {'data': 'data', 'family': 'families', 'network': 'networks'}
  walk(found, {**DEFAULTS, 'frozen': dict.fromkeys(FROZEN), 'roles': {}, 'sample': {}, 'reward': {'name': ''}}, '')
  walk(found, {part: {'name': ''} for part in parts}, '')
  for part, kind in parts.items():
    walk(found[part], defaults(kind, found[part]['name']), f'{part}.')
  walk(found['sample'], defaults('families', found['family']['name'], 'SAMPLE'), 'sample.')
  for name, options in found['roles'].items():
    walk(options, optimizers.DEFAULTS, f'roles.{name}.')
  walk(found['data'], data.DEFAULTS, 'data.')
  if reward := found['reward']['name']:
    walk(found['reward'], rewards.DEFAULTS | defaults('rewards', reward), 'reward.')
  return config


def plain(config) -> dict:
  """The config as JSON sees it (tuples become lists)."""
  return json.loads(config.to_json_best_effort())


def differences(a: dict, b: dict, at: str = '') -> list[str]:
  """The fields in which two plain configs differ, as 'family.loss: hinge -> minimax'."""
  found = []
  for key in sorted(a.keys() | b.keys()):
    x, y = a.get(key), b.get(key)
    if isinstance(x, dict) and isinstance(y, dict):
      found += differences(x, y, f'{at}{key}.')
    elif x != y:
      found.append(f'{at}{key}: {x} -> {y}')
  return found
