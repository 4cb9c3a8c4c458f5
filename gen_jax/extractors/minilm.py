"""all-MiniLM-L6-v2, the sentence encoder: texts of like meaning have features of a small angle, whatever their words.

A BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) of six layers, distilled (Wang et al. 2020, https://arxiv.org/abs/2002.10957) and then
trained on pairs of sentences, in inference; a text's features are the mean over its tokens, scaled to length 1 (Reimers and Gurevych 2019,
https://arxiv.org/abs/1908.10084). The weights are the public ones, by their names there: `python -m gen_jax.fetch minilm`.
"""
import functools
import hashlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
import tokenizers

from gen_jax import core, data, extractors
from gen_jax.modalities import text

# What of the model lies in `directory()`, with its sha256. README.md says under which licence it is; config.json is for other libraries.
FILES = {'model.safetensors': '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db',
         'tokenizer.json': 'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037',
         'config.json': '953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41',
         'README.md': '7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7'}
HEAD = 32      # features of a head of attention
MOST = 256     # tokens; what follows is not read: max_seq_length in the model's sentence_bert_config.json
NONE = -1      # after a text's last token; the tokenizer's own number for padding may be said: '[PAD]'
CHUNK = 500    # texts that are tokenized and padded together
AT_ONCE = 50   # texts in the network together: of 500 long ones, the attention alone would fill 1.5 GB


def make(spec):
  """An extractor of features_BxF of a run's tokens, by what they say; no logits. Raises InputError for what is not text, and as `read` says."""
  if spec.modality != 'text':
    raise core.InputError(f'the extractor minilm is for text, not {spec.modality}')
  weights, tokenizer, name = read(directory())
  return extractors.Extractor(name, weights['embeddings.LayerNorm.bias'].size, 0, run, weights,
                              lambda x_NxL: tokens(text.texts(x_NxL, spec.tokenizer), tokenizer))


def embed(said: list[str]) -> np.ndarray:
  """The features of texts, float32 [N, 384], each of length 1: products are cosines. Raises InputError as `read` says."""
  weights, tokenizer, _ = read(directory())
  parts = [run(weights, tokens(said[i:i + CHUNK], tokenizer))[0] for i in range(0, len(said), CHUNK)]
  return np.concatenate([np.zeros((0, weights['embeddings.LayerNorm.bias'].size), np.float32), *map(np.asarray, parts)])


def directory() -> pathlib.Path:
  return data.directory() / 'minilm'


@functools.lru_cache(maxsize=1)
def read(folder: pathlib.Path):
  """(weights by name, tokenizer, 'minilm:' and the first 8 digits of the weights' sha256). Raises InputError for files that are missing or others."""
  found = {}
  for name, digest in FILES.items():
    path = folder / name
    if not path.is_file():
      raise core.InputError(f'{path} is missing: python -m gen_jax.fetch minilm')
    found[name] = path.read_bytes()
    if hashlib.sha256(found[name]).hexdigest() != digest:
      raise core.InputError(f'{path} is not what it should be (sha256): python -m gen_jax.fetch minilm')
  weights = {name: jnp.asarray(value) for name, value in safetensors.numpy.load(found['model.safetensors']).items()}
  tokenizer = tokenizers.Tokenizer.from_str(found['tokenizer.json'].decode())
  tokenizer.enable_truncation(MOST)   # the file's own are 128 tokens, always
  tokenizer.no_padding()
  return weights, tokenizer, f'minilm:{FILES["model.safetensors"][:8]}'


def tokens(said: list[str], tokenizer) -> np.ndarray:
  """int32 [N, L], NONE after a text's end; L is a power of two, for of every L the network is compiled anew."""
  found = [tokenizer.encode(one).ids for one in said]
  x_NxL = np.full((len(found), 1 << (max(map(len, found)) - 1).bit_length()), NONE, np.int32)
  for row, ids in zip(x_NxL, found):
    row[:len(ids)] = ids
  return x_NxL


@jax.jit
def run(weights, tokens_NxL):
  """(features_NxF, None): what an extractor applies."""
  return jax.lax.map(functools.partial(encode, weights), tokens_NxL, batch_size=AT_ONCE), None


def encode(weights, tokens_L):
  """The features [F] of one text, of length 1."""
  told_L = tokens_L != NONE
  dense = lambda x_LxI, name: x_LxI @ weights[f'{name}.weight'].T + weights[f'{name}.bias'][None]

  def norm(x_LxF, name):
    x_LxF -= x_LxF.mean(-1, keepdims=True)
    x_LxF *= jax.lax.rsqrt((x_LxF**2).mean(-1, keepdims=True) + 1e-12)
    return x_LxF * weights[f'{name}.weight'][None] + weights[f'{name}.bias'][None]

  # Features are compared with those of other machines: a TPU's default would round its inputs to bfloat16.
  with jax.default_matmul_precision('highest'):
    table = lambda name: weights[f'embeddings.{name}_embeddings.weight']
    x_LxF = norm(table('word')[tokens_L * told_L] + table('position')[:len(tokens_L)] + table('token_type')[:1], 'embeddings.LayerNorm')
    for i in range(sum(name.endswith('.intermediate.dense.weight') for name in weights)):
      layer = f'encoder.layer.{i}'
      q, k, v = (dense(x_LxF, f'{layer}.attention.self.{name}').reshape(len(x_LxF), -1, HEAD) for name in ('query', 'key', 'value'))
      scores_HxLxM = jnp.where(told_L[None, None], jnp.einsum('lhd,mhd->hlm', q, k) / HEAD**.5, -jnp.inf)
      mixed_LxF = jnp.einsum('hlm,mhd->lhd', jax.nn.softmax(scores_HxLxM), v).reshape(x_LxF.shape)
      x_LxF = norm(x_LxF + dense(mixed_LxF, f'{layer}.attention.output.dense'), f'{layer}.attention.output.LayerNorm')
      wide_LxI = jax.nn.gelu(dense(x_LxF, f'{layer}.intermediate.dense'), approximate=False)
      x_LxF = norm(x_LxF + dense(wide_LxI, f'{layer}.output.dense'), f'{layer}.output.LayerNorm')
  mean_F = x_LxF.mean(0, where=told_L[:, None])
  return mean_F / jnp.linalg.norm(mean_F)
