"""The same training in PyTorch, as a good user writes it: a worker of experiments/speed/run.py, without jax in its process."""
import itertools
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def mlp(inputs, width, layers, activation):
  sizes = [inputs] + layers * [width]
  return [layer for i in range(layers) for layer in (nn.Linear(sizes[i], sizes[i + 1]), activation)]


def mlp_encoder(o, size):
  return nn.Sequential(nn.Flatten(), *mlp(size * size, o['width'], o['layers'], nn.LeakyReLU(.2))), o['width']


def mlp_decoder(o, size, latent):
  return nn.Sequential(*mlp(latent, o['width'], o['layers'], nn.ReLU()), nn.Linear(o['width'], size * size), nn.Unflatten(1, (1, size, size)))


def conv_encoder(o, size):
  """networks/conv.py for 28x28: two halvings."""
  w = o['width']
  return nn.Sequential(
      nn.Conv2d(1, w, 4, 2, 1), nn.LeakyReLU(.2), nn.Conv2d(w, 2 * w, 4, 2, 1), nn.LeakyReLU(.2), nn.Flatten(),
      nn.Linear(2 * w * (size // 4)**2, o['features']), nn.LeakyReLU(.2)), o['features']


def conv_decoder(o, size, latent):
  w, s = o['width'], size // 4
  norm = lambda channels: nn.Sequential(nn.GroupNorm(8, channels, eps=1e-6), nn.ReLU())
  up = lambda channels: nn.Sequential(nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.PixelShuffle(2), norm(channels // 2))
  return nn.Sequential(nn.Linear(latent, 2 * w * s * s), nn.Unflatten(1, (2 * w, s, s)), norm(2 * w), up(2 * w), up(w),
                       nn.Conv2d(w // 2, 1, 3, padding=1))


NETWORKS = {'mlp': (mlp_encoder, mlp_decoder), 'conv': (conv_encoder, conv_decoder)}


def adam(o, module, fused):
  # foreach is the default; which of the two is faster on a CPU depends on the number of tensors.
  return torch.optim.Adam(module.parameters(), o['learning_rate'], (o['b1'], o['b2']), **({'fused': True} if fused else {'foreach': True}))


class Discriminator(nn.Module):

  def __init__(self, encoder, features, classes):
    super().__init__()
    self.encoder, self.logit = encoder, nn.Linear(features, 1)
    self.embed = nn.Embedding(classes, features) if classes else None

  def forward(self, x, label):
    h = self.encoder(x)
    logit = self.logit(h)[:, 0]
    return logit if self.embed is None else logit + (self.embed(label) * h).sum(-1)


class GAN:
  """families/gan.py: the non-saturating loss, with R1 and the projection discriminator where the config asks for them."""

  def __init__(self, config, size, classes, compiled, fused, channels_last):
    o = config['family']
    self.o, self.classes = o, classes if o['condition'] == 'projection' else 0
    encoder, decoder = NETWORKS[config['network']['name']]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    self.D = Discriminator(*encoder(config['network'], size), self.classes).to(memory_format=layout)
    self.G = decoder(config['network'], size, o['latent'] + self.classes).to(memory_format=layout)
    self.modules = [self.D, self.G]
    roles = config['roles']
    self.D_optimizer, self.G_optimizer = adam(roles['discriminator'], self.D, fused), adam(roles['generator'], self.G, fused)
    self.decay, self.count = roles['generator']['ema'], 0
    self.ema = [p.detach().clone() for p in self.G.parameters()]
    self.compiled = compiled
    wrap = torch.compile if compiled else lambda f: f
    self.D_loss, self.G_loss = wrap(self.D_loss), wrap(self.G_loss)

  def generate(self, z, label):
    return torch.tanh(self.G(torch.cat([z, F.one_hot(label, self.classes).float()], 1) if self.classes else z))

  def D_loss(self, x, label, z):
    with torch.no_grad():
      fake = self.generate(z, label)
    if self.o['penalty'] == 'none':
      real_logit, fake_logit = self.D(torch.cat([x, fake]), torch.cat([label, label])).chunk(2)
      return F.softplus(-real_logit).mean() + F.softplus(fake_logit).mean()
    fake_logit = self.D(fake, label)
    if self.compiled:
      # torch.compile has no double backward; torch.func.grad is traced into the forward graph, and so needs none.
      def total(x):
        logit = self.D(x, label)
        return logit.sum(), logit
      slope, real_logit = torch.func.grad(total, has_aux=True)(x)
    else:
      x.requires_grad_()
      real_logit = self.D(x, label)
      slope, = torch.autograd.grad(real_logit.sum(), x, create_graph=True)
    penalty = .5 * slope.square().sum((1, 2, 3)).mean()
    return F.softplus(-real_logit).mean() + F.softplus(fake_logit).mean() + self.o['penalty_weight'] * penalty

  def G_loss(self, label, z):
    return F.softplus(-self.D(self.generate(z, label), label)).mean()

  def step(self, x, label):
    z = torch.randn(2, len(x), self.o['latent'])
    self.D_loss(x, label, z[0]).backward()
    self.D_optimizer.step()
    self.D_optimizer.zero_grad(set_to_none=True)
    self.D.requires_grad_(False)   # or the generator's turn computes the discriminator's gradient for nothing
    self.G_loss(label, z[1]).backward()
    self.D.requires_grad_(True)
    self.G_optimizer.step()
    self.G_optimizer.zero_grad(set_to_none=True)
    if self.decay is not None:
      decay = min(self.decay, (1 + self.count) / (10 + self.count))
      torch._foreach_lerp_(self.ema, [p.detach() for p in self.G.parameters()], 1 - decay)
      self.count += 1


class VAE:
  """families/vae.py: Gaussian posterior, Bernoulli likelihood, and the shift of the config."""

  def __init__(self, config, size, classes, compiled, fused, channels_last):
    self.latent, self.pixels = config['family']['latent'], config['data']['shift']
    encoder, decoder = NETWORKS[config['network']['name']]
    body, features = encoder(config['network'], size)
    self.encoder, self.decoder = nn.Sequential(body, nn.Linear(features, 2 * self.latent)), decoder(config['network'], size, self.latent)
    self.modules = [self.encoder, self.decoder]
    self.optimizer = adam(config['roles']['model'], nn.ModuleList(self.modules), fused)
    if compiled:
      self.loss = torch.compile(self.loss)

  def shifted(self, x):
    b, _, h, w = x.shape
    i, j = torch.randint(2 * self.pixels + 1, (2, b, 1))
    padded = F.pad(x, 4 * (self.pixels,), value=-1.)
    return padded[torch.arange(b)[:, None, None], 0, (i + torch.arange(h))[:, :, None], (j + torch.arange(w))[:, None]][:, None]

  def loss(self, x, noise):
    if self.pixels:
      x = self.shifted(x)
    mean, log_scale = self.encoder(x).chunk(2, 1)
    logits = self.decoder(mean + log_scale.exp() * noise)
    reconstruction = F.binary_cross_entropy_with_logits(logits, (x + 1) / 2, reduction='sum')
    kl = .5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum()
    return (reconstruction + kl) / len(x)

  def step(self, x, label):
    self.loss(x, torch.randn(len(x), self.latent)).backward()
    self.optimizer.step()
    self.optimizer.zero_grad(set_to_none=True)


FAMILIES = {'gan': GAN, 'vae': VAE}


def batches(x, label, n):
  while True:
    for indices in torch.randperm(len(x))[:len(x) // n * n].split(n):
      yield x[indices], label[indices]


def run(model, data, seconds) -> dict:
  """Trains for at least that long."""
  steps, began = 0, time.perf_counter()
  while time.perf_counter() - began < seconds or not steps:
    for x, label in itertools.islice(data, 10):
      model.step(x, label)
    steps += 10
  return {'steps': steps, 'seconds': time.perf_counter() - began}


def main(directory, kind):
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  with open(f'{directory}/config.json') as f:
    config = json.load(f)
  arrays = np.load(f'{directory}/data.npz')
  # Float, and in [-1, 1] once and for all; ours gathers bytes and normalises each batch.
  x = torch.from_numpy(arrays['x']).permute(0, 3, 1, 2).float() / 127.5 - 1
  label = torch.from_numpy(arrays['condition']).long()
  def make(fused, channels_last):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = FAMILIES[config['family']['name']](config, x.shape[2], 10, kind == 'compile', fused, channels_last)
    data = batches(x.contiguous(memory_format=layout), label, config['batch_size'])
    run(model, data, 0.)   # compiles
    run(model, data, 1.)
    return model, data

  tried = {}
  for options in itertools.product((False, True), (False, True) if config['network']['name'] == 'conv' else (False,)):
    model, data = make(*options)
    rates = [run(model, data, .5) for _ in range(5)]
    tried[options] = max(rate['steps'] / rate['seconds'] for rate in rates) * config['batch_size']
  best = max(tried, key=tried.get)
  model, data = make(*best)
  parameters = sum(p.numel() for module in model.modules for p in module.parameters())
  name = lambda fused, channels_last: f'{"fused" if fused else "foreach"} Adam' + (', channels_last' if channels_last else '')
  print(json.dumps({'parameters': parameters, 'options': name(*best), 'torch': torch.__version__,
                    'tried': {name(*options): round(rate) for options, rate in tried.items()}}), flush=True)
  for line in sys.stdin:
    print(json.dumps(run(model, data, float(line))), flush=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
