"""ChemNet, which was trained to tell the biological activities of molecules: under it `fid` is the Frechet ChemNet distance, `fid@chemnet:c22e9776`.

Preuer et al. 2018, https://arxiv.org/abs/1803.09518: two convolutions over the symbols of a SMILES and two LSTMs (Hochreiter and Schmidhuber
1997), in inference; a molecule's features are what the second LSTM ends with. As there, SMILES are RDKit's canonical ones, and what is no molecule is
left out: the distance says nothing of how many are valid, the evaluator `molecules` does. `kid` and `prdc` are of the same features. The weights are
the public ones: `python -m gen_jax.fetch chemnet`.
"""
import functools
import hashlib
import io
import pathlib
import re
import zipfile

import jax
import jax.numpy as jnp
import numpy as np

from gen_jax import core, data, extractors
from gen_jax.modalities import molecule

FILE, SHA256 = 'ChemNet_v0.13_pretrained.pt', 'c22e977602b30eeabd7f81e6c790dd3234c7d7788c6c3e7979d8720ccc96951a'   # in `directory()`
# By layer and name there. A PyTorch file is a zip with one little-endian array a tensor, numbered in this order. The strides and the order are said
# by a part that takes PyTorch to read, and the sha256 vouches for them: kernels lie as Keras had them, input by output, gates i, f, g, o.
TENSORS = {'0.weight': (4, 35, 32), '1.weight': (4, 32, 32),
           '2.weight_ih_l0': (32, 512), '2.weight_hh_l0': (128, 512), '2.bias_ih_l0': (512,), '2.bias_hh_l0': (512,),
           '3.weight_ih_l0': (128, 2048), '3.weight_hh_l0': (512, 2048), '3.bias_ih_l0': (2048,), '3.bias_hh_l0': (2048,)}
SYMBOLS = ('C N O H F Cl P B Br S I Si # ( ) + - 1 2 3 4 5 6 7 8 = [ ] @ c n o s X .').split()   # X: any other; '.': also a molecule's end
NUMBERS = {symbol: i for i, symbol in enumerate(SYMBOLS)}
SYMBOL = re.compile('Cl|Br|Si|.')
LENGTH = 350   # symbols with the end, as in training; the features depend on how far a molecule is filled up
NONE = -1      # after a molecule's end: no symbol at all
AT_ONCE = 100  # molecules in the network together: the inputs of 500 ones' gates would fill .4 GB


def make(spec):
  """An extractor of features_MxF of the molecules among a run's samples, M <= N: without those that RDKit cannot read, are empty, or are of 350
  characters and more. No logits. Raises InputError for what is not molecules, without RDKit, and as `read` says."""
  if spec.modality != 'molecule':
    raise core.InputError(f'the extractor chemnet is for molecules, not {spec.modality}')
  molecule.chemistry()
  weights, name = read(directory())
  return extractors.Extractor(name, weights['3.weight_hh_l0'].shape[0], 0, run, weights,
                              lambda x_NxL: symbols(molecule.texts(x_NxL, spec.tokenizer)))


def directory() -> pathlib.Path:
  return data.directory() / 'chemnet'


@functools.lru_cache(maxsize=1)
def read(folder: pathlib.Path):
  """(weights by name, as TENSORS has them; 'chemnet:' and the first 8 digits of the file's sha256). Raises InputError for a file that is missing or
  another."""
  path = folder / FILE
  if not path.is_file():
    raise core.InputError(f'{path} is missing: python -m gen_jax.fetch chemnet')
  raw = path.read_bytes()
  if hashlib.sha256(raw).hexdigest() != SHA256:
    raise core.InputError(f'{path} is not what it should be (sha256): python -m gen_jax.fetch chemnet')
  with zipfile.ZipFile(io.BytesIO(raw)) as parts:
    arrays = [np.frombuffer(parts.read(f'{path.stem}/data/{i}'), '<f4') for i in range(len(TENSORS))]
  return {name: jnp.asarray(array.reshape(shape)) for (name, shape), array in zip(TENSORS.items(), arrays)}, f'chemnet:{SHA256[:8]}'


def symbols(said: list[str]) -> np.ndarray:
  """int8 [M, LENGTH] of the molecules among N SMILES, each spelled as RDKit does; NONE after a molecule's end."""
  Chem = molecule.chemistry()
  found = [Chem.MolToSmiles(one) for one in molecule.parsed(said) if one is not None]
  found = [one for one in found if len(one) < LENGTH]
  x_MxL = np.full((len(found), LENGTH), NONE, np.int8)
  for row, one in zip(x_MxL, found):
    numbers = [NUMBERS.get(symbol, NUMBERS['X']) for symbol in SYMBOL.findall(one + '.')]
    row[:len(numbers)] = numbers
  return x_MxL


@jax.jit
def run(weights, symbols_MxL):
  """(features_MxF, None): what an extractor applies."""
  return jax.lax.map(functools.partial(encode, weights), symbols_MxL, batch_size=AT_ONCE), None


def encode(weights, symbols_L):
  """The features [F] of one molecule, each in (-1, 1)."""
  # Features are compared with those of other machines: a TPU's default would round its inputs to bfloat16.
  with jax.default_matmul_precision('highest'):
    x_1xLxC = jax.nn.one_hot(symbols_L, len(SYMBOLS))[None] / len(SYMBOLS)   # of length 1/35, as in training
    for layer in '01':
      x_1xLxC = jax.nn.selu(jax.lax.conv_general_dilated(x_1xLxC, weights[f'{layer}.weight'], (2,), 'SAME', dimension_numbers=('NWC', 'WIO', 'NWC')))
    x_LxC = x_1xLxC[0]
    for layer in '23':
      # Each reads backwards what the one before it wrote: the first from the end, the second from the beginning.
      x_LxC = lstm(x_LxC[::-1], *(weights[f'{layer}.{name}_l0'] for name in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')))
  return x_LxC[-1]


def lstm(x_LxC, kernel_Cx4F, recurrent_Fx4F, bias_4F, more_4F):
  """The states [L, F] after each step, from zeros."""
  def step(state, gates_4F):
    h_F, memory_F = state
    i_F, f_F, g_F, o_F = jnp.split(gates_4F + h_F @ recurrent_Fx4F, 4)
    memory_F = jax.nn.sigmoid(f_F) * memory_F + jax.nn.sigmoid(i_F) * jnp.tanh(g_F)
    h_F = jax.nn.sigmoid(o_F) * jnp.tanh(memory_F)
    return (h_F, memory_F), h_F
  zeros_F = jnp.zeros(len(recurrent_Fx4F))
  return jax.lax.scan(step, (zeros_F, zeros_F), x_LxC @ kernel_Cx4F + (bias_4F + more_4F)[None])[1]
