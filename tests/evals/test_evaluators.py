"""What every evaluator owes the others; a new file is found here by itself. On generators that have learnt nothing: what counts is the rules."""
import functools
import json
import pathlib

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy.io import savemat

from configs import emoji_text
from gen_jax import checkpoint, config, core, data, evals, extractors, manifest, run
from gen_jax.data import mnist
from gen_jax.evals import cas
from gen_jax.families.classifier import Classifier

EVALUATORS = sorted(path.stem for path in pathlib.Path(evals.__path__[0]).glob('[a-z]*.py'))
MODULES = {name: core.module('evals', name) for name in EVALUATORS}
N = 130   # more than a call of the sampler takes, and no multiple of anything
ROLES = {'gan': ('discriminator', 'generator'), 'vae': ('model',), 'classifier': ('model',), 'autoregressive': ('model',)}
SPECS = {'mnist': mnist.SPEC, 'gaussians': data.Spec((2,), bounded=False)}
FILES = {'text': 'story.txt', 'rolls': 'rolls.mat', 'molecules': 'own.smi'}


def build(names, data_name='mnist', family='gan', extractor=None, condition='projection', **options) -> run.Run:
  tokens = data_name in FILES
  if tokens:
    family = 'autoregressive'
  c = config.variant(config.base(data_name, family, 'transformer' if tokens else 'mlp', **{role: {} for role in ROLES[family]}), 'smoke')
  c = ConfigDict(c)
  c.network.width = 16
  if family == 'gan' and data_name == 'mnist':
    c.family.condition = condition
  c.frozen.extractor = extractor
  if tokens:
    c.data.path = str(data.directory() / FILES[data_name])
  c.update({'mesh': 'data=1', 'eval_examples': N, 'eval_few': False, 'evals': names, **options})
  return run.build(c.lock(), SPECS.get(data_name) or data.make(c, 'train').spec)


def initial(game):
  """A state whose samples are far from all alike."""
  state = run.initial(game)
  louder = lambda params: jax.tree.map(lambda x: 3 * x, params)
  return state.replace(params={name: louder(p) if name == 'generator' else p for name, p in state.params.items()})


@pytest.fixture(scope='module', autouse=True)
def folder(tmp_path_factory):
  """Where references lie, away from the user's; with evaluators that train no longer than they must."""
  path = tmp_path_factory.mktemp('data')
  (path / 'story.txt').write_text(' '.join(map(str, range(2000))))
  (path / 'own.smi').write_text('\n'.join(n * 'C' for n in range(1, 40)))
  savemat(path / 'rolls.mat', dict.fromkeys(('traindata', 'validdata', 'testdata'), np.eye(5, 88)))
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('GEN_JAX_DATA', str(path))
    patch.setattr(cas, 'STEPS', 1)
    patch.setattr(cas, 'BATCH', 8)
    patch.setattr(cas, 'MOST', 100)
    yield path


@pytest.fixture(scope='module')
def ruler(tmp_path_factory):
  """The workdir of a classifier that has learnt nothing but to name all classes."""
  workdir = tmp_path_factory.mktemp('ruler')
  game = build('', family='classifier')
  state = run.initial(game)
  x = data.make(game.config, 'validation').take(np.arange(100))['x']
  model = state.params['model']
  logits = Classifier(core.module('networks', 'mlp').make(game.config.network, game.spec)[0], 10).apply({'params': model}, x / np.float32(127.5) - 1)
  model = {**model, 'head': {**model['head'], 'bias': model['head']['bias'] - logits.mean(0)}}
  checkpoint.save(workdir / 'checkpoints', state.replace(params={'model': model}), 1)
  config.save(game.config, workdir / 'config.json')
  manifest.write(workdir, {'spec': mnist.SPEC._asdict()})
  return str(workdir)


def taken(data_name, extractor):
  """The evaluators that take a GAN on this data, by name; those that do not say so in one line before anything is drawn."""
  found = []
  for name in EVALUATORS:
    try:
      evals.make(build(name, data_name, extractor=extractor))
      found.append(name)
    except core.InputError as e:
      assert '\n' not in str(e) and str(e)
  return found


@pytest.fixture(scope='module')
def names(ruler):
  return taken('mnist', ruler)


@pytest.fixture(scope='module')
def measured(names, ruler):
  """measured(options): what all of them say of the same generator, or of another seed's."""
  @functools.cache
  def measure(**options):
    game = build(','.join(names), extractor=ruler, **options)
    return evals.make(game)(initial(game))
  return measure


def same(found, wanted, tolerance=1e-5):
  assert found.keys() == wanted.keys()
  for key, value in wanted.items():
    # Another order of summation may round a pixel to the next of its 256 levels.
    np.testing.assert_allclose(found[key], value, rtol=tolerance, atol=1e-5, err_msg=key)


@pytest.mark.parametrize('name', EVALUATORS)
def test_an_evaluator_says_what_it_needs(name):
  module = MODULES[name]
  assert isinstance(module.NEEDS, tuple) and set(module.NEEDS) <= {'moments', 'features', 'logits', 'x'} and callable(module.make)


def test_every_evaluator_is_tested(names, ruler):
  others = [taken(source, None) for source in ('gaussians', 'text', 'rolls', 'molecules')]
  of_their_own = {'oracle', 'answers', 'classification'}   # test_oracle_nll.py, test_of_texts.py, test_classification.py
  assert set(names).union(*others) == set(EVALUATORS) - of_their_own


def test_numbers_are_finite_and_carry_the_rulers_name(names, measured, ruler):
  found, ruler_name = measured(seed=0), evals.extractor(build('', extractor=ruler)).name
  assert {key.split('@')[0].split('/')[0] for key in found} == set(names)
  for key, value in found.items():
    assert isinstance(value, (int, float)) and np.isfinite(value), (key, value)
    plain, _, behind = key.partition('@')
    with_features = evals.OF_FEATURES & set(MODULES[plain.split('/')[0]].NEEDS)
    assert behind.removesuffix('_stderr') == (ruler_name if with_features else ''), key
    assert not key.endswith('_stderr') or value >= 0 and key.removesuffix('_stderr') in found


def test_chunks_do_not_matter(measured, tmp_path, monkeypatch):
  wanted = measured(seed=0)
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path))   # what is known of real examples is measured again, too
  monkeypatch.setattr(evals, 'CHUNK', 37)
  monkeypatch.setattr(run, 'examples_at_once', lambda game, n: 16)
  same(measured.__wrapped__(seed=0), wanted)


def test_devices_do_not_matter(measured):
  same(measured(mesh='data=8'), measured(seed=0))


def test_seeds_give_what_each_gives_alone(measured):
  both = measured(seeds=2, mesh='')
  for i in range(2):
    same({k: v[i] for k, v in both.items()}, {k: v for k, v in measured(seed=i).items() if not k.endswith('_stderr')})
  assert all(v.shape == (2,) for v in both.values()) and any(v[0] != v[1] for v in both.values())


def test_points_of_the_plane():
  game = build(','.join(taken('gaussians', None)), 'gaussians')
  found = evals.make(game)(initial(game))
  assert 'modes/covered' in found and 'sliced_wasserstein' in found and all('@' not in key for key in found)


@pytest.mark.parametrize('name', EVALUATORS)
def test_a_family_that_does_not_sample(name, ruler):
  make = lambda: evals.make(build(name, family='classifier', extractor=ruler))
  if name == 'score' or getattr(MODULES[name], 'WITHOUT_SAMPLES', False):
    game = build(name, family='classifier')
    assert all(np.isfinite(v) and 'samples' not in k for k, v in make()(run.initial(game)).items())
  else:
    with pytest.raises(core.InputError, match='the family classifier makes none'):
      make()


def test_a_new_file_is_an_evaluator(tmp_path, monkeypatch):
  (tmp_path / 'mine.py').write_text(
      "NEEDS = ('x',)\ndef make(run, split):\n"
      "  return lambda state, samples: {'mine': len(samples.x), 'asked': (1. * (samples.condition is not None), .5)}\n")
  monkeypatch.setattr(evals, '__path__', [str(tmp_path), *evals.__path__])
  for condition, asked in (('projection', 1.), ('none', 0.)):
    game = build('mine', condition=condition)
    assert evals.make(game)(initial(game)) == {'mine': N, 'mine/asked': asked, 'mine/asked_stderr': .5}


@pytest.mark.parametrize('name, options, said', [
    ('fid', dict(extractor='random', eval_examples=100), '100 examples for 128 features'),
    ('fid_infinity', dict(extractor='random', eval_examples=100), 'eval_few'),
    ('agreement', dict(extractor='random'), 'needs a classifier of 10 classes'),
    ('classes', dict(extractor='random'), 'has none'),
    ('inception_score', dict(extractor='random'), 'has none'),
    ('inception_score', dict(eval_examples=9), '10 splits'),
    ('kid', dict(eval_examples=3), 'at least four'),
    ('prdc', dict(eval_examples=5), 'more than 5'),
    ('memorisation', dict(eval_examples=1), 'more than one'),
    ('msssim', dict(eval_examples=10), 'two samples of a class'),
    ('fid', dict(extractor='fmnist-cmm'), 'there are .*inception.* random'),
    ('fid', dict(extractor='classifier'), "no extractor 'classifier'"),
    ('modes', {}, 'gaussians'),
    ('fid9', {}, 'fid_infinity'),
])
def test_what_cannot_be_measured_is_refused(name, options, said, ruler):
  with pytest.raises(core.InputError, match=said) as e:
    evals.make(build(name, **{'extractor': ruler, **options}))
  assert '\n' not in str(e.value)


def test_few_examples_if_asked_for():
  game = build('fid,fid_infinity', extractor='random', eval_examples=60, eval_few=True)
  assert all(np.isfinite(v) for v in evals.make(game)(initial(game)).values())


@pytest.mark.parametrize('name', ['memorisation', 'cas'])
def test_the_training_split_is_not_held_out(name, ruler):
  with pytest.raises(core.InputError, match='--split=test'):
    evals.make(build(name, extractor=ruler), 'train')


def test_tokens_have_no_distance():
  with pytest.raises(core.InputError, match='is of pixels and points'):
    evals.make(build('sliced_wasserstein', 'text'))


def test_captions_are_asked_for(monkeypatch):
  c = config.variant(emoji_text.get_config(), 'smoke')
  c.mesh, words = 'data=1', np.array([[2, 3], [4, 0]], np.int32)
  game = run.build(c, data.Spec((8, 8, 3), words=('blue', 'green', 'red'), length=2))
  monkeypatch.setattr(run, 'held_out', lambda *_: {'x': None, 'condition': words})
  n, condition = evals.asked(game, 'test')
  assert n == 2 and condition is words


def test_labels_that_nobody_reads(measured):
  """Data with labels does not make a family ask for them: what is drawn has none then, and pairs are of any two, real ones as well."""
  given = {'none': build('msssim', condition='none'), 'concat': build('', condition='concat', mesh='data=8'), 'vae': build('', family='vae')}
  assert {name: evals.conditional(game) for name, game in given.items()} == {'none': False, 'concat': True, 'vae': False}
  for name in ('agreement', 'cas'):
    with pytest.raises(core.InputError, match='asked for a class'):
      evals.make(build(name, condition='none'))
  found = evals.make(given['none'])(initial(given['none']))
  assert found['msssim/validation'] < measured(seed=0)['msssim/validation'] - .01   # images of one class are more alike


# Draws

def test_broken_samples_end_the_run():
  fine = np.zeros((50, 28, 28, 1), np.float32)
  broken = fine.copy()
  broken[[3, 4, 40], 0, 0, 0] = np.nan, np.inf, -np.inf
  for x, said in ((broken, '3 of 50 samples are not finite'), (fine + 1.1, 'samples reach 1.1, beyond'), (fine[..., 0], 'samples of shape'),
                  (fine[:, :-1], r'\(27, 28, 1\), the data is \(28, 28, 1\)')):
    with pytest.raises(core.RunError, match=said):
      evals.collect([fine, x], None, mnist.SPEC, None, {'x'})
  points = np.full((5, 2), 7., np.float32)   # nothing bounds those
  np.testing.assert_array_equal(evals.collect([points], None, SPECS['gaussians'], None, {'x'}).x, points)


def test_an_extractor_sees_full_chunks_whatever_is_drawn(monkeypatch):
  """Or one that takes a minute for a chunk would take five for what a sampler gives at once."""
  calls = []
  def apply(params, x):
    jax.debug.callback(lambda x: calls.append(x.shape), x)
    return x.reshape(len(x), -1).astype('float32')[:, :3], None
  monkeypatch.setattr(evals, 'CHUNK', 100)
  x = np.random.default_rng(0).uniform(-1, 1, (230, 28, 28, 1)).astype(np.float32)
  drawn = [evals.collect(np.split(x, cuts), None, mnist.SPEC, extractors.Extractor('', 3, 0, apply, None), {'x', 'features', 'moments'})
           for cuts in ([], [10, 20, 100, 101, 229])]
  jax.effects_barrier()
  assert len(calls) == 6
  for a in drawn:
    np.testing.assert_array_equal(a.x, np.rint((x + 1) * 127.5))
    np.testing.assert_array_equal(a.features, a.x.reshape(230, -1)[:, :3])
    assert a.moments.count == 230 and a.logits is None and a.condition is None
    np.testing.assert_allclose(a.moments.covariance, np.cov(a.features, rowvar=False), rtol=1e-10)


# References

def refuse(*_):
  raise AssertionError('it was made again')


@pytest.fixture
def reference(tmp_path, monkeypatch, ruler):
  """(the features' file, a function that reads it)."""
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path))

  def read(split='validation', n=40, extractor=ruler):
    made = build('', extractor=extractor)
    return evals.real(made._replace(spec=data.make(made.config, split).spec), split, ('features', 'logits'), n)
  read()
  path, = (tmp_path / 'references').iterdir()
  return path, read


def test_features_are_read_again(reference, monkeypatch):
  path, read = reference
  first = read()
  monkeypatch.setattr(evals, 'collect', refuse)
  second = read()
  for name in ('features', 'logits', 'condition'):
    np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
  np.testing.assert_array_equal(first.condition, data.make(build('').config, 'validation').arrays['condition'][data.Plan(0, 500, 40)(0)])
  assert second.features.shape == (40, 16) and second.logits.shape == (40, 10) and second.moments.count == 40


def test_other_examples_are_other_files(reference, monkeypatch):
  path, read = reference
  files = lambda: len(list(path.parent.iterdir()))
  for i, options in enumerate([{}, dict(split='test'), dict(n=41), dict(extractor='random')]):
    read(**options)
    assert files() == i + 1
  make = data.make
  for change, options in ((lambda s: s._replace(checksum='other'), {}),
                          (lambda s: s._replace(spec=s.spec._replace(shape=(14, 56, 1))), dict(extractor='random'))):
    monkeypatch.setattr(data, 'make', lambda *a, change=change: change(make(*a)))
    read(**options)
  assert files() == 6


def test_damaged_references_are_named(reference):
  """Every flipped byte is noticed, but where the format says nothing with it."""
  path, read = reference
  whole, raw = read(), path.read_bytes()
  noticed, places = 0, [*range(0, len(raw), len(raw) // 60), *range(len(raw) - 400, len(raw), 7)]
  for damaged in (raw[:len(raw) // 2], b'', b'no zip', *(raw[:i] + bytes([raw[i] ^ 255]) + raw[i + 1:] for i in places)):
    path.write_bytes(damaged)
    try:
      np.testing.assert_array_equal(read().features, whole.features)
    except core.InputError as e:
      assert str(path) in str(e) and 'delete it' in str(e)
      noticed += 1
  assert noticed > .7 * len(places)
  path.unlink()
  np.testing.assert_array_equal(read().features, whole.features)


def test_references_of_something_else_are_named(reference):
  path, read = reference
  with np.load(path) as file:
    kept = dict(file)
  for change in ({'key': json.dumps({**json.loads(str(kept['key'])), 'split': 'test'})}, {'features': None}, {'key': None}):
    np.savez(path, **{k: v for k, v in {**kept, **change}.items() if v is not None})
    with pytest.raises(core.InputError, match='delete it, and it is made again') as e:
      read()
    assert str(path) in str(e.value)


def test_what_cas_knows_of_real_images_is_kept(tmp_path, monkeypatch):
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path))
  trained = []
  def trainer(*_):
    return lambda examples, test: (trained.append(len(examples[0])), (.5, len(examples[0]) / 1000))[1]
  monkeypatch.setattr(cas, 'trainer', trainer)
  game = build('cas', eval_examples=50)
  first = evals.make(game)(initial(game))
  tenth = trained[6]
  assert trained == [50, 50 + 10, 50 + tenth, 50 + 100, 50, 10, tenth, 100] and 10 <= tenth <= 15   # 1 % of 100 images is one a class all the same
  assert evals.make(game)(initial(game)) == first and trained[8:] == trained[:4]
  assert first['cas/real_1%_stderr'] == .01 and first['cas/augmented_100%_stderr'] == .15
