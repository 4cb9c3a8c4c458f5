"""Metrics of molecules whose answers are known."""
import numpy as np
import pytest
from ml_collections import ConfigDict

from gen_jax import config, core, data, evals, run
from gen_jax.evals import molecules
from gen_jax.modalities import molecule, text
from gen_jax.rewards import qed

TRAIN = ['CCO', 'c1ccccc1', 'CCN', 'CCC', 'CCCl', 'CO', 'CN', 'CCCC', 'CCCO', 'CCCN'] * 4
HELD_OUT = ['CCF', 'N#N', 'C' * 7]   # and CN, by their hashes


@pytest.fixture
def made(tmp_path):
  return build(tmp_path / 'own.smi', TRAIN)


def build(path, lines):
  path.write_text('\n'.join(lines + HELD_OUT))
  c = ConfigDict(config.variant(config.base('molecules', 'autoregressive', 'transformer', model={}), 'smoke'))
  c.data.path, c.mesh = str(path), 'data=1'
  return run.build(c.lock(), data.make(c, 'train').spec)


def tokens(said, spec):
  rows = [np.array([text.END, *text.tokens(one, spec.tokenizer), text.END])[:spec.shape[0]] for one in said]
  return np.array([np.pad(row, (0, spec.shape[0] - len(row))) for row in rows])


def test_valid_unique_novel_and_how_far(made):
  evaluate = molecules.make(made, 'test')
  found = evaluate(None, evals.Draw(None, x=tokens(['CCO', 'OCC', 'CCl', 'c1', 'CCC', '', 'CCN', 'CCN'], made.spec)))
  assert found['valid'][0] == 6 / 8 and found['valid'][1] == pytest.approx((.75 * .25 / 8)**.5)
  assert found['unique'] == 4 / 6 and found['novel'][0] == 1 / 4   # CCO CCl CCC CCN; CCl alone is new
  held_out = evals.real(made, 'test', ('x',)).x
  same = evaluate(None, evals.Draw(None, x=held_out))
  assert same['valid'][0] == 1 and same['novel'][0] == 1 and same['qed/distance'] == same['logp/distance'] == 0
  assert same['qed/samples'] == same['qed/test'] and found['logp/distance'] > 0
  nothing = evaluate(None, evals.Draw(None, x=tokens(['c1', ''], made.spec)))
  assert nothing.keys() == found.keys() and nothing['valid'] == (0, 0) and np.isnan(nothing['unique'])


def test_a_molecule_is_the_same_however_it_is_spelled(tmp_path):
  made = build(tmp_path / 'spelled.smi', ['OCC', 'NCC', 'C(C)O', 'ClC', 'CC'] * 8)   # all to train on
  evaluate = molecules.make(made, 'test')
  found = evaluate(None, evals.Draw(None, x=tokens(['OCC', 'CCO', 'CCl', 'CCC'], made.spec)))
  assert found['novel'][0] == 1 / 3


def test_the_published_values_of_aspirin(made):
  """QED .550 (RDKit's documentation, for this SMILES) and logP 1.3101 (Wildman and Crippen's method)."""
  found = molecules.properties(molecule.parsed(['CC(=O)Oc1ccccc1C(=O)O']))
  assert found['qed'][0] == pytest.approx(.55, abs=.01) and found['logp'][0] == pytest.approx(1.3101, abs=1e-4)
  reward = qed.make(None, made.spec)(tokens(['CCO', 'c1'], made.spec))
  assert reward.tolist() == [molecules.properties(molecule.parsed(['CCO']))['qed'][0], 0]


def test_they_are_of_molecules():
  spec = data.Spec((28, 28, 1), 10)
  c = config.variant(config.base('mnist', 'vae', 'mlp', model={}), 'smoke')
  with pytest.raises(core.InputError, match='is of molecules'):
    molecules.make(run.build(c, spec), 'test')
  with pytest.raises(core.InputError, match='is of molecules'):
    qed.make(None, spec)
