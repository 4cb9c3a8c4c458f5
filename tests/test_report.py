"""Reports: what is set in bold, what is escaped, what the pictures show, and that a page needs nothing but itself."""
import base64
import io
import json
import math
import pathlib
import re
import shutil

import jax
import numpy as np
import pytest
from PIL import Image
from toys import KEYS

from gen_jax import config as configs
from gen_jax import core, data, evaluate, pictures, report, run
from gen_jax.data import mnist
from gen_jax.modalities import music, text


def built(family, spec=mnist.SPEC, **options):
  roles = dict.fromkeys({'gan': ('discriminator', 'generator'), 'vae': ('model',)}[family], {})
  config = configs.variant(configs.base('mnist' if spec is mnist.SPEC else 'gaussians', family, 'mlp', **roles), 'smoke')
  config.mesh = 'data=1'
  config.update_from_flattened_dict(options)
  return run.build(config, spec)


def shown(html):
  """The pictures of a page."""
  return [Image.open(io.BytesIO(base64.b64decode(raw))) for raw in re.findall(r'src="data:image/png;base64,([^"]*)"', html)]


def stands_alone(html):
  assert not re.search(r'(src|href)\s*=\s*["\']?(?!data:|#|["\'])', html) and '@import' not in html and 'url(' not in html


@pytest.fixture
def one():
  return {'workdir': 'runs/a', 'step': 5, 'state_sha256': 'ab', 'split': 'test', 'examples': 9, 'against': 8, 'rows': [], 'pictures': [],
          'metrics': {'kid@random:1a2b': {'mean': .5, 'stderr': .01}, 'fid@random:1a2b': {'mean': 3.}},
          'config': {'seed': 0, 'seeds': 1, 'data': {'name': 'mnist'}, 'family': {'name': 'gan'}, 'network': {'name': 'mlp'}}, 'manifest': {}}


def test_a_run_of_points(reference, tmp_path, capsys):
  workdirs = [pathlib.Path(shutil.copytree(reference, tmp_path / name)) for name in 'ab']
  flags = [f'--workdir={workdirs[0]}', '--config.evals=score,modes', '--config.mesh=data=1']
  assert evaluate.main(flags) == 0
  found, = json.loads((workdirs[0] / 'report.json').read_text())['runs']
  assert set(found) == {'workdir', 'step', 'state_sha256', 'split', 'examples', 'against', 'metrics'} and found['step'] == 24
  assert set(found['metrics']) >= {'score/discriminator/test', 'modes/covered'} and not any('stderr' in name for name in found['metrics'])
  assert found['metrics']['score/discriminator/test']['stderr'] > 0 and 'stderr' not in found['metrics']['modes/covered']
  html = (workdirs[0] / 'report.html').read_text()
  stands_alone(html)
  images = shown(html)
  assert len(images) == 4 and all(image.format == 'PNG' and min(image.size) > 100 for image in images)   # no neighbours of points
  assert [title in html for title in ('Samples', 'Interpolations', 'Latent traversals', 'Training', 'Nearest')] == [True] * 4 + [False]
  assert evaluate.main([*(f'--workdir={w}' for w in workdirs), f'--out={tmp_path}/both', '--config.evals=modes', '--config.mesh=data=1']) == 0
  both = json.loads((tmp_path / 'both' / 'report.json').read_text())['runs']
  assert [r['workdir'] for r in both] == list(map(str, workdirs)) and both[0]['metrics'] == both[1]['metrics'] == {
      name: entry for name, entry in found['metrics'].items() if name.startswith('modes')}
  html = (tmp_path / 'both' / 'report.html').read_text()
  stands_alone(html)
  assert 'Comparison' in html and '<b>' not in html and len(shown(html)) == 8   # equals are not told apart
  assert json.loads((workdirs[0] / 'report.json').read_text())['runs'] == [found]


@pytest.mark.parametrize('name, entries, best', [
    ('kid', [(.5, .03), (.4, .04)], 1),                       # the errors together are .05
    ('kid', [(.449, .03), (.4, .04)], None),
    ('kid@random:1a2b3c4d', [(.5, .03), (.4, .04), (.44, .01)], None),
    ('prdc/recall@x:1', [(.5, .03), (.4, .04)], 0),
    ('score/elbo/test', [(-100., 1), (-98., 1)], 1),
    ('score/elbo/train', [(-100., 1), (-98., 1)], None),      # what is learnt by heart is not better
    ('score/discriminator/test', [(1., .1), (9., .1)], None),
    ('memorisation/nearer_to_train@x:1', [(.1, .01), (.9, .01)], None),
    ('kid', [(.5, .03), (.4, None)], None), ('fid', [(.5, None), (.4, None)], None),
    ('kid', [(float('nan'), .03), (.4, .04)], None), ('kid', [(.4, .03), (.5, float('nan'))], None)])
def test_bold(name, entries, best):
  entries = [{'mean': mean} | ({} if error is None else {'stderr': error}) for mean, error in entries]
  assert report.best(name, entries) == best
  assert report.best(name, entries[::-1]) == (None if best is None else len(entries) - 1 - best)


def test_every_metric_of_samples_against_real_ones_has_a_direction():
  for name in ('fid@inception:1', 'fid_infinity', 'kid', 'modes/kl', 'classes/kl@x:1', 'sliced_wasserstein'):
    assert report.direction(name) == -1
  for name in ('prdc/density', 'inception_score@x:1', 'score/iwae_64/test', 'score/accuracy/validation', 'agreement/samples@x:1', 'modes/covered'):
    assert report.direction(name) == 1
  assert report.direction('agreement/test') == report.direction('score/kl/test') == report.direction('fidelity') == 0


def test_numbers():
  assert report.number(-102.6804, .3199) == '-102.68 ± 0.32' and report.number(.97812, .0047) == '0.9781 ± 0.0047'
  assert report.number(12345.6) == '12,346' and report.number(.012345) == '0.01235' and report.number(1., 0.) == '1.0000 ± 0.0000'
  assert report.number(float('inf')) == 'inf' and report.number(2., float('nan')) == '2'


def test_the_comparison(one):
  better = {**one, 'workdir': 'runs/b', 'metrics': {'kid@random:1a2b': {'mean': .4, 'stderr': .01}, 'score/kl/test': {'mean': 1.}}}
  html = report.html([one, better])
  table = html[:html.index('<section')]
  assert '<b>0.400 ± 0.010</b>' in table and table.count('<b>') == 1 and '@random:1a2b' in table and 'fid' not in table
  other = {**better, 'manifest': {'data': 'another'}}
  assert '<b>' not in report.html([one, other]) and 'different data' in report.html([one, other])
  before = {**better, 'manifest': {**one['manifest'], 'spec': {'shape': (one['manifest'].get('spec') or {}).get('shape')}}}   # of fewer fields
  assert '<b>0.400' in report.html([one, before])
  assert 'no metric in common' in report.html([one, {**one, 'metrics': {}}])


def test_a_strangers_names_do_not_reach_the_page(one):
  evil = '</pre><script x>"\'&'
  for field in ('workdir', 'state_sha256', 'split'):
    one[field] = evil
  one |= {'metrics': {f'{evil}@{evil}': {'mean': 1., 'stderr': .1}}, 'manifest': {evil: evil}, 'rows': [{'step': 1, evil: 1.}],
          'pictures': [{'title': evil, 'caption': evil, 'png': b'x'}]}
  one['config'] |= {'family': {'name': evil}, 'network': {'name': evil}, 'data': {'name': evil}}
  for runs in ([one], [one, one]):
    html = report.html(runs)
    assert '<script' not in html and html.count('</pre>') == 2 * len(runs) and '&lt;script' in html
    stands_alone(html)


def test_slerp_stays_on_the_sphere():
  a, b = np.random.default_rng(0).standard_normal((2, 5, 16)).astype(np.float32)
  t = np.linspace(0, 1, 9, dtype=np.float32)
  unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
  between = pictures.slerp(unit(a), unit(b), t)
  np.testing.assert_allclose(np.linalg.norm(between, axis=-1), 1, atol=1e-5)
  angles = np.arccos((between[:, :-1] * between[:, 1:]).sum(-1).clip(-1, 1))   # equal steps
  np.testing.assert_allclose(angles, np.broadcast_to(angles.mean(1, keepdims=True), angles.shape), atol=2e-3)
  np.testing.assert_allclose(pictures.slerp(a, b, t)[:, [0, -1]], np.stack([a, b], 1), atol=1e-5)
  np.testing.assert_allclose(pictures.slerp(a, 3 * a, t)[:, 4], 2 * a, rtol=1e-5)   # of no angle: a straight line
  assert np.isfinite(pictures.slerp(0 * a, b, t)).all() and np.isfinite(pictures.slerp(a, -a, t)).all()


LAYOUT = {'seeds': 2, 'mesh': 'seed=2,data=2'}


@pytest.mark.parametrize('family, options', [('gan', {'family.condition': 'concat'}), ('vae', {'family.condition': True}), ('gan', LAYOUT),
                                             ('vae', {'family.posterior': 'deterministic'} | LAYOUT)], ids=str)
def test_a_sample_is_a_decoded_draw_of_the_prior(family, options):
  game = built(family, **options)
  state = run.initial(game)
  keys = core.per_example(jax.random.key(0, impl=KEYS), np.arange(4))
  condition, keys = run.for_seeds(game, np.array([0, 3, 3, 9])), jax.numpy.stack([keys, keys]) if game.family.seeds else keys

  @jax.jit
  def found(state, keys, condition):
    keys = jax.random.clone(keys)   # both are to be of the same
    return game.family.sample(state, keys, condition), game.family.prior(state, jax.random.clone(keys))
  x, z = found(state, keys, condition)
  assert z.shape[-2:] == (4, game.config.family.latent)
  np.testing.assert_array_equal(x, jax.jit(game.family.decode)(state, z, condition))


@pytest.fixture
def images(tmp_path, monkeypatch):
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path))
  monkeypatch.setattr(pictures, 'SEARCHED', 1100)
  return built('gan', **{'family.condition': 'concat', 'evals': 'prdc', 'frozen.extractor': 'random', 'family.latent': 8})


def test_a_run_of_images(images):
  state = run.initial(images)
  found = pictures.make(images, state)
  assert [p['title'] for p in found] == ['Samples', 'Nearest training images', 'Interpolations', 'Latent traversals']
  sizes = [Image.open(io.BytesIO(p['png'])).size for p in found]
  grid = lambda columns, rows: (columns * 58 - 2, rows * 58 - 2)
  assert sizes == [grid(2, 10), grid(10, 4), grid(11, 10), grid(11, 6)]
  assert 'One class a row' in found[0]['caption'] and 'features of random:' in found[1]['caption'] and 'class 5' in found[3]['caption']
  plain = built('vae', **{'seeds': 2, 'family.latent': 3})
  found = pictures.make(plain, run.initial(plain))
  assert pictures.make(plain, run.initial(plain)) == found
  assert 'One class' not in found[0]['caption'] + found[2]['caption'] and 'pixels' in found[1]['caption']
  assert Image.open(io.BytesIO(found[3]['png'])).size == grid(11, 3)


@pytest.mark.parametrize('evals', ['prdc', ''])
def test_training_images_are_their_own_neighbours(images, evals):
  images.config.evals = evals
  source = data.make(images.config, 'train')
  x = data.normalise(source.take(data.Plan(0, source.size, 1100)(0)[995:1015]))['x']   # of both parts of the search
  shown = pictures.neighbours(images, x)
  assert shown['caption'].count('99.00') == 20   # of copies
  pixels = np.asarray(Image.open(io.BytesIO(shown['png'])))
  rows = [pixels[i * 58:i * 58 + 56] for i in range(4)]
  np.testing.assert_array_equal(rows[0], rows[1])
  np.testing.assert_array_equal(rows[2], rows[3])
  assert (rows[0] != rows[2]).any()


def test_what_has_no_pictures():
  spec = data.Spec((3,), bounded=False)
  assert pictures.make(built('gan', spec), None) == []


def test_a_report_is_json_whatever_the_numbers():
  content = {'kl': {'mean': math.inf, 'seeds': [1., math.nan]}, 'covered': 0}
  assert evaluate.finite(content) == {'kl': {'mean': None, 'seeds': [1., None]}, 'covered': 0}


def test_what_a_run_writes(one, tmp_path):
  (tmp_path / 'x.txt').write_text('<b>to be & not</b> ' * 60)
  config = configs.variant(configs.base('text', 'autoregressive', 'transformer', model={}), 'smoke')
  config.data.path, config.data.length, config.mesh = str(tmp_path / 'x.txt'), 17, 'data=1'
  made = run.build(config, data.make(config, 'train').spec)
  entry, = pictures.make(made, run.initial(made))
  said = entry['text'].split(text.RULE)
  prompts = text.texts(run.grid_conditions(made)[1], made.spec.tokenizer)
  assert len(said) == len(prompts) and all(a.startswith(b) for a, b in zip(said, prompts))
  x = np.full((3, 17), 5)
  x[0, 2] = x[1, 0] = x[2, 3] = text.END   # what is before an END is another text
  np.testing.assert_array_equal(run.prompts(made.spec, x), [[text.END, 5, 0, 0], [text.END, 5, 5, 5], [text.END, 0, 0, 0]])
  html = report.html([{**one, 'pictures': [entry]}])
  assert '&lt;' in html and '<b>' not in html and 'first 4 tokens' in html


def test_what_a_run_of_music_plays(monkeypatch):
  spec = data.Spec((17,), bounded=False, modality='music', tokenizer='voices')
  x = np.tile(music.from_grid(music.PITCH + np.array([[72, 67, 60, 48]] * 4)), (3, 1))
  monkeypatch.setattr(run, 'grid_conditions', lambda one: (3, x[:, :4]))
  monkeypatch.setattr(run, 'sampler', lambda one: lambda state, key, prompt_NxP, n: x)
  config = configs.variant(configs.base('chorales', 'autoregressive', 'transformer', model={}), 'smoke')
  entry, = pictures.make(run.build(config, spec), None)
  assert Image.open(io.BytesIO(entry['png'])).size[0] == 4 * 8 and 'first 4 tokens of a held-out piece' in entry['caption']
