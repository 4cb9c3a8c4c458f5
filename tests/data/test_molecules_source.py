"""Every molecule can be read again; MOSES in small, and files of one's own."""
import gzip
import io

import numpy as np
import pytest
from PIL import Image

from gen_jax import core, manifest
from gen_jax import data as sources
from gen_jax.modalities import molecule, text

OWN = ['CCO', 'OCC', 'c1ccccc1', 'CC(=O)Oc1ccccc1C(=O)O', 'N#N', *('C' * n for n in range(2, 30))]


@pytest.fixture
def moses():
  place = sources.directory() / 'moses'
  place.mkdir(parents=True)
  train, test = ([f'{"C" * (1 + i % 5)}O' for i in range(n)] for n in (10_050, 7))
  for name, part in (('train', train), ('test', test)):
    (place / f'{name}.csv.gz').write_bytes(gzip.compress('\n'.join(['SMILES', *part]).encode()))
  return train, test


def read(source):
  x = source.take(np.arange(source.size))['x']
  assert (x[:, 0] == text.END).all() and ((x == text.END).sum(-1) == 2).all()
  assert all((row[np.flatnonzero(row == text.END)[1] + 1:] == text.NOTHING).all() for row in x)
  found = text.texts(x, source.spec.tokenizer)
  assert all((molecule.prompt(said, source.spec.tokenizer) == row[:len(said) + 1]).all() for said, row in zip(found, x))
  return found


def test_moses(make, moses):
  train, test = moses
  assert [read(make('molecules', split)) for split in ('train', 'validation', 'test')] == [train[:50], train[50:], test]
  assert make('molecules').spec.shape == (8,) and make('molecules', length=12).spec.shape == (12,)


def test_a_file(make, tmp_path):
  (tmp_path / 'own.smi').write_text(''.join(f'{one} name {i}\n' for i, one in enumerate(OWN)) + '\n')
  made = [make('molecules', split, path=str(tmp_path / 'own.smi')) for split in ('train', 'validation', 'test')]
  parts = [read(source) for source in made]
  assert sorted(sum(parts, [])) == sorted(OWN) and len(parts[0]) > 20 and all(parts)
  assert any({'CCO', 'OCC'} <= set(part) for part in parts)   # one molecule, spelled in two ways
  assert len({source.spec for source in made}) == 1
  molecule.save(tmp_path / 'x.smi', made[0].take(np.arange(3))['x'], 10, made[0].spec.tokenizer)
  assert (tmp_path / 'x.smi').read_text().split() == parts[0][:3]
  picture = Image.open(io.BytesIO(molecule.drawn(['C(', *OWN[:6]])))
  assert picture.size == (900, 360) and np.asarray(picture).std() > 1
  assert np.asarray(Image.open(io.BytesIO(molecule.drawn(['C('])))).std() == 0


def test_a_runs_characters(make, tmp_path):
  (tmp_path / 'own.smi').write_text('\n'.join(OWN))
  (tmp_path / 'new.smi').write_text('\n'.join(OWN + ['F', 'Cl']))
  own = make('molecules', path=str(tmp_path / 'own.smi'))
  for run, tokenizer in dict(run=text.characters(['FZ#()1=CNOc'], 0).to_str(), pairs=text.pairs(['C'], 260).to_str(), music='voices').items():
    (tmp_path / run).mkdir()
    manifest.write(tmp_path / run, {'spec': own.spec._replace(tokenizer=tokenizer)._asdict()})
  made = make('molecules', path=str(tmp_path / 'own.smi'), tokenizer=str(tmp_path / 'run'))
  assert read(made) == read(own) and (made.arrays['x'] != own.arrays['x']).any()
  for path, run, said in (('new', 'run', 'knows no l,'), ('own', 'pairs', 'not of characters'), ('own', 'music', 'not of characters'),
                          ('own', 'none', 'is no workdir')):
    with pytest.raises(core.InputError, match=said):
      make('molecules', path=str(tmp_path / f'{path}.smi'), tokenizer=str(tmp_path / run))


@pytest.mark.parametrize('content, options, said', [
    (b'CCO\nC(\n', {}, r"'C\(' is no molecule \(of 2 SMILES number 2\)"), ('CCO\n\xfc'.encode(), {}, 'byte 4 is no ASCII'),
    (b'', {}, 'holds 0 molecules'), (b'CCO\n' * 40, {}, 'too few to hold some out'),
    ('\n'.join(OWN).encode(), dict(length=4), 'the longest molecule needs 31'), (None, {}, 'can not be read')])
def test_what_is_refused(make, tmp_path, content, options, said):
  path = tmp_path / 'x.smi'
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(core.InputError, match=said):
    make('molecules', path=str(path), **options)
  with pytest.raises(core.InputError, match='gen_jax.fetch moses'):
    make('molecules')
