"""Our loop at work: a worker of experiments/speed/run.py."""
import contextlib
import json
import os
import pathlib
import sys
import tempfile
import time

import jax
import numpy as np

from gen_jax import config as configs
from gen_jax import data, log, loop, run


def training(config):
  """A function of seconds that trains at least that long with the loop's own dispatch and inputs; and the number of parameters."""
  config.steps = 10**9   # inputs do not end
  source = data.make(config, 'train')
  game = run.build(config, source.spec)
  state = run.initial(game)
  parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
  turns = max(role.turns for role in game.family.roles.values())
  inputs, resident = loop._inputs(game, source, turns, 0)
  dispatch = loop._dispatch(game, state, resident is not None)

  def train(seconds):
    nonlocal state
    steps, began, pending = 0, time.perf_counter(), None
    while time.perf_counter() - began < seconds or not steps:
      state, metrics = dispatch(state, resident, next(inputs))
      jax.block_until_ready(pending)   # as in the loop: one dispatch ahead
      pending = metrics
      steps += config.steps_per_dispatch
    jax.block_until_ready(state)
    return {'steps': steps, 'seconds': time.perf_counter() - began}

  def bare(steps):
    """Seconds a step of the same program on one and the same input, its metrics unread."""
    nonlocal state
    given, began = next(inputs), time.perf_counter()
    for _ in range(0, steps, config.steps_per_dispatch):
      state, _ = dispatch(state, resident, given)
    jax.block_until_ready(state)
    return (time.perf_counter() - began) / steps
  return train, bare, parameters


def whole(config, steps):
  """Seconds a step of loop.train, with its log and without pictures and checkpoints: from the rates it logs, the first left out (it compiles)."""
  config = configs.ConfigDict(config)
  config.update(steps=steps, checkpoint_every=steps, sample_every=0, eval_every=0)
  with tempfile.TemporaryDirectory() as workdir, open(os.devnull, 'w') as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
    loop.train(config.lock(), workdir)
    rows = log.read(pathlib.Path(workdir) / 'metrics.jsonl')
  return float(np.mean([1 / row['time']['steps_per_second'] for row in rows[1:]]))


def main(directory, kind):
  config = configs.load(pathlib.Path(directory) / 'config.json')
  train, bare, parameters = training(configs.ConfigDict(config))
  train(0.)
  train(1.)
  print(json.dumps({'parameters': parameters, 'jax': jax.__version__}), flush=True)
  for line in sys.stdin:
    if kind == 'overhead':
      # As many steps as fit, in whole log periods.
      steps = config.log_every * max(1, round(float(line) / bare(config.log_every) / config.log_every))
      answer = {'steps': steps, 'bare': bare(steps), 'whole': whole(config, steps + config.log_every)}
    else:
      answer = train(float(line))
    print(json.dumps(answer), flush=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
