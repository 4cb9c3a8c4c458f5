"""Codecs with an affine encoder and decoder, where all can be worked out by hand; and maps of latents, by a network that gives maps."""
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import KEYS, close

from gen_jax import config, core, data
from gen_jax.families import vqvae
from gen_jax.families.vqvae import DEAD, MEMORY
from gen_jax.networks import Parts, codec, mlp

D, B, K = 3, 16, 4
X = np.random.default_rng(0).uniform(-1, 1, (B, D)).astype(np.float32)
BATCH = {'x': jnp.asarray(X)}


class Same(nn.Module):
  """What a codec around it does, its head does."""
  channels: int = D

  def __call__(self, x):
    return x


def family(monkeypatch, roles=('model',), **options):
  c = config.base('gaussians', 'vqvae', 'mlp', **{name: {'optimizer': 'sgd', 'learning_rate': .1} for name in roles})
  c.family.update(**{'latent': D, 'codes': K, **options})
  monkeypatch.setattr(mlp, 'make', lambda options, spec: Parts(Same(), Same()))
  return vqvae.make(c, data.Spec((D,), bounded=False))


def keys(n=B):
  return core.per_example(jax.random.key(7, impl=KEYS), jnp.arange(n))


def start(f, head=None, **variables):
  """A state whose latents are x itself, or what `head` makes of it, and whose model has these variables."""
  state = core.create(f, jax.random.key(0, impl=KEYS), BATCH)
  kernel = np.eye(D, state.params['model']['head']['bias'].size, dtype=np.float32) if head is None else head
  model = {'head': {'kernel': jnp.asarray(kernel), 'bias': jnp.zeros(kernel.shape[1])}}
  old = state.variables['model']
  return state.replace(params={**state.params, 'model': model},
                       variables={**state.variables, 'model': {**old, **{k: jnp.float32(v) for k, v in variables.items()}}})


def book(codes, count=None):
  count = np.full(len(codes), 1 / len(codes)) if count is None else np.asarray(count)
  return {'count': count, 'sum': count[:, None] * codes}


CODES = np.array([[-.5, -.5, 0], [.6, -.4, .3], [-.2, .4, 0], [.5, .5, -.2]], np.float32)
NEAREST = ((X[:, None] - CODES)**2).sum(-1).argmin(-1)


def loss(f, state, role='model'):
  return lambda own: f.roles[role].loss(own, state, BATCH, keys(), jax.random.key(1, impl=KEYS))


def updated(f, state, found, seed=0):
  return jax.device_get(f.roles['model'].update(state.variables['model'], found, jax.random.key(seed, impl=KEYS)))


def test_the_gradient_goes_straight_through_the_codes(monkeypatch):
  """Of log p(x | code) it arrives at the latent as it leaves the code; the commitment pulls the latent to its code, and nothing else moves it."""
  f = family(monkeypatch, commitment=.3)
  state = start(f, **book(CODES))
  found = jax.grad(lambda own: loss(f, state)(own)[0].sum())(state.params['model'])['head']
  at_code = (CODES[NEAREST] - X) / .1**2   # of -log N(x; code, .1^2)
  wanted = at_code + .3 * 2 * (X - CODES[NEAREST])
  np.testing.assert_allclose(found['bias'], wanted.sum(0), rtol=1e-4, atol=1e-3)
  np.testing.assert_allclose(found['kernel'], X.T @ wanted, rtol=1e-4, atol=1e-3)


def test_the_gradient_goes_straight_through_the_levels(monkeypatch):
  """But for the tanh."""
  f = family(monkeypatch, quantizer='fsq', levels='3,4,5')
  state = start(f)
  found = jax.grad(lambda own: loss(f, state)(own)[0].sum())(state.params['model'])['head']['bias']
  gaps = np.array([2, 3, 4])
  level = 2 * np.round((np.tanh(X) + 1) / 2 * gaps) / gaps - 1
  np.testing.assert_allclose(found, ((level - X) / .1**2 * (1 - np.tanh(X)**2)).sum(0), rtol=1e-4)


def test_the_codebook_takes_a_step_of_k_means(monkeypatch):
  """Its count and sum are moving averages, so a code is the mean of its latents, old and new, by their number."""
  f = family(monkeypatch)
  count = np.array([.4, .3, .2, .1])
  state = start(f, **book(CODES, count))
  new = updated(f, state, loss(f, state)(state.params['model'])[1].statistics)
  share = np.array([(NEAREST == k).mean() for k in range(K)])
  mean = np.stack([X[NEAREST == k].mean(0) for k in range(K)])
  old, fresh = MEMORY * count[:, None], (1 - MEMORY) * share[:, None]
  np.testing.assert_allclose(new['sum'] / new['count'][:, None], (old * CODES + fresh * mean) / (old + fresh), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(new['count'], (old + fresh)[:, 0], rtol=1e-5)


def test_only_dead_codes_begin_anew(monkeypatch):
  """Beside a used one, which keeps its place and gives half of its count; no count is lost but the dead code's own."""
  f = family(monkeypatch)
  count = np.array([.6, .5 * DEAD / K, .4, 1.05 * DEAD / K])   # the last is poor, and neither dies nor gives
  givers = set()
  for seed in range(12):
    state = start(f, mean=np.zeros(D), second=np.ones(D), **book(CODES, count))
    still = {**state.variables['model']}   # the averages stay where they are
    new = updated(f, state, still, seed)
    codes = new['sum'] / new['count'][:, None]
    np.testing.assert_allclose(codes[[0, 2, 3]], CODES[[0, 2, 3]], atol=1e-6)
    giver = int(((codes[1] - CODES)**2).sum(-1).argmin())
    givers.add(giver)
    assert giver in (0, 2) and 0 < np.abs(codes[1] - CODES[giver]).max() < .06
    wanted = count.copy()
    wanted[giver] = wanted[1] = count[giver] / 2
    np.testing.assert_allclose(new['count'], wanted, rtol=1e-5)
  assert givers == {0, 2}


def test_codes_without_a_giver_wait(monkeypatch):
  """More dead than used: each used one gives once; the others die on, and stay finite."""
  f = family(monkeypatch)
  state = start(f, **book(CODES, [.9, 1e-3, 1e-3, 1e-3]))
  new = updated(f, state, {**state.variables['model']})
  np.testing.assert_allclose(np.sort(new['count']), [1e-3, 1e-3, .45, .45], rtol=1e-5)


def test_a_codebook_spreads_over_what_there_is(monkeypatch):
  """From a start far off, the distance to the nearest code falls to what k-means reaches, and all codes are used."""
  f = family(monkeypatch, codes=16)
  x = np.random.default_rng(1).standard_normal((256, D)).astype(np.float32)
  state = start(f, **book(np.random.default_rng(2).normal(5, 1, (16, D)), np.full(16, DEAD / 16)))

  @jax.jit
  def step(state, key):
    loss_B, aux = f.roles['model'].loss(state.params['model'], state, {'x': x}, keys(256), key)
    new = f.roles['model'].update(state.variables['model'], aux.statistics, core.fold(key, 'update'))
    return state.replace(variables={'model': new}), aux.metrics
  for i in range(300):
    state, metrics = step(state, jax.random.key(i, impl=KEYS))
  assert metrics['perplexity'][0] > 12
  assert metrics['commitment'].mean() < .64   # Lloyd's algorithm from 16 of the points, 20 times: .53 to .64; one code: 2.86


def test_perplexity_is_of_the_counts(monkeypatch):
  f = family(monkeypatch)
  for count, wanted in (([.25] * 4, 4), ([.5, .5, 1e-9, 1e-9], 2)):
    state = start(f, **book(CODES, count))
    np.testing.assert_allclose(loss(f, state)(state.params['model'])[1].metrics['perplexity'], wanted, rtol=1e-4)


def test_levels_make_their_product_of_codes_and_rounding_twice_is_rounding(monkeypatch):
  f = family(monkeypatch, quantizer='fsq', levels='2,3,5')
  state = start(f, mean=np.zeros(D), second=np.ones(D))
  z = np.random.default_rng(0).uniform(-1.5, 1.5, (4000, D)).astype(np.float32)
  once = f.decode(state, z)   # the decoder gives what it is given
  wanted = np.array(list(itertools.product(np.linspace(-1, 1, 2), np.linspace(-1, 1, 3), np.linspace(-1, 1, 5))))
  np.testing.assert_allclose(np.unique(np.round(once, 5), axis=0), np.unique(np.round(wanted, 5), axis=0), atol=1e-4)
  np.testing.assert_allclose(f.decode(state, once), once, atol=1e-6)
  inside = np.clip(z, -1, 1)
  assert (np.abs(once - inside) <= 1 / np.array([1, 2, 4]) + 1e-5).all()   # the nearest level of each channel


def test_kl_is_that_of_the_posterior(monkeypatch):
  """-log N(x; z, .1^2) at the z drawn, plus the weighted KL, with a deviation of 2 in all channels and a mean of 3 x."""
  f = family(monkeypatch, quantizer='kl', kl_weight=.2)
  state = start(f, head=np.eye(D, 2 * D, dtype=np.float32) * 3)
  own = {'head': {**state.params['model']['head'], 'bias': jnp.float32([0, 0, 0, *[np.log(2)] * D])}}
  found, aux = loss(f, state)(own)
  kl = (.5 * ((3 * X)**2 + 4 - 1 - np.log(4))).sum(-1)
  e = np.stack([jax.random.normal(key, (D,)) for key in core.fold(keys(), 'posterior')])
  log_p = (-.5 * ((X - 3 * X - 2 * e) / .1)**2 - np.log(.1) - .5 * np.log(2 * np.pi)).sum(-1)
  np.testing.assert_allclose(aux.metrics['kl'], kl, rtol=1e-4)
  np.testing.assert_allclose(found, .2 * kl - log_p, rtol=1e-4)


@pytest.mark.parametrize('quantizer', ['vq', 'fsq', 'kl'])
def test_latents_are_standardised_and_decode_undoes_it(monkeypatch, quantizer):
  """With the moments that a step gathers; decoding what was encoded is reconstructing."""
  options = {'fsq': dict(levels='8,5,5')}.get(quantizer, {})
  f = family(monkeypatch, quantizer=quantizer, **options)
  head = np.random.default_rng(3).normal(0, 2, (D, 2 * D if quantizer == 'kl' else D)).astype(np.float32)
  state = start(f, head=head)
  statistics = loss(f, state)(state.params['model'])[1].statistics
  gathered = {k: statistics[k] for k in ('mean', 'second')}
  state = state.replace(variables={'model': {**state.variables['model'], **gathered}})
  z = f.encode(state, BATCH['x'])
  np.testing.assert_allclose(z.mean(0), 0, atol=1e-4)
  np.testing.assert_allclose(z.std(0), 1, rtol=1e-3)
  close(f.decode(state, z, None), f.reconstruct(state, BATCH, keys()))
  found = f.score(state, BATCH, keys())
  assert set(found) == {'reconstruction'} and found['reconstruction'].shape == (B,)


SPEC = data.Spec((8, 8, 1))


def of_images(network='codec', roles=('model',), **options):
  c = config.base('mnist', 'vqvae', network, **{name: {} for name in roles})
  c.network.width = 8
  c.family.update({'codes': 8, 'latent': 2, **options})
  f = vqvae.make(c, SPEC)
  x = np.random.default_rng(0).uniform(-1, 1, (4, *SPEC.shape)).astype(np.float32)
  return f, core.create(f, jax.random.key(0, impl=KEYS), {'x': x}), {'x': x}


@pytest.mark.parametrize('quantizer, channels', [('vq', 2), ('fsq', 4), ('kl', 2)])
def test_a_network_of_maps_has_maps_of_latents(quantizer, channels):
  f, state, batch = of_images(quantizer=quantizer)
  z = jax.eval_shape(f.encode, state, batch['x'])
  assert z.shape == (4, 2, 2, channels)
  assert jax.eval_shape(f.decode, state, z).shape == (4, *SPEC.shape)
  new, metrics = jax.eval_shape(lambda state: f.step(f, state, batch, keys(4), jax.random.key(0, impl=KEYS)), state)
  assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, state)


def test_psnr_is_of_what_is_shown():
  f, state, batch = of_images('mlp')
  error = ((np.asarray(f.reconstruct(state, batch, keys(4))) - batch['x'])**2).mean((1, 2, 3))
  np.testing.assert_allclose(f.score(state, batch, keys(4))['psnr'], 10 * np.log10(2**2 / error), rtol=1e-4)


def test_the_adversary_plays():
  """Both roles move, the discriminator's verdict reaches the model, and each patch has one."""
  both = ('model', 'discriminator')
  f, state, batch = of_images('mlp', both, adversarial_weight=1e4)
  new, metrics = jax.jit(lambda state: f.step(f, state, batch, keys(4), jax.random.key(0, impl=KEYS)))(state)
  for role in both:
    moved = [(a != b).any() for a, b in zip(*map(jax.tree.leaves, (state.params[role], new.params[role]))) if a.ndim > 1]
    assert len(moved) > 2 and all(moved), role
  plain = of_images('mlp')[0]
  own, key = state.params['model'], jax.random.key(0, impl=KEYS)
  with_it, aux = f.roles['model'].loss(own, state, batch, keys(4), key)
  without, _ = plain.roles['model'].loss(own, state, batch, keys(4), key)
  np.testing.assert_allclose(with_it - without, -1e4 * aux.metrics['fake'], rtol=1e-3, atol=.1)


def test_each_patch_is_judged():
  """Where the network gives a map; an example's loss is the mean over its patches."""
  f, state, batch = of_images('codec', ('model', 'discriminator'), adversarial_weight=2.)
  own, key = jax.tree.map(lambda p: 2 * p, state.params['discriminator']), jax.random.key(0, impl=KEYS)   # some logits beyond the hinge
  loss_B, aux = jax.jit(lambda own: f.roles['discriminator'].loss(own, state, batch, keys(4), key))(own)
  logits = lambda x: vqvae.Discriminator(codec.Encoder(8, 2, 2, 'float32')).apply({'params': own}, x)
  real, fake = logits(batch['x']), logits(f.reconstruct(state, batch, keys(4)))
  assert real.shape == (4, 2 * 2) and (np.abs(real) > 1).any() and (np.abs(real) < 1).any()
  np.testing.assert_allclose(loss_B, (np.maximum(0, 1 - real) + np.maximum(0, 1 + fake)).mean(-1), rtol=1e-4)
  np.testing.assert_allclose(aux.metrics['real'], real.mean(-1), atol=1e-5)


@pytest.mark.parametrize('options, message', [
    (dict(quantizer='rvq'), 'vq, fsq, kl'), (dict(likelihood='poisson'), 'bernoulli'), (dict(quantizer='fsq', levels='8,1'), 'levels'),
    (dict(quantizer='fsq', levels=''), 'levels'), (dict(adversarial_weight=1.), 'discriminator'), (dict(kl_weight=-1.), 'at least 0'),
    (dict(codes=1), 'one code says nothing'),
    (dict(network='unet'), 'no encoder')], ids=str)
def test_what_makes_no_sense_is_refused(options, message):
  with pytest.raises(core.InputError, match=message):
    of_images(**options)


def test_a_codec_says_what_it_makes():
  for options, spec, message in ((dict(factor=3), SPEC, 'factor=3'), (dict(factor=8), data.Spec((12, 12, 1)), 'multiples')):
    c = config.base('mnist', 'vqvae', 'codec', model={})
    c.network.update(options)
    with pytest.raises(core.InputError, match=message):
      vqvae.make(c, spec)
  for name in ('vae', 'classifier'):
    with pytest.raises(core.InputError, match='network codec makes maps, which the family vqvae takes'):
      core.module('families', name).make(config.base('mnist', name, 'codec', model={}), SPEC._replace(classes=10))


@pytest.mark.parametrize('options', [dict(), dict(quantizer='fsq', levels='3,2,4', latent=3)], ids=['vq', 'fsq'])
def test_numbers_of_codes_say_all_that_the_decoder_sees(monkeypatch, options):
  f = family(monkeypatch, **options)
  state = start(f, **({} if options else book(CODES)))
  levels = f.codes.encode(state, X)
  assert levels.shape == (B, 1) and f.codes.count == (24 if options else K)
  np.testing.assert_array_equal(f.codes.decode(state, levels), f.reconstruct(state, BATCH, keys()))
  every = (2 * np.arange(f.codes.count, dtype=np.float32) / (f.codes.count - 1) - 1)[:, None]
  z = np.asarray(f.codes.decode(state, every))
  assert len(np.unique(z.round(4), axis=0)) == f.codes.count
  again = np.arctanh(np.clip(z, -1 + 1e-6, 1 - 1e-6)) if options else z   # fsq's encoder ends in a tanh
  np.testing.assert_allclose(f.codes.encode(state, again), every, atol=1e-6)


def test_kl_latents_have_no_codes(monkeypatch):
  assert family(monkeypatch, quantizer='kl').codes is None
