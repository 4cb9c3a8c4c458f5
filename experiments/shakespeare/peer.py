"""The same transformer in plain PyTorch, eager: `PYTHON peer.py TEXT SEED` prints its validation loss and its seconds of training as JSON.

nanoGPT's configuration for a CPU: 4 layers of 4 heads, 128 wide, context 64, batch 12, 2,000 steps of AdamW, no dropout, no biases.
"""
import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

WIDTH, LAYERS, HEADS, CONTEXT, BATCH, STEPS, WARMUP, RATE = 128, 4, 4, 64, 12, 2000, 100, 1e-3


class Layer(nn.Module):
  def __init__(self):
    super().__init__()
    self.before, self.between = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
    self.qkv, self.attended = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
    self.wide, self.out = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

  def forward(self, h):
    B, L, _ = h.shape
    q, k, v = (a.view(B, L, HEADS, -1).transpose(1, 2) for a in self.qkv(self.before(h)).chunk(3, dim=-1))
    h = h + self.attended(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, L, WIDTH))
    return h + self.out(F.gelu(self.wide(self.between(h))))


class Model(nn.Module):
  def __init__(self, vocabulary):
    super().__init__()
    self.embed, self.place = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
    self.layers, self.last = nn.ModuleList(Layer() for _ in range(LAYERS)), nn.LayerNorm(WIDTH, bias=False)
    for name, p in self.named_parameters():
      if p.ndim > 1:
        nn.init.normal_(p, 0., .02 / math.sqrt(2 * LAYERS) if 'attended' in name or 'out' in name else .02)

  def forward(self, x):
    h = self.embed(x) + self.place.weight[:x.shape[1]]
    for layer in self.layers:
      h = layer(h)
    return self.last(h) @ self.embed.weight.T


def main(path, seed):
  torch.manual_seed(int(seed))
  torch.set_num_threads(2)
  text = open(path).read()
  number = {c: i for i, c in enumerate(sorted(set(text)))}
  tokens = torch.tensor([number[c] for c in text])
  cut = int(.9 * len(tokens))
  train, held_out = tokens[:cut], tokens[cut:]
  model = Model(len(number))
  groups = [{'params': [p for p in model.parameters() if p.ndim > 1], 'weight_decay': .1},
            {'params': [p for p in model.parameters() if p.ndim == 1], 'weight_decay': 0.}]
  optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(.9, .99), fused=True)
  loss = lambda windows: F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())
  began = time.perf_counter()
  for step in range(STEPS):
    part = (step - WARMUP) / (STEPS - WARMUP)
    for group in optimizer.param_groups:   # down to a tenth, as nanoGPT
      group['lr'] = RATE * ((step + 1) / WARMUP if step < WARMUP else .1 + .45 * (1 + math.cos(math.pi * part)))
    at = torch.randint(len(train) - CONTEXT, (BATCH,))
    value = loss(torch.stack([train[i:i + CONTEXT + 1] for i in at]))
    optimizer.zero_grad()
    value.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.)
    optimizer.step()
  seconds = time.perf_counter() - began
  with torch.no_grad():
    windows = held_out.unfold(0, CONTEXT + 1, CONTEXT)
    nats = [loss(part).item() * len(part) for part in windows.split(100)]
  print(json.dumps({'nats': sum(nats) / len(windows), 'train_seconds': round(seconds, 1), 'parameters': sum(p.numel() for p in model.parameters())}))


if __name__ == '__main__':
  main(*sys.argv[1:])
