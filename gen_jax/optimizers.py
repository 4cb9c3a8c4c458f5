"""Optimizers and learning-rate schedules by name, from optax, and the options of a role."""
import numpy as np
import optax
from ml_collections.config_dict import placeholder

from gen_jax import core

# The options of a player, in config.roles.<name>.
DEFAULTS = dict(
    optimizer='adam',
    learning_rate=2e-4,
    b1=.9,                      # momentum, for sgd
    b2=.999,
    weight_decay=0.,
    schedule='constant',
    warmup=0,                   # turns of linear warm-up
    clip=placeholder(float),    # largest global gradient norm
    ema=placeholder(float),     # decay of the parameters' moving average
    ema_width=placeholder(float),   # instead of ema: a power-function average, so wide relative to the run so far (.05 to .2)
    turns=1,                    # turns a step: n_critic for a critic
)

SCHEDULES = {
    'constant': lambda rate, turns: optax.constant_schedule(rate),
    'cosine': lambda rate, turns: optax.cosine_decay_schedule(rate, turns),
    'linear': lambda rate, turns: optax.linear_schedule(rate, 0., turns),
}

OPTIMIZERS = {
    'adam': lambda rate, o: optax.adam(rate, o.b1, o.b2),
    'adamw': lambda rate, o: optax.adamw(rate, o.b1, o.b2, weight_decay=o.weight_decay),
    'lion': lambda rate, o: optax.lion(rate, o.b1, o.b2, weight_decay=o.weight_decay),
    'sgd': lambda rate, o: optax.sgd(rate, o.b1 or None),
}

DECAYING = ('adamw', 'lion')


def role(options, steps: int, loss, after: optax.GradientTransformation | None = None, **more) -> core.Role:
  """A core.Role from its options; schedules run over steps * turns. `after` follows the optimizer (a projection of the parameters).

  Raises InputError for an unknown name or a value out of range.
  """
  core.choose('optimizer', options.optimizer, OPTIMIZERS)
  core.choose('schedule', options.schedule, SCHEDULES)
  for name, low, high in (('learning_rate', 0, float('inf')), ('b1', 0, 1), ('b2', 0, 1), ('ema', 0, 1), ('ema_width', .001, .28)):
    if options[name] is not None and not low <= options[name] < high:
      raise core.InputError(f'{name}={options[name]} is not in [{low}, {high})')
  if options.clip is not None and not 0 < options.clip < float('inf'):
    raise core.InputError(f'clip={options.clip} is not above 0: leave it out for none')
  if options.ema is not None and options.ema_width is not None:
    raise core.InputError(f'ema={options.ema} and ema_width={options.ema_width}: a role has one or the other')
  if options.weight_decay and options.optimizer not in DECAYING:
    raise core.InputError(f'weight_decay={options.weight_decay} is of {" and ".join(DECAYING)}, not of {options.optimizer}')
  if options.turns < 1:
    raise core.InputError(f'turns={options.turns}: a role plays at least one a step')
  turns = steps * options.turns
  rate = SCHEDULES[options.schedule](options.learning_rate, max(1, turns - options.warmup))
  if options.warmup:
    rate = optax.join_schedules([optax.linear_schedule(0., options.learning_rate, options.warmup), rate], [options.warmup])
  optimizer = OPTIMIZERS[options.optimizer](rate, options)
  return core.Role(loss, optax.chain(optimizer, after) if after else optimizer, turns=options.turns, clip=options.clip,
                   ema=options.ema if options.ema_width is None else power_average(options.ema_width), **more)


def power_average(width: float):
  """step -> decay of an average whose weights grow as a power of time and keep a standard deviation of `width` times the run so far (Karras et al.
  2024, https://arxiv.org/abs/2312.02696, eq. 3 and 126)."""
  power = np.roots([1, 7, 16 - width**-2, 12 - width**-2]).real.max()
  return lambda step: (step / (step + 1.))**(power + 1)
