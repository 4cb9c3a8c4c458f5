"""Diffusion under networks that predict what is best on Gaussian data: losses are least there, likelihoods exact."""
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen_jax import core, data, losses, networks, run, schedules
from gen_jax.config import base
from gen_jax.families import diffusion

MEAN, VARIANCE = .2, .3


class Best(nn.Module):
  """Predicts the posterior mean for x ~ N(MEAN, VARIANCE), off by a parameter."""
  objective: str
  schedule: str
  deviation: float

  @nn.compact
  def __call__(self, scaled_B, level_B, condition_BxE=None):
    schedule = schedules.SCHEDULES[self.schedule]
    alpha, sigma = (v[:, None] for v in schedule.path(schedule.time(level_B)))
    x_B = scaled_B * jnp.sqrt(sigma**2 + (alpha * self.deviation)**2)
    clean = MEAN + alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2) * (x_B - alpha * MEAN)
    noise = (x_B - alpha * clean) / sigma
    a, b = schedules.OBJECTIVES[self.objective](alpha, sigma, self.deviation)
    out = a * clean + b * noise + self.param('shift', nn.initializers.zeros, ())
    return out if condition_BxE is None else out + self.param('lead', nn.initializers.ones, ()) * condition_BxE[:, :1]


def game(monkeypatch, dims=1, classes=0, sample=None, net=Best, **options) -> run.Run:
  config = base('gaussians', 'diffusion', 'mlp', model=dict(learning_rate=1e-3))
  config.mesh = 'data=1'
  config.family.update(options)
  config.sample.update(sample or {})
  best = net(config.family.objective, config.family.schedule, config.family.deviation)
  monkeypatch.setattr(networks, 'make', lambda *_: [best])
  return run.build(config, data.Spec((dims,), classes, bounded=False))


def tell_all(monkeypatch, schedule):
  """Every level, for a network that knows what is best at each."""
  monkeypatch.setitem(schedules.SCHEDULES, schedule, schedules.SCHEDULES[schedule]._replace(told=math.inf))


def learned(schedule):
  return dict(weight='bound') if schedule == 'learned' else {}


def examples(n, dims=1):
  return {'x': MEAN + math.sqrt(VARIANCE) * jax.random.normal(jax.random.key(5), (n, dims))}


def keys(n, seed=0):
  return core.per_example(jax.random.key(seed), jnp.arange(n))


def start(made):
  return jax.jit(lambda: core.create(made.family, jax.random.key(0), run.example(made.spec)))()


@pytest.mark.parametrize('objective, weight', [*((objective, 'uniform') for objective in schedules.OBJECTIVES),
                                              *(('velocity', weight) for weight in schedules.WEIGHTS if weight != 'uniform')])
def test_every_loss_is_least_at_the_posterior_mean(monkeypatch, objective, weight):
  made = game(monkeypatch, objective=objective, weight=weight, schedule='rectified')
  state, batch, role = start(made), examples(20_000), made.family.roles['model']
  each = jax.jit(jax.vmap(lambda x, key: jax.grad(lambda own: role.loss(own, state, {'x': x[None]}, key[None], None)[0][0])(state.params['model']),
                          (0, 0)))(batch['x'], keys(20_000))['net']['shift']
  assert each.std() > 0 and abs(float(each.mean() / each.std())) < 4 / math.sqrt(20_000)


@pytest.mark.parametrize('schedule, dims', [('cosine', 40), *((schedule, 3) for schedule in schedules.SCHEDULES)])
def test_the_odes_likelihood_of_a_gaussian(monkeypatch, schedule, dims):
  """Also by Hutchinson's probe, exact where the divergence is the same along every axis."""
  tell_all(monkeypatch, schedule)
  made = game(monkeypatch, dims, schedule=schedule, objective='velocity', ode_steps=100, **learned(schedule))
  batch = examples(5, dims)
  found = made.family.score(start(made), batch, keys(5))['ode']
  s0, s1 = (jnp.divide(*schedules.SCHEDULES[schedule].path(jnp.full((), t))[::-1]) for t in (0., 1.))
  stretch = jnp.sqrt((VARIANCE + s1**2) / (VARIANCE + s0**2))
  end = MEAN + (batch['x'] - MEAN) * stretch   # y where noise takes over, taken for N(0, s1^2)
  exact = (-.5 * (end / s1)**2 - jnp.log(s1 / stretch) - .5 * math.log(2 * math.pi)).sum(-1)
  np.testing.assert_allclose(found / dims, exact / dims, atol=1e-4)
  density = (-.5 * (batch['x'] - MEAN)**2 / VARIANCE - .5 * math.log(2 * math.pi * VARIANCE)).sum(-1)
  np.testing.assert_allclose(found / dims, density / dims, atol=3 * MEAN / s1 + s0**2 / VARIANCE)


def test_probes_of_the_divergence_average_to_it(monkeypatch):
  """Where it is not the same along every axis, and the axes of the probe are not those of the data."""
  class Tilted(nn.Module):
    @nn.compact
    def __call__(self, scaled_B, level_B, condition_BxE=None):
      return scaled_B @ jnp.array([[.5, .3], [.3, .1]]) + self.param('shift', nn.initializers.zeros, ())
  made = game(monkeypatch, 2, objective='data', ode_steps=8)
  monkeypatch.setattr(networks, 'make', lambda *_: [Tilted()])
  score = lambda: run.build(made.config, made.spec).family.score
  state, one = start(run.build(made.config, made.spec)), examples(1, 2)
  exact = score()(state, one, keys(1))['ode']
  monkeypatch.setattr(diffusion, 'EXACT', 0)
  found = jax.jit(score())(state, {'x': one['x'].repeat(4000, axis=0)}, keys(4000))['ode']
  assert found.std() > .1 and abs(float(found.mean() - exact[0])) < 4 * float(found.std()) / math.sqrt(4000)


@pytest.mark.parametrize('schedule', schedules.SCHEDULES)
def test_the_bound_is_tight_on_average_and_no_more(monkeypatch, schedule):
  tell_all(monkeypatch, schedule)
  made = game(monkeypatch, 2, schedule=schedule, objective='edm', score_draws=64, **learned(schedule))
  batch = examples(4000, 2)
  found = jax.jit(made.family.score)(start(made), batch, keys(4000))['elbo']
  exact = (-.5 * (batch['x'] - MEAN)**2 / VARIANCE - .5 * math.log(2 * math.pi * VARIANCE)).sum(-1)
  gap = found - exact
  assert abs(float(gap.mean())) < .1 and float(gap.std()) < 3, (gap.mean(), gap.std())
  worse = start(made)
  worse = worse.replace(params={'model': {**worse.params['model'], 'net': {'shift': jnp.full((), .3)}}})
  assert float(jax.jit(made.family.score)(worse, batch, keys(4000))['elbo'].mean()) < float(found.mean()) - .05


def test_learned_ends_are_trained_with_the_bound_that_score_reports(monkeypatch):
  made = game(monkeypatch, 2, schedule='learned', objective='edm', weight='bound', score_draws=64)
  state, batch, role = start(made), examples(20_000, 2), made.family.roles['model']
  state = state.replace(params={'model': {**state.params['model'], 'ends': jnp.array([-2., 2.])}})
  loss = jax.jit(lambda own, keys_B: role.loss(own, state, batch, keys_B, None)[0])
  found, scored = loss(state.params['model'], keys(20_000)), -jax.jit(made.family.score)(state, batch, keys(20_000))['elbo'] / 2
  assert abs(float(found.mean() - scored.mean())) < 4 * float(found.std() + scored.std()) / math.sqrt(20_000)
  gradient = jax.grad(lambda own: loss(own, keys(20_000)).mean())(state.params['model'])['ends']
  moved = lambda i, by: {**state.params['model'], 'ends': state.params['model']['ends'].at[i].add(by)}
  for i in range(2):   # the same draws on both sides
    slope = (loss(moved(i, .05), keys(20_000)) - loss(moved(i, -.05), keys(20_000))).mean() / .1
    np.testing.assert_allclose(gradient[i], slope, rtol=.05, atol=2e-3)
  with pytest.raises(core.InputError, match='bound'):
    game(monkeypatch, schedule='learned')


def test_a_network_is_told_no_level_that_it_hardly_saw(monkeypatch):
  """Neither in sampling, which starts beyond it, nor in training."""
  told = []

  class Ear(Best):
    def __call__(self, scaled_B, level_B, condition_BxE=None):
      jax.debug.callback(told.append, level_B)
      return super().__call__(scaled_B, level_B, condition_BxE)
  made = game(monkeypatch, net=Ear, schedule='logit_normal', objective='edm', sample=dict(sampler='euler', steps=5))
  state, schedule, most = start(made), schedules.SCHEDULES['logit_normal'], []
  for call in (lambda: made.family.sample(state, keys(3)),
               lambda: made.family.roles['model'].loss(state.params['model'], state, examples(20_000), keys(20_000), None)):
    told.clear()
    call()
    jax.effects_barrier()
    most.append(np.max(told))
  levels = jnp.log(jnp.divide(*schedule.path(schedule.draw(jnp.linspace(0, 1, 100_001)[1:-1]))[::-1]))
  assert most[0] == most[1] and np.quantile(levels, .9989) <= most[0] <= np.quantile(levels, .9991)


def test_pixels_cost_what_all_levels_say():
  x = jnp.array([[0, 3, 128, 255]]) / 127.5 - 1
  seen = x + .004 * jnp.array([[1., -1., 2., .5]])
  levels = jnp.arange(256) / 127.5 - 1
  log_p = -.5 * ((seen[..., None] - levels[None, None]) / .004)**2
  wanted = (-.5 * ((seen - x) / .004)**2 - jax.nn.logsumexp(log_p, axis=-1)).sum(-1)
  np.testing.assert_allclose(losses.pixels(x, seen, .004, True), wanted, atol=1e-4)


def lead(made, **sample):
  """The clean x that one step sees in noise, of labels 2 and 0."""
  return made.family.sample(start(made), keys(4), jnp.array([2, 2, 0, 0]))


def test_guidance_extrapolates_between_the_label_and_none(monkeypatch):
  made = {}
  for name, sample in {'none': {}, 'plain': dict(guidance=1.), 'more': dict(guidance=3.), 'off': dict(guidance=0.),
                       'outside': dict(guidance=3., guidance_to=.5), 'within': dict(guidance=3., guidance_from=1.),
                       'away': dict(guidance=3., negative='2')}.items():
    made[name] = lead(game(monkeypatch, 1, 3, dict(sample, steps=1), condition=True, objective='data'))
  np.testing.assert_allclose(made['plain'], made['none'])
  np.testing.assert_allclose(made['more'], made['off'] + 3 * (made['plain'] - made['off']), rtol=1e-5)
  np.testing.assert_allclose(made['outside'], made['plain'])   # the one step is at t = 1
  np.testing.assert_allclose(made['within'], made['more'])
  np.testing.assert_allclose(made['away'][:2], made['plain'][:2], rtol=1e-5)
  assert (jnp.abs(made['away'][2:] - made['plain'][2:]) > .1).all()


def test_labels_are_dropped_as_often_as_asked(monkeypatch):
  made = game(monkeypatch, 1, 3, condition=True, objective='data', drop=.25, schedule='edm')
  state, batch = start(made), {**examples(2000), 'condition': jnp.full(2000, 1)}
  loss = lambda state: made.family.roles['model'].loss(state.params['model'], state, batch, keys(2000), None)[0]
  table = state.params['model']['Embed_0']['embedding']
  other = state.replace(params={'model': {**state.params['model'], 'Embed_0': {'embedding': table.at[1].add(1.)}}})
  np.testing.assert_allclose((loss(state) == loss(other)).mean(), .25, atol=.04)


def test_a_consistency_model_starts_as_diffusion_and_ends_near_itself(monkeypatch):
  options = dict(objective='edm', schedule='edm', weight='edm', deviation=math.sqrt(VARIANCE))
  made = game(monkeypatch, consistency=6, sample=dict(sampler='consistency'), **options)
  state, batch, role = start(made), examples(500), made.family.roles['model']
  loss_B, aux = role.loss(state.params['model'], state, batch, keys(500), None)
  error = aux.metrics['error']
  late = state.replace(step=jnp.asarray(made.config.steps - 1))
  # At first its target is x itself: the loss is a function of the error alone; in the end what it sees with a little less noise.
  plain = game(monkeypatch, **options).family.roles['model'].loss(state.params['model'], state, batch, keys(500), None)[0]
  np.testing.assert_allclose(loss_B, (jnp.sqrt(error + diffusion.HUBER**2) - diffusion.HUBER) * plain / error, rtol=1e-3, atol=1e-5)
  assert float(role.loss(late.params['model'], late, batch, keys(500), None)[0].mean()) < .2 * float(loss_B.mean())


def test_interpolation_decodes_the_prior(monkeypatch):
  made = game(monkeypatch, 2, sample=dict(sampler='dpm2m'))
  state = start(made)
  np.testing.assert_array_equal(made.family.decode(state, made.family.prior(state, keys(3))), made.family.sample(state, keys(3)))
  assert game(monkeypatch, 2, sample=dict(sampler='ddpm')).family.decode is None
  assert game(monkeypatch, 2, sample=dict(steps=1)).family.encode is None   # at the only level from which x is told all is noise


def pictures(monkeypatch, **sample):
  """A family of 8x8 colour images under the best denoiser of Gaussian pixels."""
  config = base('gaussians', 'diffusion', 'mlp', model=dict(learning_rate=1e-3))
  config.mesh = 'data=1'
  config.sample.update(sample)

  class Flat(nn.Module):
    @nn.compact
    def __call__(self, x_B, level_B, condition_BxE=None):
      return Best('velocity', 'cosine', .5)(x_B.reshape(len(x_B), -1), level_B).reshape(x_B.shape)
  monkeypatch.setattr(networks, 'make', lambda *_: [Flat()])
  return run.build(config, data.Spec((8, 8, 3)))


@pytest.mark.parametrize('sampler, more', [('ddpm', {}), ('heun', dict(churn=5.)), ('dpm2m', {})])
@pytest.mark.parametrize('edit', ['inpaint', 'enlarge', 'colour'])
def test_an_edit_keeps_what_is_given_and_makes_the_rest(monkeypatch, edit, sampler, more):
  made = pictures(monkeypatch, edit=edit, sampler=sampler, steps=8, **more)
  x = jax.random.uniform(jax.random.key(1), (3, 8, 8, 3), minval=-.6, maxval=.6)
  small = lambda x: x.reshape(3, 4, 2, 4, 2, 3).mean((2, 4))
  mask = jnp.zeros((3, 8, 8, 1)).at[:, 2:6, 2:6].set(1.)
  given = {'given': small(x) if edit == 'enlarge' else x, 'mask': mask}
  found = made.family.sample(start(made), keys(3), given)
  seen = {'inpaint': lambda x: x * (1 - mask), 'enlarge': small, 'colour': lambda x: x.mean(-1)}[edit]
  np.testing.assert_allclose(seen(found), seen(x), atol=1e-5)
  assert (jnp.abs(found - x).max((1, 2, 3)) > .1).all()


def test_a_variation_is_as_near_as_it_is_weak(monkeypatch):
  x = jnp.full((3, 8, 8, 3), .9)
  far = []
  for strength in (.02, .3, 1.):
    made = pictures(monkeypatch, edit='vary', strength=strength)
    far.append(float(jnp.abs(made.family.sample(start(made), keys(3), {'given': x}) - x).mean()))
  assert far[0] < .05 < far[1] < far[2]


@pytest.mark.parametrize('sample, options, what', [
    (dict(negative='1'), {}, 'leads nowhere'), (dict(guidance=2.), dict(drop=0.), 'never taught')], ids=str)
def test_what_is_refused_of_guidance(monkeypatch, sample, options, what):
  with pytest.raises(core.InputError, match=what):
    game(monkeypatch, 1, 3, sample, condition=True, **options)


def test_encode_is_undone_by_decode(monkeypatch):
  made = game(monkeypatch, 2, schedule='cosine', sample=dict(steps=60))
  batch, state = examples(5, 2), start(made)
  z = made.family.encode(state, batch['x'])
  np.testing.assert_allclose(made.family.decode(state, z), batch['x'], atol=5e-3)
  assert abs(float(made.family.encode(state, examples(2000, 2)['x']).std()) - 1) < .05


@pytest.mark.parametrize('objective', ['data', 'velocity', 'edm'])   # of noise the error counts at the other end
def test_encode_bears_a_networks_error(monkeypatch, objective):
  made = game(monkeypatch, 2, schedule='cosine', objective=objective, sample=dict(steps=20))
  state, x = start(made), examples(2000, 2)['x']
  worse = state.replace(params={'model': {**state.params['model'], 'net': {'shift': jnp.full((), .02)}}})
  assert jnp.abs(made.family.encode(worse, x) - made.family.encode(state, x)).max() < .5


@pytest.mark.parametrize('sample, options, what', [
    (dict(guidance=2.), {}, 'guidance'), (dict(negative='0'), {}, 'negative'), (dict(steps=1001), {}, '1000'), (dict(steps=0), {}, 'steps'),
    (dict(sampler='huen'), {}, 'heun'), (dict(eta=2.), {}, 'eta'), (dict(eta=.5), {}, 'eta is of ddim'),
    ({}, dict(schedule='cosin'), 'cosine'), ({}, dict(objective='x'), 'velocity'),
    ({}, dict(condition=True), 'labels'), ({}, dict(consistency=3), 'edm'), ({}, dict(weight='snr'), 'min_snr'),
    ({}, dict(consistency=3, weight='edm'), 'sampler=consistency, not heun'),
    (dict(guidance_from=.9, guidance_to=.1), {}, 'from <= to'), (dict(guidance_from=math.nan), {}, 'from <= to'),
    (dict(edit='vary'), {}, 'is of pixels'), (dict(strength=0.), {}, 'strength')], ids=str)
def test_what_is_refused(monkeypatch, sample, options, what):
  with pytest.raises(core.InputError, match=what):
    game(monkeypatch, sample=sample, **options)
