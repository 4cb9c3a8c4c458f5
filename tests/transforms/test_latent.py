"""A family in a codec's space is the family on encoded examples; the codec stays what it was."""
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import close

from gen_jax import checkpoint, config, core, data, loop, manifest, run
from gen_jax.config import base, variant
from gen_jax.transforms.latent import latent

SPEC = data.Spec((28, 28, 1), 10)


def workdir(path, family='vae', spec=SPEC, **options) -> str:
  """As if it had been trained."""
  c = variant(base('mnist', family, 'mlp', **dict.fromkeys(('discriminator', 'generator') if family == 'gan' else ('model',), {})), 'smoke')
  c.family.update({**({'latent': 6} if 'latent' in c.family else {}), **options})
  c.mesh = 'data=1'
  made = run.build(c, spec)
  checkpoint.save(path / 'checkpoints', run.initial(made), 1)
  config.save(c, path / 'config.json')
  manifest.write(path, {'spec': spec._asdict()})
  return str(path)


@pytest.fixture(scope='module')
def codec(tmp_path_factory):
  return workdir(tmp_path_factory.mktemp('codec'), likelihood='gaussian')


def configured(codec, family='vae', **options):
  roles = {'gan': ('discriminator', 'generator')}.get(family, ('model',))
  c = variant(base('mnist', family, 'mlp', **{role: dict(optimizer='sgd', learning_rate=.01) for role in roles}), 'smoke')
  c.frozen.codec = codec
  c.family.update({'likelihood': 'gaussian'} if family == 'vae' else {})
  c.update({'mesh': 'data=1', 'sample_every': 0, **options})
  return c


def batch(n=4):
  rng = np.random.default_rng(0)
  return {'x': rng.uniform(-1, 1, (n, *SPEC.shape)).astype(np.float32), 'condition': rng.integers(0, 10, n).astype(np.int32)}


def keyed(n=4):
  return core.per_example(jax.random.key(1), jnp.arange(n))


@pytest.mark.parametrize('family', ['diffusion', 'gan'])
def test_losses_samples_and_scores_are_of_what_the_codec_makes(codec, family):
  made = run.build(configured(codec, family), SPEC)
  plain = core.module('families', family).make(made.config, data.Spec((6,), 10, bounded=False))
  state, (coder, coded, _) = run.initial(made), run.trained(codec)
  z = {**batch(), 'x': coder.family.encode(coded, batch()['x'])}
  assert z['x'].shape == (4, 6)

  def use(family, batch):
    losses = [role.loss(state.params[name], state, batch, keyed(), jax.random.key(2)) for name, role in family.roles.items()]
    return losses, family.sample(state, keyed()), family.score(state, batch, keyed())
  losses, sample, score = jax.jit(functools.partial(use, made.family))(batch())
  plain_losses, plain_sample, plain_score = jax.jit(functools.partial(use, plain))(z)
  close(losses, plain_losses)
  np.testing.assert_allclose(sample, coder.family.decode(coded, plain_sample), atol=1e-6)
  close(score, {f'latent_{name}': value for name, value in plain_score.items()})


def of_codes(codec, **options):
  c = variant(base('mnist', 'autoregressive', 'transformer', model=dict(optimizer='sgd', learning_rate=.01)), 'smoke')
  c.frozen.codec = codec
  c.update({'mesh': 'data=1', 'sample_every': 0, **options})
  return c


@pytest.mark.parametrize('count', [5, 256])   # as many as pixels have levels, but no pixels
def test_an_autoregressive_model_is_of_the_codes(tmp_path, count):
  """Its tokens are their numbers, and what it draws is decoded from them."""
  codec = workdir(tmp_path / 'codec', 'vqvae', codes=count, latent=3)
  made = run.build(of_codes(codec), SPEC)
  plain = core.module('families', 'autoregressive').make(made.config, data.Spec((1,), 10, codes=count))
  state, (coder, coded, _) = run.initial(made), run.trained(codec)
  z = {**batch(), 'x': coder.family.codes.encode(coded, batch()['x'])}
  k = (z['x'] + 1) * (count - 1) / 2
  np.testing.assert_allclose(k, np.rint(k), atol=1e-4)
  losses = [role.loss(state.params['model'], state, b, keyed(), jax.random.key(2))[0] for f, b in ((made.family, batch()), (plain, z))
            for role in f.roles.values()]
  close(*losses)
  np.testing.assert_allclose(made.family.sample(state, keyed()), coder.family.codes.decode(coded, plain.sample(state, keyed())), atol=1e-6)
  found = made.family.score(state, batch(), keyed())
  close(found, {'latent_log_likelihood_codes': plain.score(state, z, keyed())['log_likelihood_codes']})
  with pytest.raises(core.InputError, match='binarize'):
    c = of_codes(codec)
    c.family.binarize = 'threshold'
    run.build(c, SPEC)


def test_codes_of_a_codec_in_another_codecs_space(codec, tmp_path):
  """They come from what the outer one makes of the pictures, and an autoregressive run learns them, encoded ahead."""
  c = configured(codec, 'vqvae')
  c.family.update(codes=4, latent=3)
  loop.train(c, tmp_path / 'inner')
  loop.train(of_codes(str(tmp_path / 'inner'), encode_ahead=True, evals='score'), tmp_path / 'run')
  made, state = run.load(tmp_path / 'run')
  assert run.sampler(made)(state, jax.random.key(0), np.arange(3), 3).shape == (3, 28, 28, 1)


def test_the_identity_codec_is_the_family_itself():
  c = configured(None)
  plain = core.module('families', 'vae').make(c, data.Spec((6,), bounded=False))
  same = core.Family(None, {}, encode=lambda state, x_B: x_B, decode=lambda state, z_B: z_B)
  family = latent(plain, same, (6,))
  x = {'x': np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)}
  states = []
  for f in (plain, family):
    state = core.create(f, jax.random.key(0), x)
    state = state.replace(frozen={'codec': ()} if f is family else {})
    states.append(jax.jit(functools.partial(f.step, f))(state, x, keyed(), jax.random.key(2))[0].replace(frozen={}))
  assert checkpoint.state_sha256(states[0]) == checkpoint.state_sha256(states[1])


def test_no_layout_changes_anything(codec, monkeypatch):
  shapes = []
  for options in ({}, {'seeds': 2, 'accumulate': 2, 'mesh': 'seed=2,data=2,fsdp=2'}):
    made = run.build(configured(codec, **options), SPEC)
    state = run.initial(made)
    n = 2 if made.family.seeds else 1
    many = lambda tree, n=n: jax.tree.map(lambda x: jnp.stack([x] * n) if n > 1 else x, tree)
    keys = many(keyed(8))
    step = jax.jit(functools.partial(made.family.step, made.family))
    state, metrics = step(state, many(batch(8)), keys, many(jax.random.key(3)))
    first = lambda tree, n=n: jax.device_get(jax.tree.map(lambda x: x[0] if n > 1 else x, tree))
    shapes.append((first(state.params), first(metrics)))
    monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')   # the layout takes an accelerator's loops
  close(shapes[1], shapes[0])


def test_a_run_leaves_the_codec_alone_resumes_and_may_encode_ahead(codec, tmp_path):
  before = {p: p.read_bytes() for p in sorted(pathlib.Path(codec).rglob('*')) if p.is_file()}
  record = loop.train(configured(codec), tmp_path / 'a')
  assert record['frozen'] == {'codec': run.trained(codec)[2]} and record['spec']['shape'] == (28, 28, 1)
  assert {p: p.read_bytes() for p in sorted(pathlib.Path(codec).rglob('*')) if p.is_file()} == before
  made, state = run.load(tmp_path / 'a')
  assert made.spec == SPEC and hash(made.spec)
  assert run.sampler(made)(state, jax.random.key(0), np.arange(3), 3).shape == (3, 28, 28, 1)
  ahead = loop.train(configured(codec, encode_ahead=True), tmp_path / 'b')
  assert ahead['data'] != record['data']
  parts = [run.load(tmp_path / name)[1].params for name in 'ab']
  close(*parts, 1e-4)
  again = loop.train(configured(codec, steps=6), tmp_path / 'a')
  assert again['frozen'] == record['frozen'] and run.load(tmp_path / 'a')[1].step == 6


def test_what_is_refused(codec, tmp_path):
  with pytest.raises(core.InputError, match=r'is of \(28, 28, 1\), the data of \(8, 8, 1\)'):
    run.build(configured(codec), data.Spec((8, 8, 1)))
  with pytest.raises(core.InputError, match='holds a gan, which does not encode'):
    run.build(configured(workdir(tmp_path / 'gan', 'gan')), SPEC)
  with pytest.raises(core.InputError, match='latents of the shape of the data'):
    run.build(configured(workdir(tmp_path / 'diffusion', 'diffusion')), SPEC)
  with pytest.raises(core.InputError, match='is of codes'):
    run.build(of_codes(codec), SPEC)
  with pytest.raises(core.InputError, match='is not a workdir'):
    run.build(configured(str(tmp_path / 'none')), SPEC)
  with pytest.raises(core.InputError, match='encode_ahead needs'):
    loop.train(configured(None, encode_ahead=True), tmp_path / 'x')
  made = run.build(configured(codec), SPEC)
  with pytest.raises(core.InputError, match='latent goes inside'):
    latent(made.family._replace(seeds=2), made.family, (6,))


def test_another_codec_is_refused(codec, tmp_path):
  """Of the same shapes: by its hash."""
  loop.train(configured(codec), tmp_path / 'run')
  record = manifest.read(tmp_path / 'run')
  manifest.write(tmp_path / 'run', {**record, 'frozen': {'codec': '0' * 64}})
  for again in (lambda: run.load(tmp_path / 'run'), lambda: loop.train(configured(codec, steps=6), tmp_path / 'run')):
    with pytest.raises(core.InputError, match='this run was trained with 000000000000'):
      again()
