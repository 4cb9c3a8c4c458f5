"""Generated molecules: how many are valid, unique and novel, and how far their properties are from held-out ones'.

valid: what RDKit reads; unique: of the valid ones, those that differ; novel: of the different ones, those not in the training set (Polykovskiy et al.
2020, https://arxiv.org/abs/1811.12823). Drug-likeness (QED, Bickerton et al. 2012) and logP (Wildman and Crippen 1999) by Wasserstein-1 distance.

Of MOSES, training molecules are compared as they are written, nearly all as RDKit writes them. unique and novel fall with eval_examples.
"""
import numpy as np

from gen_jax import core, data, evals
from gen_jax.modalities import molecule, text

NEEDS = ('x',)


def make(run, split):
  if run.spec.modality != 'molecule':
    raise core.InputError('molecules is of molecules: leave it out of config.evals')
  read = lambda x: text.texts(x, run.spec.tokenizer)
  source = data.make(run.config, 'train')

  def tokens(said):
    """SMILES as the data holds them, those cut that are longer."""
    rows = np.full((len(said), run.spec.shape[0]), text.NOTHING, np.uint16)
    for row, one in zip(rows, said):
      given = np.array([text.END, *text.tokens(one, run.spec.tokenizer), text.END])[:len(row)]
      row[:len(given)] = given
    return rows
  every = source.take(np.arange(source.size))['x']
  if run.config.data.path:   # spelled as anyone likes
    Chem = molecule.chemistry()
    every = tokens([Chem.MolToSmiles(one) for one in molecule.parsed(read(every))])
  known = {bytes(row) for row in every.astype(np.uint16)}   # as tokens: reading a million texts takes long
  real = properties(molecule.parsed(read(evals.real(run, split, NEEDS).x)))

  def evaluate(state, samples):
    from scipy.stats import wasserstein_distance  # slow to import
    Chem, n = molecule.chemistry(), len(samples.x)
    found = [one for one in molecule.parsed(read(samples.x)) if one is not None]
    distinct = {Chem.MolToSmiles(one) for one in found}
    if not found:   # early in training
      nothing = dict.fromkeys((f'{kind}/{what}' for kind in real for what in ('distance', 'samples')), float('nan'))
      return {'valid': (0., 0.), 'unique': float('nan'), 'novel': (float('nan'),) * 2, **nothing,
              **{f'{kind}/{split}': float(np.mean(real[kind])) for kind in real}}
    valid = len(found) / n
    novel = [bytes(row) not in known for row in tokens(sorted(distinct))]
    made = properties(found)
    return {'valid': (valid, (valid * (1 - valid) / n)**.5), 'unique': len(distinct) / len(found),
            'novel': (float(np.mean(novel)), float(np.std(novel) / len(novel)**.5)),
            **{name: value for kind in real for name, value in (
                (f'{kind}/distance', float(wasserstein_distance(made[kind], real[kind]))), (f'{kind}/samples', float(np.mean(made[kind]))),
                (f'{kind}/{split}', float(np.mean(real[kind]))))}}
  return evaluate


def properties(found) -> dict[str, list[float]]:
  """Of each molecule, {'qed': in [0, 1], 'logp': of how much dissolves in octanol over water}."""
  from rdkit.Chem import QED, Crippen
  return {'qed': [QED.qed(one) for one in found], 'logp': [Crippen.MolLogP(one) for one in found]}
