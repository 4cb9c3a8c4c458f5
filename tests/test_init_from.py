"""A run starts from what another has trained, where it fits, and can be replayed."""
import jax
import numpy as np
import pytest
from toys import close

from gen_jax import checkpoint, config, core, data, loop, manifest, replay, run
from gen_jax.modalities import text


def configured(family='vae', network='mlp', data_name='mnist', **options):
  roles = ('discriminator', 'generator') if family == 'gan' else ('model',)
  c = config.variant(config.base(data_name, family, network, **{role: dict(ema=.5) for role in roles}), 'smoke')
  c.update({'mesh': 'data=1', 'sample_every': 0, **options})
  return c


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('trained')
  loop.train(configured(), workdir)
  return str(workdir)


@pytest.mark.parametrize('seeds', [1, 2])
def test_a_run_starts_from_anothers_average(trained, seeds):
  c = configured(init_from=trained, seeds=seeds, seed=5)
  made = run.build(c, data.make(c, 'train').spec)
  state, (_, before) = run.initial(made), run.load(trained)
  for tree in (state.params['model'], state.ema['model']):
    close(tree, jax.tree.map(lambda x: np.broadcast_to(x, (seeds, *x.shape)) if seeds > 1 else x, before.ema['model']), 0)
  assert int(state.step) == 0


def test_what_is_new_is_told(trained, tmp_path, capsys):
  c = configured(init_from=trained)
  c.family.mixture = 3   # of the latents: a role that it has not
  c.unlock()
  c.roles.prior = c.roles.model
  loop.train(c.lock(), tmp_path)
  assert f"not in {trained}, so new: 3 arrays, as ['prior']" in capsys.readouterr().out


def test_it_is_replayed_and_another_start_is_told(trained, tmp_path, capsys):
  record = loop.train(configured(init_from=trained, seed=5), tmp_path)
  assert record['init_from'] == checkpoint.state_sha256(run.load(trained)[1])
  assert replay.main([f'--workdir={tmp_path}']) == 0
  manifest.write(tmp_path, {**record, 'init_from': '0' * 64, 'state_sha256': '0' * 64})
  assert replay.main([f'--workdir={tmp_path}']) == 1 and 'not the same: init_from: 000' in capsys.readouterr().out


def test_what_does_not_fit_is_refused(trained, tmp_path):
  build = lambda c: run.initial(run.build(c, data.make(c, 'train').spec))
  wider = configured(init_from=trained)
  wider.network.width = 12
  with pytest.raises(core.InputError, match=r"Dense_0'\]\['bias'\] is \(8,\) there, \(12,\) here"):
    build(wider)
  with pytest.raises(core.InputError, match='holds a vae with nothing that a gan has'):
    build(configured('gan', init_from=trained))
  with pytest.raises(core.InputError, match='is not a workdir'):
    build(configured(init_from=str(tmp_path)))


def test_text_goes_on_with_its_tokenizer(tmp_path):
  for name, letters in (('a', 'abcdef '), ('b', 'cab ')):
    (tmp_path / f'{name}.txt').write_text(letters * 500)

  def of(name, **options):
    c = configured('autoregressive', 'recurrent', 'text', **options)
    c.data.path, c.data.length = str(tmp_path / f'{name}.txt'), 9
    return c
  loop.train(of('a'), tmp_path / 'run')
  other = of('b', init_from=str(tmp_path / 'run'))
  with pytest.raises(core.InputError, match='has another tokenizer: --config.data.tokenizer='):
    loop.train(other, tmp_path / 'next')
  other.data.tokenizer = str(tmp_path / 'run')
  record = loop.train(other, tmp_path / 'next')
  assert record['spec']['tokenizer'] == manifest.read(tmp_path / 'run')['spec']['tokenizer']
  other.data.tokenizer = str(tmp_path)
  with pytest.raises(core.InputError, match='is no workdir of a run'):
    data.make(other, 'train')


def test_a_classifier_starts_from_what_has_read(monkeypatch):
  tokenizer = text.characters(['abc'], 0).to_str()
  spec = data.Spec((5,), bounded=False, modality='text', tokenizer=tokenizer)
  reader = run.build(configured('autoregressive', 'transformer', 'documents'), spec)
  state = run.initial(reader)
  monkeypatch.setattr(run, 'trained', lambda workdir: (reader, state, ''))
  made = run.build(configured('classifier', 'transformer', 'documents', init_from='there', seed=7), spec._replace(classes=3))
  params = run.initial(made).params['model']
  close(params['encoder'], state.params['model'], 0)
  assert params['head']['kernel'].shape == (8, 3)
