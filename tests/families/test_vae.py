"""The bounds of the family against the exact marginal of a linear-Gaussian model: z ~ N(0, 1), x | z ~ N(W z + b, .1^2)."""
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gen_jax import config, core, data, networks
from gen_jax.families import vae
from gen_jax.networks import mlp

D, Z, N = 5, 2, 32
W = .3 * np.random.default_rng(0).standard_normal((Z, D))
OFFSET = np.linspace(-.5, .5, D)
COVARIANCE = W.T @ W + .01 * np.eye(D)
X = np.random.default_rng(1).multivariate_normal(OFFSET, COVARIANCE, N).astype(np.float32)
PRECISION = np.eye(Z) + W @ W.T / .01   # of the posterior
GAIN = np.linalg.inv(PRECISION) @ W / .01


class Affine(nn.Module):
  out: int
  channels: int = D

  @nn.compact
  def __call__(self, x):
    return nn.Dense(self.out)(x)


def family(monkeypatch=None, steps=10, **options):
  c = config.base('gaussians', 'vae', 'mlp', model={'optimizer': 'sgd', 'learning_rate': 0.})
  c.update(steps=steps)
  c.family.update(latent=Z, likelihood='gaussian', score_samples=64, **options)
  c.network.width = 8
  if monkeypatch:
    monkeypatch.setattr(mlp, 'make', lambda options, spec: networks.Parts(Affine(Z), Affine(D)))
  return vae.make(c, data.Spec((D,), bounded=False))


def exact(family, widen=1.):
  """A state whose decoder is the model and whose encoder is its posterior; `widen` scales the standard deviation (of a diagonal posterior)."""
  # The posterior's covariance is made diagonal by turning z, which leaves p(x) as it is.
  _, turn = np.linalg.eigh(PRECISION)
  w, gain = turn.T @ W, turn.T @ GAIN
  log_scale = -.5 * np.log(np.diag(turn.T @ PRECISION @ turn)) + np.log(widen)
  state = core.create(family, jax.random.key(0), {'x': jnp.zeros((1, D))})
  params = {'encoder': {'Dense_0': {'kernel': jnp.float32(gain.T), 'bias': jnp.float32(-gain @ OFFSET)}},
            'decoder': {'Dense_0': {'kernel': jnp.float32(w), 'bias': jnp.float32(OFFSET)}},
            'head': {'kernel': jnp.float32(np.eye(Z, 2 * Z)), 'bias': jnp.float32([*np.zeros(Z), *log_scale])}}
  assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, state.params['model'])
  return state.replace(params={'model': params})


def log_p():
  r = X - OFFSET
  return -.5 * ((r @ np.linalg.inv(COVARIANCE)) * r).sum(-1) - .5 * np.linalg.slogdet(2 * np.pi * COVARIANCE)[1]


def keys(name, n=N):
  return core.per_example(core.fold(jax.random.key(7), name), jnp.arange(n))


def test_under_the_exact_posterior_every_bound_is_the_likelihood(monkeypatch):
  """log p(x, z) / q(z | x) is log p(x) whatever z is drawn."""
  f = family(monkeypatch)
  found = f.score(exact(f), {'x': X}, keys('score'))
  np.testing.assert_allclose(found['elbo'], log_p(), atol=2e-4)
  np.testing.assert_allclose(found['iwae_64'], log_p(), atol=2e-4)


def test_the_loss_is_the_negative_bound(monkeypatch):
  """With the KL in closed form it is log p(x) in the mean over draws."""
  f = family(monkeypatch)
  state, draws = exact(f), 400
  many = {'x': np.tile(X, (draws, 1))}
  loss, aux = f.roles['model'].loss(state.params['model'], state, many, keys('loss', N * draws), jax.random.key(0))
  found = -np.asarray(loss).reshape(draws, N)
  assert (np.abs(found.mean(0) - log_p()) < 4.5 * found.std(0) / draws**.5).all()
  np.testing.assert_allclose(aux.metrics['elbo'], aux.metrics['reconstruction'] - aux.metrics['kl'], rtol=1e-5)


def test_more_importance_samples_tighten_the_bound(monkeypatch):
  """Burda et al. 2016, theorem 1, with a posterior that is too wide; both as scored and as trained."""
  bounds = []
  for k in (1, 4, 64):
    f = family(monkeypatch, importance_samples=max(2, k))
    state = exact(f, widen=2.)
    found = f.score(state, {'x': X}, keys('score'))
    if k == 1:
      bounds.append(found['elbo'].mean())
      continue
    _, aux = f.roles['model'].loss(state.params['model'], state, {'x': X}, keys('loss'), jax.random.key(0))
    bounds.append(aux.metrics['iwae'].mean())
  assert bounds[0] < bounds[1] - .1 < bounds[2] - .1
  assert bounds[2] < log_p().mean() + .02 and abs(found['iwae_64'].mean() - log_p().mean()) < .05


def test_samples_have_the_models_mean(monkeypatch):
  """`sample` gives the likelihood's mean: the covariance is W'W."""
  f = family(monkeypatch)
  x = np.asarray(jax.jit(f.sample)(exact(f), keys('sample', 20_000), None))
  np.testing.assert_allclose(x.mean(0), OFFSET, atol=.02)
  np.testing.assert_allclose(np.cov(x.T), W.T @ W, atol=.02)


def test_beta_warms_up(monkeypatch):
  f = family(monkeypatch, beta=2., beta_warmup=4)
  state = exact(f)
  key = jax.random.key(0)
  for step, beta in enumerate([.5, 1., 1.5, 2., 2.]):
    now = state.replace(step=jnp.int32(step))
    loss, aux = f.roles['model'].loss(state.params['model'], now, {'x': X}, keys('loss'), key)
    np.testing.assert_allclose(loss, beta * aux.metrics['kl'] - aux.metrics['reconstruction'], rtol=1e-4)


def test_an_autoencoders_latents_get_the_normal_they_have(monkeypatch):
  f = family(monkeypatch, posterior='deterministic')
  state = exact(f)
  x = np.random.default_rng(2).multivariate_normal(OFFSET + W[0], COVARIANCE, 512).astype(np.float32)   # latents that do not lie around 0
  step = jax.jit(lambda state: f.step(f, state, {'x': x}, keys('step', 512), jax.random.key(0))[0])
  for _ in range(800):   # .99^800: what the average starts from is forgotten
    state = step(state)
  drawn = np.asarray(jax.jit(f.sample)(state, keys('sample', 20_000), None))
  made = np.asarray(f.reconstruct(state, {'x': x}, keys('reconstruct', 512)))
  np.testing.assert_allclose(drawn.mean(0), made.mean(0), atol=.02)
  np.testing.assert_allclose(np.cov(drawn.T), np.cov(made.T), atol=.02)


def test_an_autoencoder_can_sample_before_its_first_step():
  f = family(posterior='deterministic')
  state = core.create(f, jax.random.key(0), {'x': jnp.zeros((1, D))})
  assert jnp.isfinite(f.sample(state, keys('sample'), None)).all()


SPEC = data.Spec((4, 4, 1), classes=3)


def make(spec=SPEC, **options):
  c = config.base('mnist', 'vae', 'mlp', model={})
  c.family.update(options)
  c.network.width = 8
  return vae.make(c, spec)


def test_dynamic_binarisation_draws_pixels_by_their_grey():
  """Bernoulli with these means: the reconstruction's loss at logit 0 is log 2 a pixel whatever is drawn, and the draws have the mean (x + 1) / 2."""
  f = make(binarize='dynamic', posterior='deterministic')
  state = core.create(f, jax.random.key(0), {'x': jnp.zeros((1, 4, 4, 1)), 'condition': jnp.zeros(1, jnp.int32)})
  flat = jax.tree.map(jnp.zeros_like, state.params['model'])
  grey = {'x': jnp.full((400, 4, 4, 1), .5)}   # white with probability .75
  loss, _ = f.roles['model'].loss(flat, state, grey, keys('loss', 400), jax.random.key(0))
  np.testing.assert_allclose(loss, 16 * np.log(2), rtol=1e-5)
  bias = jax.tree_util.tree_map_with_path(lambda path, x: x + ('decoder' in str(path) and x.shape == (16,)), flat)   # logit 1 everywhere
  loss, _ = f.roles['model'].loss(bias, state, grey, keys('loss', 400), jax.random.key(0))
  white = 1 - (loss / 16 - np.log1p(np.exp(-1)))   # the share of white pixels of each image
  assert abs(white.mean() - .75) < .02 and white.std() > .05
  np.testing.assert_allclose(16 * white, np.round(16 * white), atol=1e-3)


def test_noise_is_seen_by_the_encoder_only():
  plain, noisy = make(posterior='deterministic'), make(posterior='deterministic', noise=.5)
  state = core.create(plain, jax.random.key(0), {'x': jnp.zeros((1, 4, 4, 1)), 'condition': jnp.zeros(1, jnp.int32)})
  batch = {'x': jnp.zeros((4, 4, 4, 1))}
  a, b = ([f.roles['model'].loss(p, state, batch, keys('loss', 4), jax.random.key(0))[0] for f in (plain, noisy)]
          for p in (state.params['model'], {**state.params['model'], 'encoder': jax.tree.map(jnp.zeros_like, state.params['model']['encoder'])}))
  assert (a[0] != a[1]).all() and (b[0] == b[1]).all()


def test_a_condition_is_used():
  f = make(condition=True)
  state = core.create(f, jax.random.key(0), {'x': jnp.zeros((1, 4, 4, 1)), 'condition': jnp.zeros(1, jnp.int32)})
  a, b = (f.sample(state, keys('sample', 4), jnp.full(4, label)) for label in (0, 1))
  assert (a != b).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize('options, message', [
    (dict(likelihood='poisson'), 'bernoulli'), (dict(posterior='normal'), 'deterministic'),
    (dict(binarize='dynamic', likelihood='gaussian'), 'binarize'),
    (dict(importance_samples=5, posterior='deterministic'), 'importance_samples'), (dict(importance_samples=5, beta_warmup=9), 'a KL term'),
    (dict(posterior='deterministic', beta=2.), 'a KL term'), (dict(beta=-1.), 'at least 0'),
    (dict(condition=True, spec=data.Spec((2,))), 'condition'),
    (dict(spec=data.Spec((2,), bounded=False)), 'unbounded')], ids=lambda o: str(o)[:40])
def test_what_makes_no_sense_is_refused(options, message):
  with pytest.raises(core.InputError, match=message):
    make(**options)


MEANS, LOGIT = np.array([[2., 0.], [-1., 1.]], np.float32), np.array([.3, -.4], np.float32)
RAW = np.random.default_rng(0).normal(0, .5, (2, Z, Z)).astype(np.float32)
FACTOR = np.tril(RAW, -1) + np.stack([np.diag(np.exp(np.diag(r))) for r in RAW])
COVARIANCES, SHARE = np.linalg.inv(FACTOR @ FACTOR.transpose(0, 2, 1)), np.exp(LOGIT) / np.exp(LOGIT).sum()
MIXTURE = {'logit': LOGIT, 'mean': MEANS, 'precision': RAW}


def mixed(monkeypatch, **options):
  monkeypatch.setattr(mlp, 'make', lambda options, spec: networks.Parts(Affine(Z), Affine(D)))
  c = config.base('gaussians', 'vae', 'mlp', model={}, prior={})
  c.family.update(latent=Z, likelihood='gaussian', mixture=2, **options)
  return vae.make(c, data.Spec((D,), bounded=False))


def test_a_mixture_is_its_density_and_its_draws(monkeypatch):
  """The second role's loss is the negative log-density of the standardised latents, and what it draws has that mixture's moments."""
  f = mixed(monkeypatch, posterior='deterministic')
  state = core.create(f, jax.random.key(0), {'x': jnp.zeros((1, D))})
  model = {**state.params['model'], 'encoder': {'Dense_0': {'kernel': jnp.float32(GAIN.T), 'bias': jnp.zeros(Z)}},
           'head': {'kernel': jnp.float32(np.eye(Z, 2 * Z)), 'bias': jnp.zeros(2 * Z)}}
  # What standardises: a mean and a covariance.
  middle, about = np.array([1., -1.]), np.array([[4., .5], [.5, 1.]])
  moments = {'mean': jnp.float32(middle), 'second': jnp.float32(about + np.outer(middle, middle))}
  state = state.replace(params={'model': model, 'prior': MIXTURE},
                        variables={'model': moments, 'prior': {}})
  standard = lambda z: (np.asarray(z, np.float64) - middle) / np.sqrt(np.diag(about) + 1e-4)

  w = standard(f.prior(state, keys('draw', 20_000)))
  mean = SHARE @ MEANS
  spread = (SHARE[:, None, None] * (COVARIANCES + np.einsum('ki,kj->kij', MEANS - mean, MEANS - mean))).sum(0)
  np.testing.assert_allclose(w.mean(0), mean, atol=.06)
  np.testing.assert_allclose(np.cov(w.T), spread, rtol=.05, atol=.05)

  loss, _ = f.roles['prior'].loss(state.params['prior'], state, {'x': jnp.asarray(X)}, keys('loss'), jax.random.key(0))
  density = sum(p * scipy.stats.multivariate_normal(m, v).pdf(standard(X @ GAIN.T)) for p, m, v in zip(SHARE, MEANS, COVARIANCES))
  np.testing.assert_allclose(loss, -np.log(density), rtol=1e-4)


def test_a_mixture_is_the_prior_of_the_bound(monkeypatch):
  """Against the exact marginal, a mixture of normal distributions, with a posterior wide enough for all of it; the two roles descend one bound."""
  f = mixed(monkeypatch, score_samples=20_000)
  state = exact(family(monkeypatch), widen=3.)
  w = np.asarray(state.params['model']['decoder']['Dense_0']['kernel'], np.float64)
  state = core.create(f, jax.random.key(0), {'x': jnp.zeros((1, D))}).replace(params={**state.params, 'prior': MIXTURE}, ema={})
  log_p = np.log(sum(p * scipy.stats.multivariate_normal(m @ w + OFFSET, w.T @ v @ w + .01 * np.eye(D)).pdf(X)
                     for p, m, v in zip(SHARE, MEANS, COVARIANCES)))
  found = f.score(state, {'x': X}, keys('score'))
  np.testing.assert_allclose(found['iwae_20000'], log_p, atol=.1)
  assert (found['elbo'] < log_p).all()

  batch, at, key = {'x': jnp.asarray(X)}, keys('loss'), jax.random.key(0)
  bound = lambda prior: f.roles['model'].loss(state.params['model'], state.replace(params={**state.params, 'prior': prior}), batch, at, key)[0].mean()
  own = lambda prior: f.roles['prior'].loss(prior, state, batch, at, key)[0].mean()
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), *(jax.grad(g)(state.params['prior']) for g in (bound, own)))
