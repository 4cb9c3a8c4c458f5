"""A user's mistake is one line on stderr and exit code 2, and costs nothing; what ends a run is one line and 1."""
import fcntl
import json
import os
import pathlib
import shutil
import sys
import types

import numpy as np
import pytest
from PIL import Image
from processes import ROOT, SMALL, edit, finish, start

from configs import oracle_relgan
from gen_jax import blind, checkpoint, cli, core, data, evaluate, manifest, replay, run, sample, train
from gen_jax import config as configs
from gen_jax.data import mnist
from gen_jax.modalities import image, music, text

CONFIG = f'--config={ROOT}/configs/gaussians_gan.py:smoke'


@pytest.fixture
def fails(capsys):
  """fails(main, flags ..., code): the one line that it says."""
  def fails(main, *argv, code=2):
    capsys.readouterr()
    assert main([str(a) for a in argv]) == code
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and 'Traceback' not in line
    return line
  return fails


@pytest.fixture
def workdir(reference, tmp_path):
  return pathlib.Path(shutil.copytree(reference, tmp_path / 'run'))


@pytest.mark.parametrize('flags, said', [
    ([], '--config=FILE is missing'),
    (['--config=nowhere.py'], 'no config file nowhere.py'),
    ([f'--config={ROOT}/README.md'], 'error: '),
    ([CONFIG, '--forse'], "Did you mean: force"),
    ([CONFIG, 'more'], "'more' is not a flag"),
    ([CONFIG, '--distributed=here'], "HOST:PORT,PROCESSES,ID"),
    ([CONFIG, '--config.stepz=3'], 'Did you mean steps'),
    ([CONFIG, '--config.family.los=hinge'], 'Did you mean loss'),
    ([CONFIG, '--config.steps=x'], "--config.steps=x: invalid literal"),
    ([CONFIG, '--config.steps=-4'], 'steps=-4: must'),
    ([CONFIG, '--config.seed=-1'], 'seed=-1: must'),
    ([CONFIG, '--config.network.width=-3'], 'network.width=-3: must'),
    ([CONFIG, '--config.roles.generator.warmup=-1'], 'roles.generator.warmup=-1: must'),
    ([CONFIG, '--config.roles.generator.learning_rate=-1'], 'learning_rate=-1.0 is not in'),
    ([CONFIG, '--config.steps_per_dispatch=0'], 'steps_per_dispatch=0: must'),
    ([CONFIG, '--config.steps_per_dispatch=3'], 'does not divide steps=4'),
    ([CONFIG, '--config.batch_size=12'], 'does not divide over 8 devices'),
    ([CONFIG, '--config.batch_size=100008'], 'the training set has 100000'),
    ([CONFIG, '--config.mesh=data=16'], 'there are 8'),
    ([CONFIG, '--config.data.name=cats'], "no 'cats' in gen_jax/data: there are"),
    ([CONFIG, '--config.data.name=../../cats'], 'there are'),
    ([CONFIG, '--config.family.name=os'], "no 'os' in gen_jax/families: there are"),
    ([CONFIG, '--config.network.name=cnn9'], "no 'cnn9' in gen_jax/networks: there are"),
    ([CONFIG, '--config.evals=fid9'], "no 'fid9' in gen_jax/evals: there are"),
    ([CONFIG, '--config.family.loss=angry'], "loss='angry': there are"),
    ([CONFIG, '--config.family.condition=whim'], "condition='whim': there are"),
    ([CONFIG, '--config.family.clip_weights=-.1'], 'at least 0'),
    ([CONFIG, '--config.family.grow=9'], 'family.grow=9 is more than steps=4'),
    ([CONFIG, '--config.network.dtype=float33'], "network.dtype='float33': there are float32, bfloat16"),
    ([CONFIG, '--config.frozen.reference=nowhere'], 'config.reward.name is missing'),
    ([f'--config={ROOT}/configs/mnist_vae.py:smoke', '--config.family.beta=-1'], 'family.beta=-1.0'),
    ([f'--config={ROOT}/configs/fashion_mnist_gan.py:smoke', '--config.data.folder=nowhere'], 'nowhere'),
    ([f'--config={ROOT}/configs/folder_gan.py:smoke'], 'folder'),
])
def test_train_refuses(fails, tmp_path, flags, said):
  assert said in fails(train.main, f'--workdir={tmp_path}/run', *flags)
  assert not list((tmp_path / 'run').rglob('*.json'))   # the mistake mended, the same workdir is taken


@pytest.mark.parametrize('text, said', [
    ('def get_config(:', 'invalid syntax'), ('x = 1', 'get_config'), ('def get_config():\n  return 5', 'gives no config'),
    ('import nowhere', 'nowhere'),
    ('import ml_collections\ndef get_config():\n  return ml_collections.ConfigDict()', 'lacks seed'),
    ('from gen_jax.config import base\ndef get_config():\n  return base("cats", "gan", "mlp")', "no 'cats' in")])
def test_config_files_that_are_none(fails, tmp_path, text, said, monkeypatch):
  monkeypatch.delitem(sys.modules, 'config_config', raising=False)   # config_flags executes into what an earlier one left
  (tmp_path / 'config.py').write_text(text)
  assert said in fails(train.main, f'--workdir={tmp_path}/run', f'--config={tmp_path}/config.py')


@pytest.mark.parametrize('where', ['file', 'file/below', '/proc/run', ''])
def test_workdirs_that_cannot_be(fails, tmp_path, where):
  (tmp_path / 'file').write_text('mine')
  path = where and (where if where[0] == '/' else tmp_path / where)
  assert ('can not be written' if where else '--workdir is missing') in fails(train.main, CONFIG, f'--workdir={path}')
  assert (tmp_path / 'file').read_text() == 'mine'


def test_another_config_is_refused(fails, workdir, capsys):
  assert 'steps: 24 -> 4' in fails(train.main, CONFIG, f'--workdir={workdir}')
  flags = [*SMALL, f'--workdir={workdir}', '--config.family.loss=hinge']
  line = fails(train.main, *flags)
  assert 'family.loss: relativistic -> hinge' in line and '--force' in line
  before = (workdir / 'config.json').read_text()
  assert train.main([*flags, '--force']) == 0   # it is complete already
  assert 'is complete at step 24' in capsys.readouterr().out and (workdir / 'config.json').read_text() == before
  cosine = '--config.roles.generator.schedule=cosine'
  config = json.loads(before)
  config['roles']['generator']['schedule'] = 'cosine'
  (workdir / 'config.json').write_text(json.dumps(config))
  assert 'steps: 24 -> 48' in fails(train.main, *flags[:-1], '--config.steps=48', cosine)


def test_what_falls_over_the_steps_is_not_extended(fails, tmp_path):
  config = configs.variant(oracle_relgan.get_config(), 'smoke')
  configs.save(config, tmp_path / 'config.json')
  flags = ('--config=configs/oracle_relgan.py:smoke', f'--workdir={tmp_path}', f'--config.steps={2 * config.steps}')
  assert f'steps: {config.steps} -> {2 * config.steps}' in fails(train.main, *flags)


def test_other_data_are_refused(fails, workdir):
  longer = [*SMALL, f'--workdir={workdir}', '--config.steps=60']
  record = json.loads((workdir / 'manifest.json').read_text())
  for field, value in (('data', 'other'), ('spec', {**record['spec'], 'tokenizer': 'other'})):
    edit(workdir / 'manifest.json', **{field: value})
    assert 'was trained on other data than gaussians gives now' in fails(train.main, *longer)
    edit(workdir / 'manifest.json', **record)
  odd = ['--config.steps_per_dispatch=5', '--config.checkpoint_every=10', '--config.log_every=10', '--config.sample_every=10']
  assert 'at step 24, no multiple of steps_per_dispatch=5' in fails(train.main, *longer, *odd, '--force')
  assert checkpoint.steps(workdir / 'checkpoints') == [20, 24]


def test_two_runs_do_not_share_a_workdir(fails, workdir):
  fd = os.open(workdir, os.O_RDONLY)
  fcntl.flock(fd, fcntl.LOCK_EX)
  try:
    assert 'another process' in fails(train.main, CONFIG, f'--workdir={workdir}', '--force')
  finally:
    os.close(fd)


def test_nan_stops_and_a_sane_run_goes_on(fails, tmp_path, capsys):
  sane = [CONFIG, f'--workdir={tmp_path}', '--config.mesh=data=1', '--config.eval_every=0', '--config.evals=', '--config.sample_every=0',
          '--config.checkpoint_every=2', '--config.family.penalty=none']   # whose gradient takes the longest to compile
  assert train.main([*sane, '--config.steps=2']) == 0
  mad = [f'--config.roles.{role}.learning_rate=1e30' for role in ('discriminator', 'generator')]
  line = fails(train.main, *sane, *mad, '--force', code=1)
  assert 'step 3: generator/' in line and 'not finite' in line and f'the last good checkpoint is {tmp_path}/checkpoints/2;' in line
  assert checkpoint.steps(tmp_path / 'checkpoints') == [2]
  state = run.load(tmp_path)[1]
  assert all(np.isfinite(leaf).all() for leaf in checkpoint.leaves(state).values())
  assert train.main([*sane, '--force']) == 0
  assert json.loads((tmp_path / 'manifest.json').read_text())['changes'][-1] == 'step 2: roles.generator.learning_rate: 1e+30 -> 0.001'


def test_a_broken_update_is_not_saved(fails, tmp_path):
  line = fails(train.main, CONFIG, f'--workdir={tmp_path}', '--config.mesh=data=1', '--config.eval_every=0', '--config.evals=',
               '--config.sample_every=0', '--config.steps_per_dispatch=1', '--config.checkpoint_every=1',
               '--config.roles.generator.learning_rate=1e39', code=1)
  assert 'step 1: ema.generator' in line and 'there is no checkpoint yet' in line
  assert not list((tmp_path / 'checkpoints').iterdir())


@pytest.mark.parametrize('name', ['config.json', 'manifest.json'])
@pytest.mark.parametrize('content', ['', '{"steps": 2', '[]', '{}', '\0\0', '{"family": {"name": "../../evil"}, "spec": 3}'])
def test_corrupt_workdirs(fails, workdir, name, content):
  (workdir / name).write_text(content)
  for main, more in ((sample.main, [f'--out={workdir}/x.png']), (evaluate.main, []), (replay.main, [])):
    fails(main, f'--workdir={workdir}', *more)


def test_a_config_of_another_version_is_refused(fails, workdir):
  for part in ('frozen', 'data'):
    config = json.loads((workdir / 'config.json').read_text())
    name = sorted(config[part])[-1]
    (workdir / 'config.json').write_text(json.dumps({**config, part: {k: v for k, v in config[part].items() if k != name}}))
    assert f'lacks {part}.{name}: configs come from gen_jax.config.base, of this version' in fails(sample.main, f'--workdir={workdir}', '--out=x.png')
    (workdir / 'config.json').write_text(json.dumps(config))


def test_a_strangers_names_are_refused(fails, workdir):
  for part in ('family', 'network', 'data'):
    config = json.loads((workdir / 'config.json').read_text())
    for name in ('../../evil', 'os', 'gan.evil', ''):
      (workdir / 'config.json').write_text(json.dumps({**config, part: {**config[part], 'name': name}}))
      assert f'no {name!r} in gen_jax/' in fails(sample.main, f'--workdir={workdir}', f'--out={workdir}/x.png')
    (workdir / 'config.json').write_text(json.dumps(config))


def test_sample_refuses(fails, workdir, tmp_path, capsys):
  flags = [f'--workdir={workdir}', f'--out={tmp_path}/x.png']
  assert 'knows no classes' in fails(sample.main, *flags, '--label=0')
  assert 'knows no classes' in fails(sample.main, *flags, '--label=-2')
  assert 'at least 1' in fails(sample.main, *flags, '--num=0')
  assert 'ends in .png' in fails(sample.main, flags[0], '--out=x.txt')
  assert 'makes no text' in fails(sample.main, *flags, '--prompt=To be')
  assert '--out is missing' in fails(sample.main, flags[0])
  assert 'is not a workdir' in fails(sample.main, f'--workdir={tmp_path}/nowhere', flags[1])
  assert 'can not be written' in fails(sample.main, flags[0], f'--out={workdir}/config.json/x.png')
  assert sample.main([*flags, '--num=9']) == 0 and (tmp_path / 'x.png').exists()
  shutil.rmtree(workdir / 'checkpoints')
  assert 'no checkpoint yet' in fails(sample.main, *flags)


def as_if_trained(workdir, family, *roles, spec=mnist.SPEC, network='mlp', data_name='mnist', **options):
  config = configs.variant(configs.base(data_name, family, network, **{role: {} for role in roles}), 'smoke')
  config.mesh = 'data=1'
  config.family.update(options)
  made = run.build(config, spec)
  checkpoint.save(workdir / 'checkpoints', run.initial(made), 1)
  configs.save(made.config, workdir / 'config.json')
  manifest.write(workdir, {'spec': spec._asdict()})
  return f'--workdir={workdir}'


def test_labels_and_classifiers(fails, tmp_path):
  out = f'--out={tmp_path}/x.png'
  gan = as_if_trained(tmp_path / 'gan', 'gan', 'discriminator', 'generator')
  for label in (10, -2, 'shirt'):
    assert 'the classes are 0 to 9' in fails(sample.main, gan, out, f'--label={label}')
  assert 'trained without labels' in fails(sample.main, gan, out, '--label=3')
  assert 'done by diffusion families, and this is gan' in fails(sample.main, gan, out, '--edit=inpaint', '--image=x.png')
  assert 'no such field in the config' in fails(sample.main, gan, out, '--config.sample.steps=3')
  assert 'does not sample' in fails(sample.main, as_if_trained(tmp_path / 'classifier', 'classifier', 'model'), out)
  manifest.write(tmp_path / 'gan', {'spec': {**mnist.SPEC._asdict(), 'colour': 1}})
  assert 'is of another version' in fails(sample.main, gan, out)


def test_edits(fails, tmp_path):
  rng = np.random.default_rng(0)
  for name, shape in {'x': (28, 28), 'y': (28, 28), 'small': (7, 7), 'wide': (14, 28), 'colour': (28, 28, 3)}.items():
    Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8)).save(tmp_path / f'{name}.png')
  Image.fromarray(np.pad(np.full((14, 28), 255, np.uint8), ((0, 14), (0, 0)))).save(tmp_path / 'mask.png')
  file = lambda *names: ','.join(f'{tmp_path}/{name}.png' for name in names)
  flags = [as_if_trained(tmp_path / 'run', 'diffusion', 'model'), f'--out={tmp_path}/out.png', '--config.sample.steps=2', '--num=3', '--columns=4']
  said = lambda edit, *more: fails(sample.main, *flags, f'--edit={edit}', *more)
  assert 'there are inpaint' in said('paint')
  assert 'takes 1 files in --image, not 0' in said('vary')
  assert 'takes 2 files in --image, not 1' in said('interpolate', f'--image={file("x")}')
  assert 'cannot be read: No such file' in said('vary', f'--image={file("none")}')
  assert 'is 28x14, the model makes 28x28: resize it first' in said('vary', f'--image={file("wide")}')
  assert 'no whole multiple' in said('enlarge', f'--image={file("x")}')
  assert 'needs --mask' in said('inpaint', f'--image={file("x")}')
  assert '--mask is 7x7, --image 28x28' in said('inpaint', f'--image={file("x")}', f'--mask={file("small")}')
  assert 'not for x of shape (28, 28, 1)' in said('colour', f'--image={file("x")}')
  assert 'that draws nothing on the way' in said('interpolate', f'--image={file("x", "y")}', '--config.sample.sampler=ddpm')
  assert 'sample.guidance' in said('vary', f'--image={file("x")}', '--config.sample.guidance=2.')
  for name, *more in (('inpaint', file('x'), f'--mask={file("mask")}'), ('enlarge', file('small')), ('interpolate', file('x', 'colour'))):
    assert sample.main([*flags, f'--edit={name}', f'--image={more[0]}', *more[1:]]) == 0
    found = image.load(tmp_path / 'out.png')
    assert found.shape[0] == (114 if name == 'interpolate' else 56)   # three draws behind what is given, twice as large
    if name == 'inpaint':
      np.testing.assert_allclose(found[28:56:2, 58:114:2], image.load(tmp_path / 'x.png')[14:], atol=1e-6)


def test_a_translation(fails, tmp_path):
  pixels = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8)
  Image.fromarray(pixels).save(tmp_path / 'x.png')
  spec = mnist.SPEC._replace(classes=0, paired=True)
  flags = [as_if_trained(tmp_path / 'run', 'translation', 'discriminator', 'generator', spec=spec), f'--out={tmp_path}/out.png', '--columns=2']
  assert 'this run translates: --edit=translate' in fails(sample.main, *flags)
  assert 'takes 1 files in --image, not 0' in fails(sample.main, *flags, '--edit=translate')
  assert sample.main([*flags, '--edit=translate', f'--image={tmp_path}/x.png']) == 0
  found = image.load(tmp_path / 'out.png')
  assert found.shape == (56, 114, 1)   # side by side, twice as large
  np.testing.assert_array_equal(image.to_uint8(found[::2, :56:2, 0]), pixels)
  gan = as_if_trained(tmp_path / 'gan', 'gan', 'discriminator', 'generator')
  assert 'is of runs on pairs of images' in fails(sample.main, gan, flags[1], '--edit=translate', f'--image={tmp_path}/x.png')
  assert '--stop and --stream are of text' in fails(sample.main, gan, flags[1], '--stop=x')


def test_a_text(fails, tmp_path, capsys):
  spec = data.Spec((12,), bounded=False, modality='text', tokenizer=text.characters(['to be or not'], 0).to_str())
  run = as_if_trained(tmp_path / 'run', 'autoregressive', 'model', spec=spec, network='transformer', data_name='text')
  flags = [run, f'--out={tmp_path}/x.txt', '--num=3']
  with pytest.raises(core.InputError, match='text is of tokens, and the family diffusion is not'):
    as_if_trained(tmp_path / 'other', 'diffusion', 'model', spec=spec, data_name='text')
  assert "no tokens for 'Q'" in fails(sample.main, *flags, '--prompt=to Q')
  assert 'this run knows no captions' in fails(sample.main, *flags, '--caption=red heart')
  assert '--prompt has 12 tokens: with what follows the model sees 12' in fails(sample.main, *flags, '--prompt=to be or not')
  assert 'a file of text ends in .txt' in fails(sample.main, run, f'--out={tmp_path}/x.png')
  assert 'sample.top_p=2.0: must be in (0, 1]' in fails(sample.main, *flags, '--config.sample.top_p=2.')
  assert 'sample.temperature=inf: must be at least 0, and finite' in fails(sample.main, *flags, '--config.sample.temperature=inf')
  assert '--prompt is not UTF-8' in fails(sample.main, *flags, '--prompt=to \udcff')   # as Python has a byte that is none
  assert sample.main([*flags, '--prompt=to be']) == 0
  said = (tmp_path / 'x.txt').read_text().split(text.RULE)
  assert len(said) == 3 and all(one.startswith('to be') for one in said)
  capsys.readouterr()
  assert sample.main([*flags[:2], '--num=1', '--prompt=to be', '--stream=True']) == 0
  assert capsys.readouterr().out.startswith(said[0] + '\n')
  stop = said[0][5:].strip()[-1]
  assert sample.main([*flags[:2], '--num=1', '--prompt=to be', '--stream=True', f'--stop={stop}']) == 0
  assert (tmp_path / 'x.txt').read_text() == capsys.readouterr().out.split('1 samples')[0] == f'to be{said[0][5:].split(stop)[0]}\n'
  assert 'shows one text' in fails(sample.main, *flags, '--stream=True')


def test_texts_of_a_class_and_answers(fails, tmp_path, capsys):
  spec = data.Spec((12,), 2, False, modality='text', tokenizer=text.characters(['to be or not\n'], 0).to_str())
  classes = [as_if_trained(tmp_path / 'classes', 'autoregressive', 'model', spec=spec, network='transformer', data_name='documents', condition=True),
             f'--out={tmp_path}/x.txt', '--num=1', '--config.sample.temperature=0.']
  assert sample.main([*classes, '--prompt=to', '--label=1', '--stream=True']) == 0
  said = (tmp_path / 'x.txt').read_text()
  assert said.startswith('to') and capsys.readouterr().out.startswith(said)
  size, to = text.size(spec.tokenizer), text.tokens('to', spec.tokenizer).tolist()
  asked = lambda **flags: sample.begun(types.SimpleNamespace(**flags), run.load(tmp_path / 'classes')[0]).tolist()
  assert asked(num=2, label='1', prompt='to') == [[size + 1, *to]] * 2
  assert asked(num=3, label='', prompt='') == [[size], [size + 1], [size]]
  assert '--prompt has 13 tokens' in fails(sample.main, *classes, '--prompt=to be or not')
  spec = spec._replace(classes=0, between_turns=int(text.tokens('\n', spec.tokenizer)[0]))
  answers = [as_if_trained(tmp_path / 'answers', 'autoregressive', 'model', spec=spec, network='transformer', data_name='documents'), classes[1]]
  assert '--prompt is missing: this run answers one' in fails(sample.main, *answers)
  assert sample.main([*answers, '--prompt=to', '--num=2']) == 0
  assert all(one.startswith('to\n') for one in (tmp_path / 'x.txt').read_text().split(text.RULE))


def test_a_piece_of_music(fails, tmp_path, monkeypatch):
  config = configs.variant(configs.base('rolls', 'autoregressive', 'transformer', model={}), 'smoke')
  made = run.build(config, data.Spec((20,), bounded=False, modality='music', tokenizer='roll'))
  monkeypatch.setattr(run, 'load', lambda workdir, change: (made, core.TrainState(3, {}, {}, {}, {}, {})))
  monkeypatch.setattr(run, 'sampler', lambda one: lambda state, key, prompt_NxP, n: np.pad(prompt_NxP, ((0, 0), (0, 20 - prompt_NxP.shape[1]))))
  configs.save(made.config, tmp_path / 'config.json')
  begins, workdir, out = np.zeros((3, 88), bool), f'--workdir={tmp_path}', f'--out={tmp_path}/x.mid'
  begins[:, [40, 44]] = begins[1, 47] = True
  music.save(tmp_path / 'begins.musicxml', [music.from_roll(begins)], 1, 'roll')
  music.save(tmp_path / 'long.mid', [music.from_roll(begins.repeat(3, axis=0))], 1, 'roll')
  assert 'a file of music ends in .mid or .musicxml or .wav or .png' in fails(sample.main, workdir, f'--out={tmp_path}/x.txt')
  assert '--prompt has 31 tokens: with what follows the model sees 20' in fails(sample.main, workdir, out, f'--prompt={tmp_path}/long.mid')
  assert 'nowhere.mid can not be read' in fails(sample.main, workdir, out, f'--prompt={tmp_path}/nowhere.mid')
  assert sample.main([workdir, out, '--num=2', f'--prompt={tmp_path}/begins.musicxml']) == 0
  found = music.to_roll(music.prompt(tmp_path / 'x.mid', 'roll'))
  np.testing.assert_array_equal(found, np.concatenate([begins, np.zeros((5, 88)), begins]))


def test_evaluate_refuses(fails, workdir):
  assert 'names no evaluator' in fails(evaluate.main, f'--workdir={workdir}')
  assert "no 'fid9' in" in fails(evaluate.main, f'--workdir={workdir}', '--config.evals=fid9')
  assert 'no such field in the config: seed' in fails(evaluate.main, f'--workdir={workdir}', '--config.seed=3')
  assert "split='train2': there are" in fails(evaluate.main, f'--workdir={workdir}', '--config.evals=score', '--split=train2')
  assert '--workdir is missing' in fails(evaluate.main, '--config.evals=score')
  two = [f'--workdir={workdir}', f'--workdir={workdir}/nowhere', '--config.evals=modes']
  assert 'nowhere is not a workdir' in fails(evaluate.main, *two, f'--out={workdir}/both')
  assert '--out=DIR is missing' in fails(evaluate.main, *two[:1], *two[:1], two[2])
  assert 'can not be written' in fails(evaluate.main, two[0], two[2], f'--out={workdir}/config.json/both')
  assert not list(workdir.glob('**/report.*'))


def test_blind_refuses(fails, workdir, tmp_path):
  page = f'--out={tmp_path}/page.html'
  assert '--workdir and --out, or --score' in fails(blind.main)
  assert '--workdir and --out, or --score' in fails(blind.main, f'--workdir={workdir}', '--score=x.json')
  assert '--out is missing' in fails(blind.main, f'--workdir={workdir}')
  assert 'ends in .html' in fails(blind.main, f'--workdir={workdir}', '--out=x.png')
  assert 'at least 1' in fails(blind.main, f'--workdir={workdir}', page, '--pairs=0')
  assert 'for images' in fails(blind.main, f'--workdir={workdir}', page)
  assert 'cannot be read' in fails(blind.main, f'--score={tmp_path}/nowhere.json')
  for content in ('', '{', '[]', '{"judgements": []}', '{"judgements": 3}', '{"judgements": [{"chosen": "left"}]}', '{"judgements": ["left"]}',
                  '\xff', '{"judgements": [{"chosen": "left", "real": "up"}]}', '{"judgements": [{"chosen": [], "real": {}}]}',
                  '{"judgements": {"a": 1}}'):
    (tmp_path / 'judgements.json').write_bytes(content.encode('latin-1'))
    assert 'no judgements.json' in fails(blind.main, f'--score={tmp_path}/judgements.json')


def test_replay_refuses_what_is_not_finished(fails, workdir, tmp_path):
  assert 'is not a workdir' in fails(replay.main, f'--workdir={tmp_path}/nowhere')
  edit(workdir / 'manifest.json', state_sha256=None)
  assert 'not a finished run' in fails(replay.main, f'--workdir={workdir}')


def test_usage(capsys):
  for verb in cli.VERBS:
    with pytest.raises(SystemExit) as e:
      cli.main([verb, '--help'])
    assert e.value.code == 0 and f'gen_jax.{verb}' in capsys.readouterr().out
  assert cli.main(['--help']) == 0 and 'train|sample' in capsys.readouterr().out


def test_unknown_verbs(fails):
  assert "'trian' is not a verb: there are train" in fails(cli.main, 'trian')
  fails(cli.main)


def test_in_a_process(tmp_path):
  process = start('train', CONFIG, '--workdir=/proc/run')
  assert finish(process, 2)[1] == 'error: the workdir /proc/run can not be written: No such file or directory\n'
