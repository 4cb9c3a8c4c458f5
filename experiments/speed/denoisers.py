"""families/diffusion.py with networks/unet.py and networks/dit.py in PyTorch, as a good user writes them, at work for experiments/speed/denoise.py:
a line of JSON asks, one answers. Modules bear flax's names, so that our weights fit; images are [B, C, H, W]."""
import itertools
import json
import os
import sys
import time

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
from theirs import batches, run  # beside this file
from torch import nn

CONDITION, CLASSES, DEVIATION = 64, 10, .5
DROP, DECAY = .1, .999   # the decay's value does not change its time


class Context(nn.Module):

  def __init__(self, size):
    super().__init__()
    self.Dense_0, self.Dense_1, self.Dense_2 = nn.Linear(size, size), nn.Linear(CONDITION, size), nn.Linear(size, size)
    self.register_buffer('frequencies', torch.tensor(np.geomspace(.2, 20., size // 2), dtype=torch.float32))

  def forward(self, level, condition):
    angle = level[:, None] * self.frequencies
    h = self.Dense_0(torch.cat([angle.cos(), angle.sin()], 1)) + self.Dense_1(condition)
    return F.silu(self.Dense_2(F.silu(h)))


def norm(channels):
  return nn.GroupNorm(8, channels, eps=1e-6)


class Block(nn.Module):

  def __init__(self, inputs, width, context):
    super().__init__()
    self.GroupNorm_0, self.Conv_0, self.Dense_0 = norm(inputs), nn.Conv2d(inputs, width, 3, padding=1), nn.Linear(context, 2 * width)
    self.GroupNorm_1, self.Conv_1 = norm(width), nn.Conv2d(width, width, 3, padding=1)
    self.Conv_2 = nn.Conv2d(inputs, width, 1) if inputs != width else None

  def forward(self, x, context):
    h = self.Conv_0(F.silu(self.GroupNorm_0(x)))
    scale, shift = self.Dense_0(context)[:, :, None, None].chunk(2, 1)
    h = self.Conv_1(F.silu(self.GroupNorm_1(h) * (1 + scale) + shift))
    return h + (x if self.Conv_2 is None else self.Conv_2(x))


def attention(qkv, heads):
  """[B, L, 3 D], as ours lays it out -> [B, L, D]."""
  b, length, d = qkv.shape
  q, k, v = qkv.reshape(b, length, heads, d // heads).transpose(1, 2).chunk(3, -1)
  return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, length, d // 3)


class Attention(nn.Module):

  def __init__(self, channels, head):
    super().__init__()
    self.heads = channels // head
    self.GroupNorm_0, self.Dense_0, self.Dense_1 = norm(channels), nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

  def forward(self, x):
    y = attention(self.Dense_0(self.GroupNorm_0(x).flatten(2).transpose(1, 2)), self.heads)
    return x + self.Dense_1(y).transpose(1, 2).reshape(x.shape)


class UNet(nn.Module):
  """Of two stages of one block."""

  def __init__(self, o, size):
    super().__init__()
    w, self.patch = o['width'], o['patch']
    context = 4 * w
    self.Context_0, self.Conv_0 = Context(context), nn.Conv2d(self.patch**2, w, 3, padding=1)
    self.Block_0, self.Conv_1, self.Block_1 = Block(w, w, context), nn.Conv2d(4 * w, 2 * w, 1), Block(2 * w, 2 * w, context)
    self.Attention_0, self.Block_2 = Attention(2 * w, o['head']), Block(2 * w, 2 * w, context)
    self.Block_3, self.Conv_2, self.Block_4 = Block(4 * w, 2 * w, context), nn.Conv2d(2 * w, 4 * w, 1), Block(2 * w, w, context)
    self.GroupNorm_0, self.Conv_3 = norm(w), nn.Conv2d(w, self.patch**2, 3, padding=1)

  def forward(self, x, level, condition):
    context = self.Context_0(level, condition)
    first = self.Block_0(self.Conv_0(F.pixel_unshuffle(x, self.patch)), context)
    second = self.Block_1(self.Conv_1(F.pixel_unshuffle(first, 2)), context)
    h = self.Block_2(self.Attention_0(second), context)
    h = F.pixel_shuffle(self.Conv_2(self.Block_3(torch.cat([h, second], 1), context)), 2)
    h = self.Block_4(torch.cat([h, first], 1), context)
    return F.pixel_shuffle(self.Conv_3(F.silu(self.GroupNorm_0(h))), self.patch)


class Layer(nn.Module):

  def __init__(self, width, head):
    super().__init__()
    self.heads = width // head
    self.LayerNorm_0 = nn.LayerNorm(width, 1e-6, elementwise_affine=False)
    self.Dense_0, self.Dense_1, self.Dense_2 = nn.Linear(width, 6 * width), nn.Linear(width, 3 * width), nn.Linear(width, width)
    self.Dense_3, self.Dense_4 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

  def forward(self, x, context):
    shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = self.Dense_0(context)[:, None].chunk(6, -1)
    x = x + gate * self.Dense_2(attention(self.Dense_1(self.LayerNorm_0(x) * (1 + scale) + shift), self.heads))
    h = F.gelu(self.Dense_3(self.LayerNorm_0(x) * (1 + scale_mlp) + shift_mlp), approximate='tanh')
    return x + gate_mlp * self.Dense_4(h)


def positions(n, size):
  frequencies = 1e4**-np.linspace(0., 1., size // 4, endpoint=False)
  angle = np.arange(n)[:, None] * frequencies
  waves = np.concatenate([np.sin(angle), np.cos(angle)], -1)
  both = np.concatenate([np.repeat(waves[:, None], n, 1), np.repeat(waves[None], n, 0)], -1)
  return torch.tensor(both.reshape(n * n, size), dtype=torch.float32)


class DiT(nn.Module):

  def __init__(self, o, size):
    super().__init__()
    w, self.patch = o['width'], o['patch']
    self.Context_0, self.Dense_0 = Context(w), nn.Linear(self.patch**2, w)
    self.layers = o['layers']
    for i in range(self.layers):
      self.add_module(f'Block_{i}', Layer(w, o['head']))
    self.Dense_1, self.Dense_2 = nn.Linear(w, 2 * w), nn.Linear(w, self.patch**2)
    self.LayerNorm_0 = nn.LayerNorm(w, 1e-6, elementwise_affine=False)
    self.register_buffer('positions', positions(size // self.patch, w))

  def forward(self, x, level, condition):
    context = self.Context_0(level, condition)
    patches = F.pixel_unshuffle(x, self.patch)
    h = self.Dense_0(patches.flatten(2).transpose(1, 2)) + self.positions
    for i in range(self.layers):
      h = getattr(self, f'Block_{i}')(h, context)
    shift, scale = self.Dense_1(context)[:, None].chunk(2, -1)
    out = self.Dense_2(self.LayerNorm_0(h) * (1 + scale) + shift)
    return F.pixel_shuffle(out.transpose(1, 2).reshape(patches.shape), self.patch)


class Labelled(nn.Module):
  """families/diffusion.py's Denoiser: the label CLASSES is none."""

  def __init__(self, net):
    super().__init__()
    self.net, self.Embed_0 = net, nn.Embedding(CLASSES + 1, CONDITION)

  def forward(self, x, level, label):
    return self.net(x, level, self.Embed_0(label))


class FromDiffusers(nn.Module):
  """UNet2DModel on the same patches, with the widths that come nearest to our parameters from below; DiTTransformer2DModel with our sizes."""

  def __init__(self, name, o, size):
    super().__init__()
    self.patch = o['patch'] if name == 'unet' else 1
    if name == 'unet':
      down, up, n = 2 * ('DownBlock2D',), 2 * ('UpBlock2D',), o['patch']**2
      self.net = diffusers.UNet2DModel(size // o['patch'], n, n, block_out_channels=(24, 48), layers_per_block=1, down_block_types=down,
                                       up_block_types=up, norm_num_groups=8, attention_head_dim=24, resnet_time_scale_shift='scale_shift',
                                       num_class_embeds=CLASSES + 1)
    else:
      self.net = diffusers.DiTTransformer2DModel(o['width'] // o['head'], o['head'], 1, 1, o['layers'], sample_size=size, patch_size=o['patch'],
                                                 num_embeds_ada_norm=CLASSES)   # and one that is none

  def forward(self, x, level, label):
    out = self.net(F.pixel_unshuffle(x, self.patch), 250 * level, class_labels=label).sample   # its time is in thousandths, and may be a fraction
    return F.pixel_shuffle(out, self.patch)


def fit(model, w):
  """Our arrays into the modules of the same names."""
  put = {}
  for path, a in w.items():
    *module, kind = path.split('/')
    name, a = '.'.join(module), np.array(a)
    if a.ndim == 4:   # ours counts a patch's pixels before its channels, PyTorch behind them
      if name == 'net.Conv_1':
        a = a.reshape(4, -1, a.shape[-1]).swapaxes(0, 1).reshape(a.shape)
      elif name == 'net.Conv_2':
        a = a.reshape(*a.shape[:3], 4, -1).swapaxes(-1, -2).reshape(a.shape)
      a = a.transpose(3, 2, 0, 1)
    elif name == 'net.Conv_2':
      a = a.reshape(4, -1).T.reshape(-1)
    elif kind == 'kernel':
      a = a.T
    put[f'{name}.{"bias" if kind == "bias" else "weight"}'] = torch.from_numpy(np.ascontiguousarray(a))
  missing, unexpected = model.load_state_dict(put, strict=False)
  if unexpected or any('frequencies' not in name and 'positions' not in name for name in missing):
    raise ValueError(f'not the same network: {missing}, {unexpected}')


class Diffusion:
  """EDM's training and DDIM's 50 steps."""

  def __init__(self, config, size, kind, fused, channels_last):
    name, o = config['network']['name'], config['network']
    self.own = kind.startswith('diffusers')
    self.drops = not (self.own and name == 'dit')   # which drops labels itself
    self.model = FromDiffusers(name, o, size) if self.own else Labelled({'unet': UNet, 'dit': DiT}[name](o, size))
    self.model.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-3, **({'fused': True} if fused else {'foreach': True}))
    self.ema = [p.detach().clone() for p in self.model.parameters()]
    wrap = torch.compile if kind.endswith('compile') else lambda f: f
    self.loss, self.clean = wrap(self.loss), wrap(self.clean)

  def out(self, x, sigma, label):
    return self.model(x / (sigma**2 + DEVIATION**2).sqrt()[:, None, None, None], sigma.log(), label)

  def loss(self, x, label, sigma, e):
    over = lambda v: v[:, None, None, None]
    norm = sigma**2 + DEVIATION**2
    seen = x + over(sigma) * e
    target = (x - over(DEVIATION**2 / norm) * seen) / over(sigma * DEVIATION / norm.sqrt())
    return F.mse_loss(self.out(seen, sigma, label), target)   # EDM's weight is 1 / c_out^2

  def step(self, x, label):
    n = len(x)
    sigma = (-1.2 + 1.2 * torch.randn(n)).exp().clamp(.002, 80.)
    if self.drops:
      label = torch.where(torch.rand(n) < DROP, CLASSES, label)
    self.loss(x, label, sigma, torch.randn_like(x)).backward()
    self.optimizer.step()
    self.optimizer.zero_grad(set_to_none=True)
    torch._foreach_lerp_(self.ema, [p.detach() for p in self.model.parameters()], 1 - DECAY)

  def clean(self, x, sigma, label):
    norm = sigma**2 + DEVIATION**2
    sigmas = sigma.expand(len(x))
    return DEVIATION**2 / norm * x + sigma * DEVIATION / norm.sqrt() * self.out(x, sigmas, label)

  @torch.inference_mode()
  def sample(self, n, size, steps):
    scheduler = diffusers.DDIMScheduler(prediction_type='sample')
    scheduler.set_timesteps(steps)
    self.model.eval()
    x, label = torch.randn(n, 1, size, size), torch.arange(n) % CLASSES
    for t in scheduler.timesteps:
      alpha = scheduler.alphas_cumprod[t].sqrt()
      x = scheduler.step(self.clean(x / alpha, (1 - alpha**2).sqrt() / alpha, label), t, x).prev_sample
    self.model.train()
    return x


def main(folder, kind):
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  torch.manual_seed(0)
  with open(f'{folder}/config.json') as f:
    config = json.load(f)
  with np.load(f'{folder}/data.npz') as arrays:
    x = torch.from_numpy(arrays['x']).permute(0, 3, 1, 2).float() / 127.5 - 1
    label = torch.from_numpy(arrays['condition']).long()
  size, made, rates = x.shape[2], {}, {}
  for options in itertools.product((False, True), (False, True) if config['network']['name'] == 'unet' else (False,)):
    layout = torch.channels_last if options[1] else torch.contiguous_format
    made[options] = Diffusion(config, size, kind, *options), batches(x.contiguous(memory_format=layout), label, config['batch_size'])
    run(*made[options], 0.)   # compiles
    rates[options] = max((lambda done: done['steps'] / done['seconds'])(run(*made[options], 1.)) for _ in range(3))
  model, data = made[max(rates, key=rates.get)]   # the fastest of foreach or fused Adam, in either layout of memory
  found = {'parameters': sum(p.numel() for p in model.model.parameters()), 'torch': torch.__version__, 'diffusers': diffusers.__version__,
           'fused, channels_last': max(rates, key=rates.get)}
  if kind == 'eager':
    with np.load(f'{folder}/asked.npz') as asked, np.load(f'{folder}/weights.npz') as w, torch.inference_mode():
      fit(model.model, w)
      given = torch.from_numpy(asked['x']).permute(0, 3, 1, 2), torch.from_numpy(asked['level']), torch.from_numpy(asked['label']).long()
      found['out'] = model.model(*given).permute(0, 2, 3, 1).tolist()
  print(json.dumps(found), flush=True)
  for line in sys.stdin:
    asked = json.loads(line)
    if 'train' in asked:
      answer = run(model, data, asked['train'])
    else:
      began = time.perf_counter()
      model.sample(asked['sample'], size, asked['steps'])
      answer = {'seconds': time.perf_counter() - began}
    print(json.dumps(answer), flush=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
