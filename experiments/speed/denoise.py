"""Diffusion: images a second of our loop, and of 50 steps of DDIM, against PyTorch's with the same U-Net and transformer, eager and compiled, and
against diffusers' own of about the same size, eager and compiled too, in turns.

  python3 -m venv runs/reference && runs/reference/bin/pip install torch diffusers numpy
  python -m experiments.speed.denoise --json=out.json [--torch=runs/reference/bin/python] [--rounds=5] [--seconds=6] [--only=unet|dit]

Training is configs/fashion_mnist_diffusion.py with either network; sampling, 64 images of the averaged weights. That the PyTorch networks are ours is
checked: with the same random weights their outputs agree within 1e-4. The machine must have nothing else to do.
"""
import json
import pathlib
import sys
import tempfile
import time

import jax
import numpy as np

from configs import fashion_mnist_diffusion
from experiments.speed import ours
from experiments.speed import run as speed
from gen_jax import cli, core, data, networks, run
from gen_jax import config as configs
from gen_jax.families import diffusion

THEIRS = pathlib.Path(__file__).with_name('denoisers.py')
KINDS, SAMPLES, STEPS = ('eager', 'compile', 'diffusers', 'diffusers_compile'), 64, 50


def configured(network):
  config = fashion_mnist_diffusion.get_config()
  config.network = {'name': network, **configs.defaults('networks', network)}
  config.sample.update(sampler='ddim', steps=STEPS)
  return config


def prepare(folder, config):
  """Leaves the workers the config, the data, weights, and what a network is asked; returns our answer and a function that samples."""
  configs.save(config, pathlib.Path(folder) / 'config.json')
  source = data.make(config, 'train')
  np.savez(f'{folder}/data.npz', **source.arrays)
  game = run.build(config, source.spec)
  state, rng = run.initial(game), np.random.default_rng(0)
  drawn = lambda a: rng.normal(0, 1 / np.prod(a.shape[:-1])**.5 if a.ndim > 1 else .1, a.shape).astype(np.float32)   # none of them 0
  params = jax.tree.map(drawn, state.params['model'])
  np.savez(f'{folder}/weights.npz', **{'/'.join(key.key for key in path): a for path, a in jax.tree_util.tree_leaves_with_path(params)})
  asked = {'x': rng.normal(size=(8, *source.spec.shape)).astype(np.float32), 'level': rng.normal(size=8).astype(np.float32),
           'label': np.arange(8, dtype=np.int32)}
  np.savez(f'{folder}/asked.npz', **asked)
  denoiser = diffusion.Denoiser(*networks.make(config.network, source.spec, 'denoiser'), source.spec.classes, 0)
  out = denoiser.apply({'params': params}, asked['x'], asked['level'], asked['label'])
  state = state.replace(params={'model': params}, ema={'model': params})
  # The weights are an argument: as constants, what is 0 or 1 would be compiled away.
  sample = jax.jit(lambda state, seed: game.family.sample(state, core.per_example(jax.random.key(seed), np.arange(SAMPLES)), np.arange(SAMPLES) % 10))
  return np.asarray(out), lambda seed: jax.block_until_ready(sample(state, seed))


def race(network, flags) -> dict:
  config = configured(network)
  with tempfile.TemporaryDirectory() as folder:
    out, sample = prepare(folder, config)
    workers = {}
    try:
      for kind in KINDS:
        workers[kind] = speed.Worker(f'{THEIRS.name} {kind}', flags.torch, THEIRS, folder, kind)   # each chooses its options on a quiet machine
      differ = float(np.abs(out - np.array(workers['eager'].ready.pop('out'))).max() / np.abs(out).max())
      if differ > 1e-4:
        raise core.RunError(f'{network}: the networks differ by {differ:.1e} of their largest output')
      train, _, parameters = ours.training(configs.ConfigDict(config))
      train(1.)
      sample(0)
      rates = {what: {kind: [] for kind in ('ours', *KINDS)} for what in ('training', 'sampling')}
      for seed in range(1 + flags.rounds):   # the first is not counted
        done = train(flags.seconds)
        rates['training']['ours'].append(done['steps'] * config.batch_size / done['seconds'])
        for kind in KINDS:
          done = workers[kind](json.dumps({'train': flags.seconds}))
          rates['training'][kind].append(done['steps'] * config.batch_size / done['seconds'])
        began = time.perf_counter()
        sample(seed)
        rates['sampling']['ours'].append(SAMPLES / (time.perf_counter() - began))
        for kind in KINDS:
          rates['sampling'][kind].append(SAMPLES / workers[kind](json.dumps({'sample': SAMPLES, 'steps': STEPS}))['seconds'])
    finally:
      for worker in workers.values():
        worker.close()
  row = {'name': network, 'parameters': {'ours': parameters, **{kind: worker.ready['parameters'] for kind, worker in workers.items()}},
         'differ': differ, 'workers': {kind: worker.ready for kind, worker in workers.items()}}
  for what, kinds in rates.items():
    found = {kind: speed.spread(values[1:]) for kind, values in kinds.items()}
    median = {kind: spread['median'] for kind, spread in found.items()}
    fastest = {name: max(median[kind] for kind in kinds) for name, kinds in (('same network', KINDS[:2]), ('own', KINDS[2:]))}
    row[what] = {**found, **{name: median['ours'] / rate for name, rate in fastest.items()}}
    each = ', '.join(f'{kind} {v["median"]:,.0f} ({v["min"]:,.0f}-{v["max"]:,.0f})' for kind, v in found.items())
    print(f'{network}, {what}: images/s {each}; ratio {row[what]["same network"]:.2f} to the same network, {row[what]["own"]:.2f} to diffusers\' own',
          flush=True)
  return row


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('json',), json='', torch='runs/reference/bin/python', rounds=5, seconds=6, only='')
  if flags.only not in ('', 'unet', 'dit'):
    raise core.InputError(f'--only={flags.only}: there are unet, dit')
  rows = [race(network, flags) for network in ([flags.only] if flags.only else ('unet', 'dit'))]
  pathlib.Path(flags.json).write_text(json.dumps({'machine': speed.machine(), 'jax': jax.__version__, 'rows': rows}, indent=1) + '\n')


if __name__ == '__main__':
  sys.exit(main())
