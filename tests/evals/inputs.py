"""What the recorded values are of. numpy only: experiments/parity reads it where the references are installed, the tests read it here."""
import zlib

import numpy as np

# Two sets of features (N, M, D); the second has another mean and covariance.
FEATURES = {'d16': (500, 400, 16), 'd64': (500, 400, 64)}
LOGITS = {'n1000': (1000, 10), 'n1003': (1003, 12)}   # the second does not divide into ten
NEIGHBOURS = (300, 250, 8)                            # real, generated, D
# Pairs of images (B, H, W, C); five scales fit in the first two, and the second's odd sides are padded.
PAIRS = {'176': (4, 176, 176, 3), '165x190': (4, 165, 190, 1), '64': (4, 64, 64, 3), '28': (4, 28, 28, 1)}
RESIZED = {'32x32': (2, 32, 32, 3), '5x7': (2, 5, 7, 3), '400x310': (1, 400, 310, 3)}   # to 299x299

# A BERT as small as can be, of heads as wide as all-MiniLM-L6-v2's.
MINILM = dict(num_hidden_layers=2, hidden_size=64, num_attention_heads=2, intermediate_size=96, vocab_size=50, max_position_embeddings=512)
TEXTS = ('The fence is high.', 'Sheep jump over a high fence!', 'KING HENRY:\nOnce more unto the breach, dear friends', '', ' \n', 'x',
         '春眠不觉晓，处处闻啼鸟。', 'Ünïcödé, naïve café', '1 + 1 = 2\t;', 'a [PAD] b [MASK]', '😀', ' '.join(map(str, range(1000))))
# Salts, charges, halogens, silicon; and what ChemNet has no symbol for: stereo bonds, selenium.
SMILES = ('C', 'CCO', 'OCC', 'c1ccccc1', 'CC(=O)Oc1ccccc1C(=O)O', 'CN1C=NC2=C1C(=O)N(C(=O)N2C)C', 'C[C@H](N)C(=O)O', 'F/C=C/F', r'Cl/C=C\Br',
          'N#Cc1ccncc1', '[Na+].[O-]C(=O)c1ccccc1I', 'C[Si](C)(C)C', 'OP(=O)(O)OCC[N+](C)(C)C', 'CC(C)Cc1ccc(cc1)C(C)C(=O)O',
          'c1cc2ccc3cccc4ccc(c1)c2c34', '[13CH4]', 'C1C2CC3CC1CC(C2)C3', '[Se]1C=CC=C1', 'OB(O)c1ccsc1', 'CC1(C)SC2C(NC(=O)Cc3ccccc3)C(=O)N2C1C(=O)O',
          'C' * 120 + 'O')
# (layer, name): shape in PyTorch's order, of a ChemNet as small as can be.
CHEMNET = {('0', 'weight'): (8, 35, 4), ('1', 'weight'): (6, 8, 4),
           ('2', 'weight_ih_l0'): (28, 6), ('2', 'weight_hh_l0'): (28, 7), ('2', 'bias_ih_l0'): (28,), ('2', 'bias_hh_l0'): (28,),
           ('3', 'weight_ih_l0'): (64, 7), ('3', 'weight_hh_l0'): (64, 16), ('3', 'bias_ih_l0'): (64,), ('3', 'bias_hh_l0'): (64,)}


def _rng(*name):
  return np.random.default_rng(zlib.crc32('/'.join(map(str, name)).encode()))


def features(name):
  """x_NxD, y_MxD float64 of FEATURES[name]: correlated Gaussians with eigenvalues that fall as 1 / i^2."""
  n, m, d = FEATURES[name]
  rng = _rng('features', name)
  def draw(k, offset):
    spread = rng.standard_normal((d, d)) / np.arange(1, d + 1)[:, None]
    return rng.standard_normal((k, d)) @ spread + offset
  return draw(n, 0.), draw(m, .3 * rng.standard_normal(d))


def logits(name):
  """[N, C] float64 of LOGITS[name], confident for some rows and not for others."""
  n, classes = LOGITS[name]
  rng = _rng('logits', name)
  return rng.standard_normal((n, classes)) * rng.uniform(.5, 4., (n, 1))


def neighbours():
  """real_NxD, fake_MxD float64: the generated ones are narrower and moved, so that none of the four measures is 0 or 1."""
  n, m, d = NEIGHBOURS
  rng = _rng('neighbours')
  return rng.standard_normal((n, d)), .8 * rng.standard_normal((m, d)) + .4


def pairs(name):
  """x, y uint8 of PAIRS[name]: four waves and noise; y is x with a little noise, with much, another image, and x's negative."""
  b, h, w, c = PAIRS[name]
  assert b == 4
  rng = _rng('pairs', name)
  x, other = (_image(rng, h, w, c) for _ in range(2))
  noisy = lambda deviation: x + deviation * rng.standard_normal(x.shape)
  y = np.stack([noisy(8.), noisy(60.), other, 255. - x])
  return _bytes(np.broadcast_to(x, y.shape)), _bytes(y)


def resized(name):
  """[B, H, W, 3] uint8 of RESIZED[name], noise."""
  return _rng('resized', name).integers(0, 256, RESIZED[name], np.uint8)


def resized_samples():
  """Where a 299x299 image is compared: 96 (row, column) drawn, and the corners, where the indices are clamped."""
  drawn = _rng('resized_samples').integers(0, 299, (96, 2))
  return np.concatenate([drawn, [[0, 0], [0, 298], [298, 0], [298, 298], [297, 298], [298, 150]]])


def inception_images():
  """[3, 32, 32, 3] uint8: noise, waves, and black but for one white square."""
  rng = _rng('inception_images')
  square = np.zeros((32, 32, 3))
  square[5:19, 8:30] = 255.
  return _bytes(np.stack([rng.uniform(0, 255, (32, 32, 3)), _image(rng, 32, 32, 3), square]))


def tensor(name, shape):
  """float32 weights for a tensor of a public network, by its PyTorch name: He et al. 2015's scale, so that 48 layers keep theirs."""
  rng = _rng('inception', name)
  kind = name.rsplit('.', 1)[-1]
  if len(shape) > 1:
    return rng.standard_normal(shape, np.float32) * np.float32((2 / np.prod(shape[1:]))**.5)
  if kind == 'running_var' or (kind == 'weight' and len(shape) == 1):
    return rng.uniform(.5, 1.5, shape).astype(np.float32)
  return (.1 * rng.standard_normal(shape)).astype(np.float32)


def chemnet():
  """Weights of CHEMNET by 'layer.name', in PyTorch's order."""
  drawn = {f'{layer}.{name}': tensor(f'chemnet.{layer}.{name}', shape) for (layer, name), shape in CHEMNET.items()}
  drawn['0.weight'] *= 35   # its input is of length 1/35
  for layer in '23':
    _, forget, _, _ = np.split(drawn[f'{layer}.bias_ih_l0'], 4)
    forget += 6   # what has been read is kept while 80 steps of nothing follow
  return drawn


def minilm_tokens():
  """[6, 16] of MINILM's vocabulary, -1 after a text's end: texts of 2 to 16 tokens, one with padding's own number amid it."""
  x = _rng('minilm_tokens').integers(1, MINILM['vocab_size'], (6, 16))
  x[1, 3] = 0
  for row, length in zip(x, (16, 9, 5, 3, 2, 2)):
    row[length:] = -1
  return x


def _image(rng, h, w, c):
  i, j = np.arange(h)[:, None, None], np.arange(w)[:, None]
  waves = sum(np.sin(rng.uniform(0, .3, c) * i + rng.uniform(0, .3, c) * j + rng.uniform(0, 2 * np.pi, c)) for _ in range(4))
  return 128 + 25 * waves + 5 * rng.standard_normal((h, w, c))


def _bytes(x):
  return np.clip(np.round(x), 0, 255).astype(np.uint8)
