"""Tokens a second of our decoding and of Hugging Face's `generate` with its cache, on one trained transformer, in turns.

  python -m gen_jax.train --config=configs/text_gpt.py --workdir=runs/decode --config.data.path=FILE --config.data.length=257 --config.steps=300
  python3 -m venv runs/reference && runs/reference/bin/pip install torch transformers numpy
  python -m experiments.speed.decode --workdir=runs/decode --json=out.json [--torch=runs/reference/bin/python] [--rounds=5]

What is timed is drawn at temperature 1 after prompts of 16 held-out tokens; how many tokens are the same at temperature 0 shows that it is one model.
The machine must have nothing else to do.
"""
import json
import pathlib
import statistics
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np

from experiments.speed import run as speed
from gen_jax import cli, core
from gen_jax import run as runs
from gen_jax.modalities import text

PROMPT, BATCHES = 16, (1, 64)
THEIRS = pathlib.Path(__file__).with_name('generate.py')


def sampler(workdir, temperature):
  game, state = runs.load(workdir, lambda config: config.sample.update({'temperature': temperature}))

  @jax.jit
  def draw(seed, prompt_NxP):
    return game.family.sample(state, core.per_example(jax.random.key(seed), jnp.arange(len(prompt_NxP))), prompt_NxP)
  return game, state, lambda seed, prompt_NxP: np.asarray(draw(seed, prompt_NxP))


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('workdir', 'json'), workdir='', json='', torch='runs/reference/bin/python', rounds=5)
  rows, (game, state, likeliest), (*_, drawn) = [], sampler(flags.workdir, 0.), sampler(flags.workdir, 1.)
  length = game.spec.shape[0]
  with tempfile.TemporaryDirectory() as folder:
    weights = jax.tree_util.tree_leaves_with_path(jax.device_get(state.averaged('model')))
    np.savez(f'{folder}/weights.npz', **{'/'.join(key.key for key in path): leaf for path, leaf in weights})
    theirs = speed.Worker(THEIRS.name, flags.torch, THEIRS, f'{folder}/weights.npz', length)
    ask = lambda prompt_NxP, sample: theirs(json.dumps({'prompt': prompt_NxP.tolist(), 'sample': sample}))
    try:
      for n in BATCHES:
        prompt_NxP = runs.held_out(game, 'validation', n)['x'][:, 1:1 + PROMPT]
        same = np.mean(likeliest(0, prompt_NxP) == np.array(ask(prompt_NxP, False)['tokens']))
        drawn(0, prompt_NxP)   # compiles
        ask(prompt_NxP, True)
        ours, peer = [], []
        for seed in range(flags.rounds):
          began = time.perf_counter()
          made = drawn(seed, prompt_NxP)
          ours.append((made[:, PROMPT:] != text.NOTHING).sum() / (time.perf_counter() - began))
          answer = ask(prompt_NxP, True)
          peer.append((np.array(answer['tokens'])[:, PROMPT:] != text.NOTHING).sum() / answer['seconds'])
        rows.append({'batch': n, 'ours': speed.spread(ours), 'theirs': speed.spread(peer), 'ratio': statistics.median(ours) / statistics.median(peer),
                     'same_tokens': same, **theirs.ready})
        print(f'batch {n}: ours {statistics.median(ours):,.0f} tokens/s, transformers {statistics.median(peer):,.0f}, ratio {rows[-1]["ratio"]:.1f}; '
              f'{same:.1%} of the tokens at temperature 0 are the same', flush=True)
    finally:
      theirs.close()
  pathlib.Path(flags.json).write_text(json.dumps({'machine': speed.machine(), 'rows': rows}, indent=1) + '\n')


if __name__ == '__main__':
  sys.exit(main())
