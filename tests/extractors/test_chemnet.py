"""ChemNet against the package fcd's, on weights drawn by name (experiments/parity/chemnet.py), as the ruler of a run on molecules, and refusals."""
import hashlib
import json
import pathlib
import zipfile

import numpy as np
import pytest
from evals import inputs
from ml_collections import ConfigDict

from gen_jax import config, core, data, evals, extractors, run
from gen_jax.extractors import chemnet
from gen_jax.modalities import text

RECORDED = json.loads((pathlib.Path(__file__).parent / 'chemnet.json').read_text())
OWN = ['CCO', 'c1ccccc1', 'OCC', 'CC(C)Cl', 'C[Si](C)C', 'CO', 'CN', 'CC#N', 'CCCO', 'BrCC',
       'CCF', 'N#N', 'C=O', 'C' * 16]   # held out, as CN is, by their hashes


@pytest.fixture
def fetched(tmp_path, monkeypatch):
  """A data directory with drawn weights, in a file as PyTorch's, and molecules."""
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path))
  path = chemnet.directory() / chemnet.FILE
  path.parent.mkdir()
  drawn = {name: x.T for name, x in inputs.chemnet().items()}
  with zipfile.ZipFile(path, 'w') as parts:
    for i, x in enumerate(drawn.values()):
      parts.writestr(f'{path.stem}/data/{i}', x.tobytes())
  monkeypatch.setattr(chemnet, 'TENSORS', {name: x.shape for name, x in drawn.items()})
  monkeypatch.setattr(chemnet, 'SHA256', hashlib.sha256(path.read_bytes()).hexdigest())
  (tmp_path / 'own.smi').write_text('\n'.join(OWN * 20))
  chemnet.read.cache_clear()
  extractors.make.cache_clear()
  yield path
  chemnet.read.cache_clear()
  extractors.make.cache_clear()


def build(names, **options):
  c = ConfigDict(config.variant(config.base('molecules', 'autoregressive', 'transformer', model={}), 'smoke'))
  c.data.path = str(data.directory() / 'own.smi')
  c.network.width = 16
  c.update({'evals': names, 'eval_examples': 18, 'eval_few': True, 'mesh': 'data=1', **options})
  return run.build(c.lock(), data.make(c, 'train').spec)


def tokens(said, spec):
  rows = [np.array([text.END, *text.tokens(one, spec.tokenizer), text.END]) for one in said]
  return np.array([np.pad(row, (0, spec.shape[0] - len(row))) for row in rows])


def test_the_network_is_fcds(fetched):
  wanted, seen = np.array(RECORDED['drawn']), chemnet.symbols(inputs.SMILES)
  assert wanted.std(0).mean() > .05 * wanted.std()   # the molecules are told apart
  features, logits = chemnet.run(chemnet.read(chemnet.directory())[0], seen)
  assert features.dtype == np.float32 and logits is None
  np.testing.assert_allclose(features, wanted, rtol=0, atol=1e-5)


def test_the_public_model_is_fcds():
  if not chemnet.directory().exists():
    pytest.skip('python -m gen_jax.fetch chemnet')
  weights, name = chemnet.read(chemnet.directory())
  assert name == 'chemnet:c22e9776'
  found = chemnet.run(weights, chemnet.symbols(inputs.SMILES))[0]
  assert found.shape == (len(inputs.SMILES), 512)
  np.testing.assert_allclose(found[:, ::RECORDED['stride']], RECORDED['public'], rtol=0, atol=1e-5 * np.abs(RECORDED['public']).max())


def test_molecules_are_spelled_in_symbols():
  seen = chemnet.symbols(['OCC', 'c1', 'Cl', '[Na+]', '', 'C' * 349, 'C' * 350])   # without what is no molecule, or too long
  said = [''.join(chemnet.SYMBOLS[i] for i in row if i != chemnet.NONE) for row in seen]
  assert said == ['CCO.', 'Cl.', '[NX+].', 'C' * 349 + '.'] and seen.shape == (4, 350)
  assert len(chemnet.SYMBOLS) == 35 and chemnet.symbols(['c1', '']).shape == (0, 350)


def test_metrics_of_a_run_on_molecules(fetched):
  made = build('fid,kid,prdc,memorisation')
  name = f'chemnet:{chemnet.SHA256[:8]}'
  used = evals.extractor(made)
  assert (used.name, used.size, used.classes) == (name, 16, 0)
  # What is no molecule is left out of the features alone.
  x = tokens(['CCO', 'c1', 'OCC', 'C(', 'CN'], made.spec)
  found = evals.collect([x], None, made.spec, used, ('features', 'moments', 'x'))
  assert found.features.shape == (3, 16) and found.moments.count == 3 and len(found.x) == 5
  np.testing.assert_array_equal(found.features[0], found.features[1])
  none = evals.collect([x[1:2]], None, made.spec, used, ('features', 'moments'))
  assert none.features.shape == (0, 16) and none.moments.count == 0
  # So the numbers of a set of molecules are those of the set with others that are none, and NaN of none.
  held_out = evals.real(made, 'validation', ('x',)).x
  more = evals.collect([x[1:2], held_out, x[3:4]], None, made.spec, used, ('features', 'moments'))
  for evaluator, module in evals.named(made.config).items():
    evaluate, real = module.make(made, 'validation'), evals.real(made, 'validation', ('features', 'moments'))
    measured = [evaluate(None, draw) for draw in (real, more, none)]
    assert measured[0].keys() == measured[1].keys() == measured[2].keys()
    for key, value in measured[0].items():
      np.testing.assert_allclose(measured[1][key], value, rtol=1e-6, atol=1e-8, err_msg=f'{evaluator} {key}')
      assert np.isnan(measured[2][key]).all()
    if evaluator == 'fid':
      assert abs(measured[0]['fid']) < 1e-8
  assert any(key == f'fid@{name}' for key in evals.make(build('fid'))(run.initial(made)))
  assert evals.few(build('fid', eval_few=False), evals.no_moments(16)._replace(count=16))


def refused(f, *args):
  with pytest.raises(core.InputError) as e:
    f(*args)
  assert '\n' not in str(e.value)
  return str(e.value)


def test_what_cannot_be_is_refused(fetched):
  assert 'chemnet is for molecules, not image' in refused(chemnet.make, data.Spec((8, 8, 1)))
  assert 'some are no molecules' in refused(evals.make, build('fid_infinity'))
  made = build('fid')
  fetched.write_bytes(fetched.read_bytes() + b'?')
  assert refused(evals.make, made) == f'{fetched} is not what it should be (sha256): python -m gen_jax.fetch chemnet'
  fetched.unlink()
  assert refused(evals.make, made) == f'{fetched} is missing: python -m gen_jax.fetch chemnet'
