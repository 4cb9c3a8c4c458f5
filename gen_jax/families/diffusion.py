"""Diffusion and flow matching: any schedule, prediction, weight and sampler together (gen_jax/schedules.py, gen_jax/samplers.py).

Ho et al. 2020, https://arxiv.org/abs/2006.11239; Karras et al. 2022, https://arxiv.org/abs/2206.00364; Lipman et al. 2023,
https://arxiv.org/abs/2210.02747. With classifier-free guidance (Ho and Salimans 2022, https://arxiv.org/abs/2207.12598), bounds on the likelihood
(Kingma et al. 2021, https://arxiv.org/abs/2107.00630) and its value by the probability-flow ODE (Song et al. 2021,
https://arxiv.org/abs/2011.13456), and consistency training for few steps (Geng et al. 2024, https://arxiv.org/abs/2406.14548). One role: model.
"""
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen_jax import core, data, edits, losses, networks, optimizers, samplers, schedules
from gen_jax.modalities import text

DEFAULTS = dict(
    schedule='cosine',          # schedules.SCHEDULES; the ends of 'learned' are parameters, trained with the bound
    objective='velocity',       # schedules.OBJECTIVES: what the network predicts
    weight='uniform',           # schedules.WEIGHTS
    deviation=.5,               # standard deviation of the data, as EDM's preconditioning takes it
    condition=False,            # on labels or captions
    drop=.1,                    # the part of them that is left out, so that guidance knows what is made without
    consistency=0,              # n > 0: a consistency model; the gap to the time that teaches halves n times over the run
    score_draws=16,             # times and noises that the bound is taken over
    ode_steps=0,                # n > 0: `score` also integrates the ODE, in n steps of fourth order
)
# What sampling may change of a trained run, in config.sample.
SAMPLE = dict(
    sampler='heun',             # samplers.SAMPLERS
    steps=10,
    eta=0.,                     # of ddim: the part of DDPM's noise
    churn=0.,                   # of heun
    guidance=1.,                # 1: as trained; more: towards the condition, away from what there is without it, or from `negative`
    guidance_from=0.,           # where guidance acts, in t of the schedule: 0 is data, 1 noise (Kynkaanniemi et al. 2024,
    guidance_to=1.,             # https://arxiv.org/abs/2404.07724)
    negative='',                # a label or caption to lead away from
    edit='',                    # edits.EDITS of what `condition` gives
    strength=.5,                # of `vary`: the t that what is given is noised to
)

HUBER = .00054   # below it consistency's error, the root of a pixel's mean square, is squared (Song and Dhariwal 2024, https://arxiv.org/abs/2310.14189)
EXACT = 32   # dimensions up to which the ODE's divergence is a sum, not an estimate


class Denoiser(nn.Module):
  net: nn.Module
  classes: int               # label `classes` is no label
  words: int                 # neither classes nor words: unconditional

  @nn.compact
  def __call__(self, x_B, level_B, condition_B):
    embedded = None
    if self.classes:
      embedded = nn.Embed(self.classes + 1, 64)(condition_B)
    elif self.words:
      embedded = networks.Caption(self.words)(condition_B)
    return self.net(x_B, level_B, embedded)


def condition_of(said: str, spec) -> np.ndarray:
  """A label or a caption as the model is given it. Raises InputError for what is neither."""
  if spec.words:
    words_L = text.encode([said], spec.words, spec.length)[0]
    if (words_L < text.FIRST).all():
      raise core.InputError(f'{said!r} has no word of the training captions')
    return words_L
  return np.int32(data.label(said, spec))


def make(config, spec) -> core.Family:
  o, s = config.family, config.sample
  fixed_schedule = core.choose('family.schedule', o.schedule, schedules.SCHEDULES)
  objective = core.choose('family.objective', o.objective, schedules.OBJECTIVES)
  weight = core.choose('family.weight', o.weight, schedules.WEIGHTS)
  core.choose('sample.sampler', s.sampler, samplers.SAMPLERS)
  if o.condition and not (spec.classes or spec.words):
    raise core.InputError(f'family.condition needs labels or captions, and {config.data.name} has none')
  if not o.condition and (s.guidance != 1 or s.negative):
    raise core.InputError('sample.guidance and sample.negative lead by labels or captions, and this model knows none (family.condition)')
  if not 1 <= s.steps <= samplers.MOST_STEPS:
    raise core.InputError(f'sample.steps={s.steps} is not in [1, {samplers.MOST_STEPS}], the levels that a schedule has')
  if s.negative and s.guidance == 1:
    raise core.InputError('sample.negative is what sample.guidance leads away from: with 1 it leads nowhere')
  if s.guidance != 1 and not o.drop and not s.negative:
    raise core.InputError('sample.guidance leads away from what is drawn of nothing, which family.drop=0 never taught: train with family.drop=.1')
  if not 0 <= s.guidance_from <= s.guidance_to <= 1:
    raise core.InputError(f'sample.guidance_from={s.guidance_from}, guidance_to={s.guidance_to}: 0 <= from <= to <= 1')
  if not 0 <= o.drop < 1 or not 0 <= s.eta <= 1 or s.churn < 0 or o.deviation <= 0:
    raise core.InputError('family.drop is in [0, 1), sample.eta in [0, 1], sample.churn at least 0, family.deviation above 0')
  if s.eta and s.sampler != 'ddim' or s.churn and s.sampler != 'heun':
    raise core.InputError(f'sample.eta is of ddim and sample.churn of heun: with {s.sampler} both are 0')
  if not all(math.isfinite(v) for v in (s.guidance, s.churn, o.deviation)):
    raise core.InputError(f'sample.guidance={s.guidance}, sample.churn={s.churn}, family.deviation={o.deviation}: must be finite')
  if s.edit:
    core.choose('sample.edit', s.edit, edits.EDITS)
    if not spec.bounded or len(spec.shape) != 3 or s.edit == 'colour' and spec.shape[-1] == 1:
      raise core.InputError(f'sample.edit={s.edit} is of pixels, and not for x of shape {tuple(spec.shape)}')
  if not 0 < s.strength <= 1:
    raise core.InputError(f'sample.strength={s.strength} is not in (0, 1]')
  if o.consistency and o.weight != 'edm':
    raise core.InputError(f'family.consistency is trained under family.weight=edm, not {o.weight}')
  if o.consistency and s.sampler != 'consistency':
    raise core.InputError(f'family.consistency learns where a path ends and not its slope: sample.sampler=consistency, not {s.sampler}')
  learned = o.schedule == 'learned'
  if learned and o.weight != 'bound':
    raise core.InputError(f'family.schedule=learned is trained under family.weight=bound, not {o.weight}')
  denoiser, = networks.make(config.network, spec, 'denoiser')
  size = math.prod(spec.shape)
  classes, words = (0 if spec.words else spec.classes, len(spec.words)) if o.condition else (0, 0)
  nothing = np.zeros(spec.length, np.int32) if words else np.int32(classes)
  negative = condition_of(s.negative, spec) if s.negative else nothing
  net = Denoiser(denoiser, classes, words)

  def init(key, batch):
    x_B = batch['x']
    params = net.init(core.fold(key, 'model'), x_B, jnp.zeros(len(x_B)), batch.get('condition'))['params']
    return {'model': {**params, 'ends': jnp.array(schedules.LEARNED)} if learned else params}, {'model': {}}, {}

  def schedule_of(params):
    return schedules.even(*params['ends']) if learned else fixed_schedule

  def over(value_B, x_B):
    """One number an example, to be broadcast against x_B."""
    return value_B.reshape(value_B.shape + (1,) * (x_B.ndim - 1))

  def predict(params, x_B, t_B, condition_B):
    """(the network's prediction, the clean x in it) at the times t_B."""
    schedule = schedule_of(params)
    alpha_B, sigma_B = schedule.path(t_B)
    alpha, sigma = over(alpha_B, x_B), over(sigma_B, x_B)
    scaled = x_B / jnp.sqrt(sigma**2 + (alpha * o.deviation)**2)
    out = net.apply({'params': params}, scaled, jnp.minimum(jnp.log(sigma_B / alpha_B), schedule.told), condition_B)
    return out, schedules.solve(x_B, out, alpha, sigma, *objective(alpha, sigma, o.deviation))[0]

  def noised(schedule, x_B, t_B, e_B):
    alpha_B, sigma_B = schedule.path(t_B)
    return over(alpha_B, x_B) * x_B + over(sigma_B, x_B) * e_B

  def ends(schedule):
    """The levels of data and of noise."""
    return [jnp.log(sigma / alpha) for alpha, sigma in (schedule.path(jnp.full((), t)) for t in (0., 1.))]

  def mean_square(x_B):
    return (x_B**2).reshape(len(x_B), -1).mean(-1)

  def labels(batch, keys_B):
    """With some of them dropped."""
    if not o.condition:
      return None
    dropped_B = jax.vmap(lambda key: jax.random.bernoulli(key, o.drop))(core.fold(keys_B, 'drop'))
    return jax.vmap(lambda dropped, condition: jnp.where(dropped, nothing, condition))(dropped_B, batch['condition'])

  def loss(own, state, batch, keys_B, key):
    x_B, condition_B, schedule = batch['x'], labels(batch, keys_B), schedule_of(own)
    u_B = jax.vmap(jax.random.uniform)(core.fold(keys_B, 'time'))
    t_B, e_B = schedule.draw(u_B), core.normal(core.fold(keys_B, 'noise'), x_B.shape[1:])
    out, clean = predict(own, noised(schedule, x_B, t_B, e_B), t_B, condition_B)
    error_B = mean_square(clean - x_B)

    def snr(u):
      alpha, sigma = schedule.path(schedule.draw(u))
      return (alpha / sigma)**2
    if o.consistency:
      taught = jax.lax.stop_gradient(teacher(own, state.step, x_B, t_B, e_B, condition_B))
      loss_B = weight(snr(u_B), None, o.deviation) * (jnp.sqrt(mean_square(clean - taught) + HUBER**2) - HUBER)
    elif weight is None:
      alpha, sigma = (over(v_B, x_B) for v_B in schedule.path(t_B))
      a, b = objective(alpha, sigma, o.deviation)
      loss_B = mean_square(out - a * x_B - b * e_B)
    else:
      snr_B, rise_B = jax.jvp(snr, (u_B,), (jnp.ones_like(u_B),))
      loss_B = weight(snr_B, -rise_B, o.deviation) * error_B
    if learned:
      loss_B += at_ends(schedule, x_B, keys_B) / size
    return loss_B, core.Aux({'error': error_B})

  def teacher(own, step, x_B, t_B, e_B, condition_B):
    """What is seen in the same x with less of the same noise, by a part that grows from 0 (then it is x: plain diffusion) to nearly all."""
    alpha_B, sigma_B = fixed_schedule.path(t_B)
    halvings = jnp.floor((o.consistency + 1) * step / config.steps)
    ratio_B = jnp.maximum(0, 1 - (1 + 8 * jax.nn.sigmoid(-sigma_B / alpha_B)) / 2**halvings)   # Geng et al. 2024, sec. 4.1
    less_B = fixed_schedule.time(jnp.log(jnp.maximum(ratio_B, 1e-9) * sigma_B / alpha_B))
    _, clean = predict(own, noised(fixed_schedule, x_B, jnp.maximum(less_B, 0), e_B), jnp.maximum(less_B, 0), condition_B)
    return jnp.where(over(less_B, x_B) > 0, clean, x_B)

  def cleaned(state, condition_N):
    """(x_N, t) -> the clean x_N, guided, for a sampler."""
    params = state.averaged('model')

    def at(x_N, t):
      t_N = jnp.full(len(x_N), t)
      every = lambda condition: jnp.broadcast_to(condition, (len(x_N), *condition.shape))
      _, clean = predict(params, x_N, t_N, condition_N if condition_N is not None else every(nothing))
      if s.guidance != 1:
        _, other = predict(params, x_N, t_N, every(negative))
        within = jnp.minimum(t, 1.)   # a level that churn has raised may lie beyond the first
        guidance = jnp.where((s.guidance_from <= within) & (within <= s.guidance_to), s.guidance, 1.)
        clean = other + guidance * (clean - other)
      return jnp.clip(clean, -1, 1) if spec.bounded else clean
    return at

  def prior(state, keys_N):
    return core.normal(core.fold(keys_N, 'prior'), spec.shape)

  def drawn(state, z_N, keys_N, condition_N):
    given, schedule = condition_N if isinstance(condition_N, dict) else {'label': condition_N}, schedule_of(state.averaged('model'))
    clean = cleaned(state, given.get('label') if o.condition else None)
    if s.edit and 'given' not in given:
      raise core.InputError(f'sample.edit={s.edit} needs an image: it is what --edit of gen_jax.sample sets')
    start = s.strength if s.edit == 'vary' else 1.
    alpha, sigma = schedule.path(jnp.full((), start))
    x_N = sigma * z_N + (alpha * given['given'] if s.edit == 'vary' else 0)
    kept = lambda x_N, t: edits.EDITS[s.edit](clean(x_N, t), given['given'], given.get('mask'))
    return samplers.run(kept if s.edit else clean, schedule, x_N, keys_N, s, start)

  def decode(state, z_N, condition_N=None):
    """By a sampler that draws nothing on the way."""
    return drawn(state, z_N.reshape(len(z_N), *spec.shape), jax.vmap(jax.random.key)(jnp.arange(len(z_N))), condition_N)

  def encode(state, x_N):
    """The noise that the ODE makes of x, by Heun's method; of a conditional model as without a label."""
    schedule = schedule_of(state.averaged('model'))
    return samplers.backwards(cleaned(state, None), schedule, x_N.reshape(len(x_N), *spec.shape), s) / schedule.path(jnp.ones(()))[1]

  def sample(state, keys_N, condition_N=None):
    """condition_N: labels, or {'label', 'given', 'mask'} for config.sample.edit."""
    return drawn(state, prior(state, keys_N), core.fold(keys_N, 'sampler'), condition_N)

  def score(state, batch, keys_B):
    """A lower bound of log p(x), of a conditional model log p(x | condition), in nats, and with ode_steps its value under the ODE; in bits per
    dimension too where x has 256 levels. Two models of one run: the noisy reverse process, and the flow."""
    x_B, params = batch['x'], state.averaged('model')
    every = jnp.broadcast_to(nothing, (len(x_B), *nothing.shape))
    condition_B = batch.get('condition', every) if o.condition else None
    clean = lambda x_B, t_B: predict(params, x_B, t_B, condition_B)[1]
    found = {'elbo': bound(clean, schedule_of(params), x_B, keys_B)}
    if o.ode_steps:
      found['ode'] = by_ode(clean, schedule_of(params), x_B, keys_B)
    if not spec.bounded:
      return found
    return {f'{name}_8bit': v_B for name, v_B in found.items()} | {
        f'bits_per_dim_{name}_8bit': -v_B / (size * math.log(2)) for name, v_B in found.items()}

  def at_ends(schedule, x_B, keys_B):
    """What the noise at t = 1 and the x at t = 0 cost, in nats, [B]."""
    alpha, sigma = schedule.path(jnp.ones(()))
    noise_B = .5 * size * mean_square(x_B) * (alpha / sigma)**2
    alpha, sigma = schedule.path(jnp.zeros(()))
    seen = x_B + sigma / alpha * core.normal(core.fold(keys_B, 'last'), x_B.shape[1:])
    return noise_B - losses.pixels(x_B, seen, sigma / alpha, spec.bounded)

  def bound(clean, schedule, x_B, keys_B):
    """Kingma et al. 2021, eq. 11 and 17: what the ends cost, and all levels between."""
    u_B = jax.vmap(jax.random.uniform)(core.fold(keys_B, 'time'))
    low, high = ends(schedule)

    def between(i):
      level_B = low + (high - low) * ((u_B + i / o.score_draws) % 1)   # even in the level, where the error falls about as the ratio rises
      t_B = schedule.time(level_B)
      error_B = size * mean_square(clean(noised(schedule, x_B, t_B, core.normal(core.fold(keys_B, i), x_B.shape[1:])), t_B) - x_B)
      return (high - low) * jnp.exp(-2 * level_B) * error_B
    return -at_ends(schedule, x_B, keys_B) - jax.lax.map(between, jnp.arange(o.score_draws)).mean(0)

  def by_ode(clean, schedule, x_B, keys_B):
    """log p(x) of y = x_t / alpha under dy = (y - clean) d(level); pixels are spread over their level's width first, which makes it a lower bound of
    theirs. The divergence is exact where it is small, else one Rademacher probe an example (Hutchinson)."""
    low, high = ends(schedule)
    probe = jax.vmap(lambda key: jax.random.rademacher(key, spec.shape, jnp.float32))(core.fold(keys_B, 'probe'))

    def velocity(y_B, level):
      t_B = jnp.full(len(y_B), schedule.time(level))
      return y_B - clean(over(schedule.path(t_B)[0], y_B) * y_B, t_B)

    def slope(y_B, level):
      v_B, back = jax.vjp(lambda y_B: velocity(y_B, level), y_B)   # e J e either way, and networks.dot_general has no forward mode
      along = lambda e_B: (back(e_B)[0] * e_B).reshape(len(y_B), -1).sum(-1)
      if size > EXACT:
        return v_B, along(probe)
      basis = jnp.eye(size).reshape(size, 1, *spec.shape)
      return v_B, jax.lax.map(lambda e: along(jnp.broadcast_to(e, y_B.shape)), basis).sum(0)

    def step(carry, level):   # Runge and Kutta's, of fourth order
      y, log_det = carry
      h = (high - low) / o.ode_steps
      a, da = slope(y, level)
      b, db = slope(y + h / 2 * a, level + h / 2)
      c, dc = slope(y + h / 2 * b, level + h / 2)
      d, dd = slope(y + h * c, level + h)
      return (y + h / 6 * (a + 2 * b + 2 * c + d), log_det + h / 6 * (da + 2 * db + 2 * dc + dd)), None
    width = 2 / 255
    spread = lambda key: width * (jax.random.uniform(key, spec.shape) - .5)
    y_B = x_B + jax.vmap(spread)(core.fold(keys_B, 'spread')) if spec.bounded else x_B
    (y_B, log_det_B), _ = jax.lax.scan(step, (y_B, jnp.zeros(len(y_B))), jnp.linspace(low, high, o.ode_steps + 1)[:-1])
    log_p_B = losses.standard_normal((y_B / jnp.exp(high)).reshape(len(y_B), -1)) - size * high + log_det_B
    return log_p_B + size * math.log(width) if spec.bounded else log_p_B

  role = optimizers.role(config.roles.model, config.steps, loss)
  fixed = s.sampler in ('euler', 'midpoint', 'dpm2m') or s.sampler == 'ddim' and not s.eta or s.sampler == 'heun' and not s.churn
  return core.Family(init, {'model': role}, sample, score, prior=prior if fixed else None, decode=decode if fixed else None,
                     encode=encode if fixed and s.steps > 1 else None)
