"""Hugging Face's Llama with our weights, at work for experiments/speed/decode.py: a line of JSON asks for tokens, one answers."""
import json
import os
import sys
import time

import numpy as np
import torch
import transformers

NOTHING, END = 0, 2


def llama(w, length):
  """From the arrays of networks/transformer.py in its style llama."""
  layers = sum(name.endswith('attended/kernel') for name in w)
  (vocabulary, width), (heads, size, _), (_, both, _) = (w[name].shape for name in (
      'embed/embedding', 'layer_0/attended/kernel', 'layer_0/query_key_value/kernel'))
  groups, inner = (both - heads) // 2, len(w['layer_0/out/kernel'])
  model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
      vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
      num_key_value_heads=groups, max_position_embeddings=length, rms_norm_eps=1e-5, tie_word_embeddings=True, pad_token_id=NOTHING,
      bos_token_id=END, eos_token_id=END)).eval()
  put = {'model.embed_tokens.weight': w['embed/embedding'], 'lm_head.weight': w['embed/embedding'], 'model.norm.weight': w['Norm_0/RMSNorm_0/scale']}
  for i in range(layers):
    here, there = f'layer_{i}/', f'model.layers.{i}.'
    q, k, v = np.split(w[here + 'query_key_value/kernel'], [heads, heads + groups], axis=1)
    gate, up = np.split(w[here + 'in/kernel'], 2, axis=1)
    put |= {f'{there}self_attn.{name}_proj.weight': a.reshape(width, -1).T for name, a in (('q', q), ('k', k), ('v', v))}
    put |= {f'{there}self_attn.o_proj.weight': w[here + 'attended/kernel'].reshape(heads * size, width).T,
            f'{there}mlp.gate_proj.weight': gate.T, f'{there}mlp.up_proj.weight': up.T, f'{there}mlp.down_proj.weight': w[here + 'out/kernel'].T,
            f'{there}input_layernorm.weight': w[here + 'Norm_0/RMSNorm_0/scale'],
            f'{there}post_attention_layernorm.weight': w[here + 'Norm_1/RMSNorm_0/scale']}
  model.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in put.items()})
  return model


def main(weights, length):
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  model = llama(dict(np.load(weights)), int(length))
  print(json.dumps({'torch': torch.__version__, 'transformers': transformers.__version__}), flush=True)
  for line in sys.stdin:
    asked = json.loads(line)
    prompt, began = torch.tensor(asked['prompt']), time.perf_counter()
    with torch.inference_mode():
      x = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_length=int(length), do_sample=asked['sample'], top_k=0, use_cache=True)
    seconds = time.perf_counter() - began
    x = torch.nn.functional.pad(x, (0, int(length) - x.shape[1]), value=NOTHING)
    print(json.dumps({'seconds': seconds, 'tokens': x.tolist()}), flush=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
