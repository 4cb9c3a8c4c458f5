"""What the two choices of gen_jax/networks/conv.py and core.scan rest on, in milliseconds: python -m experiments.speed.conv

Each table is measured with XLA's defaults, with YNNPACK's fusions taken out, and with those for single dots and reductions alone, as
gen_jax sets it; under a minute in all.
"""
import os
import subprocess
import sys
import time

FLAG = '--xla_cpu_experimental_ynn_fusion_type='
SETTINGS = {'default flags': '', 'no fusion': FLAG, 'individual_dot,reduce': f'{FLAG}individual_dot,reduce'}


def measure(calls: dict, rounds: int = 7) -> dict:
  """Medians in ms, the calls interleaved."""
  import jax
  import numpy as np
  jitted = {name: (jax.jit(f), args) for name, (f, args) in calls.items()}
  times = {name: [] for name in calls}
  for f, args in jitted.values():
    jax.block_until_ready(f(*args))
  for _ in range(rounds):
    for name, (f, args) in jitted.items():
      began = time.perf_counter()
      jax.block_until_ready(f(*args))
      times[name].append(1e3 * (time.perf_counter() - began))
  return {name: float(np.median(t)) for name, t in times.items()}


def table():
  """One setting of the flags, in this process: prints 'name<TAB>ms'."""
  import flax.linen as nn
  import jax
  import jax.numpy as jnp

  given = os.environ['XLA_FLAGS']
  from gen_jax.networks.conv import depth_to_space
  os.environ['XLA_FLAGS'] = given   # importing gen_jax sets the flag that is to be measured; XLA reads them at the first device

  def normal(i, *shape):
    return jax.random.normal(jax.random.fold_in(jax.random.key(0), i), shape)

  def passes(name, f, w, x, y):
    """Forward, dx and dw of y = f(w, x)."""
    return {f'{name}: forward': (f, (w, x)),
            f'{name}: dx': (lambda w, x, y: jax.vjp(lambda x: f(w, x), x)[1](y), (w, x, y)),
            f'{name}: dw': (lambda w, x, y: jax.vjp(lambda w: f(w, x), w)[1](y), (w, x, y))}

  conv = nn.Conv(64, (3, 3), use_bias=False)
  w, x = {'params': {'kernel': normal(0, 3, 3, 64, 64)}}, normal(1, 32, 28, 28, 64)
  calls = passes('3x3 64->64 28x28', conv.apply, w, x, x)

  # 14x14 -> 28x28, 64 channels to 32.
  small, large = normal(2, 32, 14, 14, 64), normal(3, 32, 28, 28, 32)
  transposed, shuffled = nn.ConvTranspose(32, (4, 4), (2, 2), use_bias=False), nn.Conv(4 * 32, (3, 3), use_bias=False)
  calls |= passes('ConvTranspose 4x4 /2, 64->32', transposed.apply, {'params': {'kernel': normal(4, 4, 4, 64, 32)}}, small, large)
  calls |= passes('3x3 + depth_to_space, 64->32', lambda w, x: depth_to_space(shuffled.apply(w, x)),
                  {'params': {'kernel': normal(5, 3, 3, 64, 128)}}, small, large)

  # Small, for the rolled loop takes seconds where the layer above has 64 channels.
  conv = nn.Conv(16, (3, 3), use_bias=False)
  w, x = {'params': {'kernel': normal(6, 3, 3, 16, 16)}}, normal(7, 16, 14, 14, 16)
  pairs = jnp.stack([x, x])

  def twice(unroll):
    def f(w, pairs):
      dw = lambda x: jax.vjp(lambda w: conv.apply(w, x), w)[1](x)[0]
      return jax.lax.scan(lambda carry, x: (jax.tree.map(jnp.add, carry, dw(x)), None), w, pairs, unroll=unroll)[0]
    return f
  calls['two dw 16->16 14x14 in a scan, rolled'] = twice(False), (w, pairs)
  calls['two dw 16->16 14x14 in a scan, unrolled'] = twice(True), (w, pairs)

  # The widest layer of the MLP nets.
  calls |= passes('dense 784->512, batch 64', lambda w, x: x @ w, normal(8, 784, 512), normal(9, 64, 784), normal(10, 64, 512))
  calls['sum of 1,000,000 squares'] = lambda x: (x**2).sum(), (normal(11, 1_000_000),)
  for name, ms in measure(calls).items():
    print(f'{name}\t{ms:.2f}')


def main():
  columns = []
  for flags in SETTINGS.values():
    env = {**os.environ, 'XLA_FLAGS': f'{os.environ.get("XLA_FLAGS", "")} {flags}'.strip()}
    out = subprocess.run([sys.executable, '-m', 'experiments.speed.conv', 'table'], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    columns.append(dict(line.split('\t') for line in out.splitlines()))
  print('| ms, median of 7 | ' + ' | '.join(SETTINGS) + ' |\n|---|' + len(columns) * '---:|')
  for name in columns[0]:
    print(f'| {name} | ' + ' | '.join(column[name] for column in columns) + ' |')


if __name__ == '__main__':
  table() if sys.argv[1:] == ['table'] else main()
