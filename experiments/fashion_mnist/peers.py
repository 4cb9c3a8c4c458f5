"""Peers of the three-minute table, under its protocol and ruler: PyTorch trains them for 180 s each, our evaluators score their samples.

  python3 -m venv runs/reference && runs/reference/bin/pip install torch scipy scikit-learn tqdm pillow pydantic imageio cloudpickle
  runs/reference/bin/pip install --no-deps pythae torch-fidelity prdc pytorch-msssim
  python -m experiments.fashion_mnist.peers [--rows=A,B] [--seeds=3] [--torch=runs/reference/bin/python]   # goes on where it stopped
  python -m experiments.fashion_mnist.peers --fidelity [--images=500]                                # torch-fidelity's time for FID against ours

The budget is wall time, so nothing else may run on the machine. Each run leaves results/ROW_SEED.json, which `run --table` reads; --fidelity leaves
torch_fidelity.json. A trial: --seconds=10 --seeds=1 --out=runs/trial --runs=runs/trial.

peer_dcgan: Radford et al. 2016, with the widths of networks/conv.py, BatchNorm everywhere but at the image, transposed convolutions, Adam at 2e-4.
peer_pythae_vae: pythae's VAE with its convolutions for MNIST (17 million parameters), trained by its own BaseTrainer, which a callback stops.
peer_pythae_vae_mlp: the same with the network that pythae takes where none is given, nearer to ours in size.
"""
import argparse
import contextlib
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

# gen_jax and PyTorch are imported where they are used: they live in two environments, and no process needs both.

HERE = pathlib.Path(__file__).parent
BUDGET = 180.
THREADS = 2
SAMPLES = 10_000
EVALS = 'fid,fid_infinity,kid,prdc'
BATCH = 64
LATENT = 100                 # of the DCGAN, as published


# In PyTorch's process.

def dcgan(x_Nx1xHxW, seed, seconds) -> dict:
  """x in [0, 1]. Returns the samples as floats in [0, 1], and what the training was."""
  import torch
  import torch.nn.functional as F
  from torch import nn

  torch.manual_seed(seed)
  discriminator = nn.Sequential(
      nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(.2),
      nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(.2), nn.Flatten(),
      nn.Linear(64 * 7 * 7, 256, bias=False), nn.BatchNorm1d(256), nn.LeakyReLU(.2), nn.Linear(256, 1))
  generator = nn.Sequential(
      nn.Linear(LATENT, 64 * 7 * 7, bias=False), nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU(),
      nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
      nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh())
  for module in (*discriminator, *generator):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
      nn.init.normal_(module.weight, 0., .02)
    elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
      nn.init.normal_(module.weight, 1., .02)
  adam = lambda module: torch.optim.Adam(module.parameters(), 2e-4, (.5, .999), fused=True)
  d_optimizer, g_optimizer = adam(discriminator), adam(generator)
  x, one, zero = 2 * x_Nx1xHxW - 1, torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
  bce = F.binary_cross_entropy_with_logits

  def step(real):
    fake = generator(torch.randn(BATCH, LATENT))
    d_optimizer.zero_grad()
    # Two batches, for BatchNorm's sake: in one, the discriminator would see how many are real.
    (bce(discriminator(real), one) + bce(discriminator(fake.detach()), zero)).backward()
    d_optimizer.step()
    discriminator.requires_grad_(False)   # or the generator's turn computes the discriminator's gradient for nothing
    g_optimizer.zero_grad()
    bce(discriminator(fake), one).backward()
    g_optimizer.step()
    discriminator.requires_grad_(True)

  steps, began = 0, time.perf_counter()
  while (spent := time.perf_counter() - began) < seconds:
    at = steps * BATCH % (len(x) // BATCH * BATCH)
    if at == 0:
      order = torch.randperm(len(x))
    step(x[order[at:at + BATCH]])
    steps += 1
  with torch.no_grad():
    # With the statistics of the batch, as PyTorch's own example samples its DCGAN: running averages would be those of older weights.
    samples = torch.cat([generator(torch.randn(500, LATENT)) for _ in range(SAMPLES // 500)])
  return {'x': (samples.numpy() + 1) / 2, 'steps': steps, 'train_seconds': spent, 'parameters': count(discriminator) + count(generator)}


def pythae_vae(x_Nx1xHxW, seed, seconds, networks) -> dict:
  """As dcgan. networks: a function of pythae's config, () for its default. Its latent size and learning rate are those of pythae's MNIST examples."""
  import torch
  from pythae.data.datasets import BaseDataset
  from pythae.models import VAE, VAEConfig
  from pythae.samplers import NormalSampler
  from pythae.trainers import BaseTrainer, BaseTrainerConfig
  from pythae.trainers.training_callbacks import TrainingCallback

  class Stopped(Exception):
    pass

  class Stopwatch(TrainingCallback):
    """The trainer counts epochs, and an epoch of the convolutional networks takes longer than the budget."""
    steps = 0

    def on_train_begin(self, *args, **kwargs):
      self.began = time.perf_counter()

    def on_train_step_end(self, *args, **kwargs):
      self.steps += 1
      self.spent = time.perf_counter() - self.began
      if self.spent >= seconds:
        raise Stopped

  torch.manual_seed(seed)
  config = VAEConfig(input_dim=(1, 28, 28), latent_dim=16)
  model, watch = VAE(config, *networks(config)), Stopwatch()
  with tempfile.TemporaryDirectory() as folder:
    options = BaseTrainerConfig(output_dir=folder, num_epochs=10**6, learning_rate=1e-3, per_device_train_batch_size=BATCH, seed=seed, no_cuda=True)
    with contextlib.suppress(Stopped):
      BaseTrainer(model, BaseDataset(x_Nx1xHxW, torch.zeros(len(x_Nx1xHxW))), training_config=options, callbacks=[watch]).train()
  samples = NormalSampler(model).sample(SAMPLES)
  return {'x': samples.numpy(), 'steps': watch.steps, 'train_seconds': watch.spent, 'parameters': count(model)}


def convolutions(config):
  from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
  return Encoder_Conv_VAE_MNIST(config), Decoder_Conv_AE_MNIST(config)


PEERS = {
    'peer_dcgan': dcgan,
    'peer_pythae_vae': lambda *args: pythae_vae(*args, convolutions),
    'peer_pythae_vae_mlp': lambda *args: pythae_vae(*args, lambda config: ()),
}


def count(module) -> int:
  return sum(p.numel() for p in module.parameters())


def train(row, seed, seconds, images, out):
  """Trains a peer on the images of a file; writes its samples as uint8, and the facts of the run."""
  import torch
  torch.set_num_threads(THREADS)
  x = torch.from_numpy(np.load(images)).permute(0, 3, 1, 2).float() / 255
  load = os.getloadavg()[0]
  found = PEERS[row](x, int(seed), float(seconds))
  samples = np.rint(255 * found.pop('x').transpose(0, 2, 3, 1)).astype(np.uint8)
  facts = {**found, 'seconds': float(seconds), 'torch': torch.__version__, 'threads': THREADS, 'load_average': load}
  with open(f'{out}.partial', 'wb') as f:
    np.savez(f, x=samples, facts=json.dumps(facts))
  os.replace(f'{out}.partial', out)


def fidelity_worker(folder):
  """torch-fidelity's side of `fidelity`: answers each line of stdin with {'seconds'} or {'fid', 'seconds'}, as torch-fidelity's own FID goes."""
  import torch

  from experiments.parity import record  # for its stand-ins for torchvision
  folder = pathlib.Path(folder)
  torch.set_num_threads(THREADS)
  images = torch.from_numpy(np.load(folder / 'images.npy')).permute(0, 3, 1, 2).repeat(1, 3, 1, 1)
  with np.load(folder / 'weights.npz') as weights:
    torch.save({k: torch.from_numpy(v) for k, v in weights.items()}, folder / 'weights.pth')
  from torch_fidelity import utils
  network = utils.create_feature_extractor('inception-v3-compat', ['2048'], cuda=False, verbose=False, feature_extractor_compile=False,
                                           feature_extractor_weights_path=str(folder / 'weights.pth'))
  sets = [torch.from_numpy(np.load(folder / f'{name}.npy')) for name in ('a', 'b')]

  class Images(torch.utils.data.Dataset):
    __len__ = lambda self: len(images)
    __getitem__ = lambda self, i: images[i]

  def extract():
    # Batches of 64 are its default; loader processes would be in the network's way on two cores, and it has an option for that.
    found = utils.get_featuresdict_from_dataset(Images(), network, 64, cuda=False, save_cpu_ram=True, verbose=False)
    np.save(folder / 'theirs.npy', found['2048'].numpy())
    return {}

  def distance():
    found = record.metric_fid.fid_statistics_to_metric(*map(record.metric_fid.fid_features_to_statistics, sets), verbose=False)
    return {'fid': found[record.metric_fid.KEY_METRIC_FID]}

  print('{}', flush=True)   # it is ready
  for line in sys.stdin:
    began = time.perf_counter()
    answer = {'extract': extract, 'distance': distance}[line.strip()]()
    print(json.dumps({**answer, 'seconds': time.perf_counter() - began}), flush=True)


WORKERS = {'train': train, 'fidelity': fidelity_worker}


# In ours.

def ruler():
  """A run to evaluate with: the table's data and extractor, the number of samples, and the metrics."""
  from experiments.fashion_mnist import config as rows
  from gen_jax import data, run
  config = rows.get_config('nonsaturating_conv')
  config.update(evals=EVALS, eval_examples=SAMPLES)
  return run.build(config, data.make(config, 'test').spec)


def score(x_NxHxWxC) -> dict:
  """The metrics of images as report.json has them: by gen_jax.evals, as of a run's samples."""
  from gen_jax import evals
  run = ruler()
  modules, used = evals.named(run.config), evals.extractor(run)
  draw = evals.collect([x_NxHxWxC], None, run.spec, used, {need for module in modules.values() for need in module.NEEDS})
  metrics = {}
  for name, module in modules.items():
    for k, v in module.make(run, 'test')(None, draw).items():
      key = f'{name if k == name else f"{name}/{k}"}@{used.name}'
      metrics[key] = {'mean': v[0], 'stderr': v[1]} if isinstance(v, tuple) else {'mean': v}
  return metrics


def one(row, seed, options) -> dict:
  """A run's numbers, kept in results/ROW_SEED.json; its samples lie in --runs."""
  from gen_jax import data, manifest
  from gen_jax.modalities import image
  path = options.out / 'results' / f'{row}_{seed}.json'
  if path.exists():
    return json.loads(path.read_text())
  samples = options.runs / f'{row}_{seed}_{options.seconds:g}s.npz'
  kept, began = samples.exists(), processor_seconds()
  if not kept:
    samples.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
      images = pathlib.Path(folder) / 'images.npy'
      np.save(images, data.make(ruler().config, 'train').arrays['x'])
      subprocess.run(command(options.torch, 'train', row, seed, options.seconds, images, samples), check=True)
  trained = processor_seconds()
  with np.load(samples) as file:
    x, facts = file['x'], json.loads(str(file['facts']))
  evaluating = time.monotonic()
  found = {'row': row, 'seed': seed, **facts, 'wall_seconds': facts['train_seconds'], 'processor_seconds': None if kept else round(trained - began),
           'metrics': score(x), 'evaluation_seconds': round(time.monotonic() - evaluating), 'curve': [], 'machine': manifest._processor()}
  path.parent.mkdir(parents=True, exist_ok=True)
  if seed == 0:
    image.save(options.out / f'{row}.png', x[:100].astype(np.float32) / 127.5 - 1)
  path.write_text(json.dumps(found, indent=1) + '\n')
  return found


def processor_seconds() -> float:
  """Of the training processes so far."""
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  return used.ru_utime + used.ru_stime


def command(python, *args) -> list:
  return [python, '-m', 'experiments.fashion_mnist.peers', '--worker', *map(str, args)]


def line(found) -> str:
  numbers = {k.split('@')[0]: v['mean'] for k, v in found['metrics'].items()}
  wanted = ('fid', 'fid_infinity', 'kid', 'prdc/precision', 'prdc/recall', 'prdc/density', 'prdc/coverage')
  return (f'{found["row"]} {found["seed"]}: {found["steps"]:,} steps in {found["train_seconds"]:.0f} s, {found["parameters"]:,} parameters, '
          + ', '.join(f'{name} {numbers[name]:.3g}' for name in wanted))


def fidelity(options) -> dict:
  """Seconds of each side, the sides taking turns: the features of images under the same random weights of Inception-v3, and the Frechet distance of
  two sets of 10,000 features of 2,048. Medians of three after one round that is not counted, which compiles."""
  import flax.traverse_util
  import jax
  import jax.numpy as jnp

  from experiments.speed import run as speed
  from gen_jax import data, evals, extractors, manifest
  from gen_jax.evals import fid
  from gen_jax.extractors import inception
  run = ruler()
  sys.path.insert(0, str(HERE.parents[1] / 'tests/evals'))
  import inputs  # draws weights by name, where the public ones are 90 MB away
  weights = {name: inputs.tensor(name, shape) for name, shape in inception.public_shapes().items()}
  tensors = flax.traverse_util.unflatten_dict({k: jnp.asarray(v) for k, v in inception.from_public(weights).items()}, sep='.')
  used = extractors.Extractor('inception:random', inception.FEATURES, inception.CLASSES, inception.run, {'params': tensors})
  images = data.make(run.config, 'test').arrays['x'][:options.images]
  rng = np.random.default_rng(0)
  # Rectified, correlated and with a falling spectrum, as Inception's are.
  mixing = rng.standard_normal((2048, 2048), np.float32) / np.arange(1, 2049, dtype=np.float32)[:, None]**.5
  a, b = (np.maximum(rng.standard_normal((SAMPLES, 2048), np.float32) @ mixing + shift, 0) for shift in (0., .1))
  mine = {}

  def extract():
    mine['features'] = evals.collect([images], None, run.spec, used, ('features',)).features

  def distance():
    # In the chunks that evaluators see.
    moments = []
    for features in (a, b):
      moments.append(evals.no_moments(2048))
      for i in range(0, len(features), evals.CHUNK):
        moments[-1] = moments[-1].with_more(features[i:i + evals.CHUNK])
    mine['fid'] = fid.between(*moments)

  with tempfile.TemporaryDirectory() as folder:
    np.savez(f'{folder}/weights.npz', **weights)
    for name, array in (('images', images), ('a', a), ('b', b)):
      np.save(f'{folder}/{name}.npy', array)
    worker = speed.Worker('fidelity', *command(options.torch, 'fidelity', folder))
    try:
      times = {what: {'ours': [], 'theirs': []} for what in ('extract', 'distance')}
      for what, f in (('extract', extract), ('distance', distance)):
        for _ in range(1 + options.rounds):
          began = time.perf_counter()
          f()
          times[what]['ours'].append(time.perf_counter() - began)
          reply = worker(what)
          times[what]['theirs'].append(reply['seconds'])
    finally:
      worker.close()
    theirs = np.load(f'{folder}/theirs.npy')
  found = {'images': len(images), 'rounds': options.rounds, 'jax': jax.__version__, 'machine': manifest._processor(),
           'load_average': os.getloadavg()[0], 'features_differ': float(np.abs(mine['features'] - theirs).max() / np.abs(theirs).max()),
           'fid': {'ours': mine['fid'], 'theirs': reply['fid']}}
  for what, sides in times.items():
    medians = {side: statistics.median(seconds[1:]) for side, seconds in sides.items()}
    found[what] = {**medians, 'ratio': medians['theirs'] / medians['ours'], 'first': {s: v[0] for s, v in sides.items()}, 'rounds': sides}
    print(f'{what}: ours {medians["ours"]:.1f} s, torch-fidelity {medians["theirs"]:.1f} s, ratio {found[what]["ratio"]:.2f}; '
          f'first round, with compilation: {sides["ours"][0]:.1f} and {sides["theirs"][0]:.1f}')
  # Not measured: at the rate of the images that were, and once the distance.
  whole = {s: found['extract'][s] * 20_000 / len(images) + found['distance'][s] for s in ('ours', 'theirs')}
  found['extrapolated_to_20000_images'] = {**whole, 'ratio': whole['theirs'] / whole['ours']}
  print(f'FID of 10,000 against 10,000 images, extrapolated: ours {whole["ours"]:.0f} s, torch-fidelity {whole["theirs"]:.0f} s, '
        f'ratio {whole["theirs"] / whole["ours"]:.2f}')
  print(f'features differ by {found["features_differ"]:.1g} of the largest; the distances are {mine["fid"]:.8g} and {reply["fid"]:.8g}')
  options.out.mkdir(parents=True, exist_ok=True)
  (options.out / 'torch_fidelity.json').write_text(json.dumps(found, indent=1) + '\n')
  return found


def main(argv):
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--rows', default=','.join(PEERS))
  parser.add_argument('--seeds', type=int, default=3)
  parser.add_argument('--seconds', type=float, default=BUDGET)
  parser.add_argument('--torch', default='runs/reference/bin/python', help='the Python that has PyTorch, pythae and torch-fidelity')
  parser.add_argument('--out', default=HERE, type=pathlib.Path, help='where results/, the pictures and torch_fidelity.json go')
  parser.add_argument('--runs', default='runs/fashion_mnist', type=pathlib.Path, help='where the samples go')
  parser.add_argument('--fidelity', action='store_true')
  parser.add_argument('--images', type=int, default=500, help='of --fidelity; our extractors take 500 at once, and fill up what is less')
  parser.add_argument('--rounds', type=int, default=3, help='of --fidelity')
  options = parser.parse_args(argv)
  if options.out == HERE and options.seconds != BUDGET:
    parser.error('--seconds is for trials: --out=DIR keeps them out of the table')
  if unknown := set(options.rows.split(',')) - set(PEERS):
    parser.error(f'--rows: no {", ".join(sorted(unknown))}, there are {", ".join(PEERS)}')
  if options.fidelity:
    fidelity(options)
    return
  for seed in range(options.seeds):
    for row in options.rows.split(','):
      print(line(one(row, seed, options)), flush=True)


if __name__ == '__main__':
  if sys.argv[1:2] == ['--worker']:
    WORKERS[sys.argv[2]](*sys.argv[3:])
  else:
    from gen_jax import cli
    sys.exit(cli.verb(main)())
