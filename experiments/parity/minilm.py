"""Records what transformers' BERT says, for the tests to compare gen_jax.extractors.minilm with. README.md: what to install.

  python experiments/parity/minilm.py FOLDER

FOLDER is where `python -m gen_jax.fetch minilm` has put the model. Writes tests/extractors/minilm.json; needs neither jax nor gen_jax.
"""
import importlib.metadata
import json
import pathlib
import platform
import sys

import numpy as np
import torch
import transformers

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tests/evals'))

import inputs

STRIDE = 8   # of the public model's features: all of them are 4,600 numbers


def pooled(network, tokens_BxL, told_BxL):
  """As the model's README.md says: the mean over real tokens, scaled to length 1."""
  with torch.no_grad():
    x_BxLxF = network(input_ids=tokens_BxL, attention_mask=told_BxL).last_hidden_state
  told_BxLx1 = told_BxL[..., None].float()
  return torch.nn.functional.normalize((x_BxLxF * told_BxLx1).sum(1) / told_BxLx1.sum(1), dim=1)


def drawn():
  """Of random weights by name: what is compared is the network, and that its layers are found by their names."""
  network = transformers.BertModel(transformers.BertConfig(**inputs.MINILM)).eval()
  wanted = {k: tuple(v.shape) for k, v in network.named_parameters()}
  network.load_state_dict({k: torch.from_numpy(inputs.tensor(k, shape)) for k, shape in wanted.items()}, strict=False)   # but for counters
  tokens = torch.from_numpy(inputs.minilm_tokens())
  return {'shapes': wanted, 'drawn': _short(pooled(network, tokens.clamp(min=0), (tokens >= 0).long()))}


def public(folder):
  tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=f'{folder}/tokenizer.json', pad_token='[PAD]')
  encoded = tokenizer(list(inputs.TEXTS), padding=True, truncation=True, max_length=256, return_tensors='pt')   # of sentence_bert_config.json
  found = pooled(transformers.BertModel.from_pretrained(folder).eval(), encoded['input_ids'], encoded['attention_mask'])
  return {'stride': STRIDE, 'tokens': encoded['attention_mask'].sum(1).tolist(), 'public': _short(found[:, ::STRIDE])}


def _short(x):
  return [[float(f'{v:.8g}') for v in row] for row in np.asarray(x).tolist()]


if __name__ == '__main__':
  torch.set_num_threads(1)
  versions = {'python': platform.python_version(), **{k: importlib.metadata.version(k) for k in ('torch', 'transformers', 'tokenizers', 'numpy')}}
  found = {'versions': versions, **drawn(), **public(sys.argv[1])}
  path = ROOT / 'tests/extractors/minilm.json'
  path.write_text('{\n' + ',\n'.join(f'  {json.dumps(k)}: {json.dumps(v)}' for k, v in found.items()) + '\n}\n')
  print(f'{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes')
