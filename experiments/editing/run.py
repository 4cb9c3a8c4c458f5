"""Edits of held-out emoji by the text-to-image model: pictures, and whether seams show; what lies between two emoji, and sums of three.

  python -m experiments.text_to_image.run                        # trains the model
  python -m experiments.editing.run [--workdir=runs/text_to_image/emoji_text]
"""
import argparse
import pathlib
import sys
import tempfile

import jax
import numpy as np
from PIL import Image

from experiments import study
from gen_jax import cli, core
from gen_jax import run as runs
from gen_jax.modalities import image, text

HERE = pathlib.Path(__file__).parent
ROWS, TRIES = 6, 3
STRENGTHS = (.3, .5, .7)
# A - B + C; of training and held-out emoji.
SUMS = (('blue heart', 'large blue circle', 'large red circle'), ('blue book', 'large blue circle', 'large red circle'),
        ('crying cat face', 'crying face', 'loudly crying face'))
# Noise on the way lets the rest come to fit what is given.
SAMPLE = dict(sampler='ddpm', steps=60, guidance=1.)


def mean_pooled(x_N, factor=4):
  n, h, w, c = x_N.shape
  return x_N.reshape(n, h // factor, factor, w // factor, factor, c).mean((2, 4))


def jump(x_N, mask) -> float:
  """Mean absolute difference of neighbours on either side of the mask's border."""
  found = []
  for axis in (0, 1):
    across = np.diff(mask[..., 0], axis=axis) != 0
    found.append(np.abs(np.diff(x_N, axis=axis + 1))[:, across].ravel())
  return float(np.concatenate(found).mean())


def between(run, x_N, workdir):
  """What `gen_jax.sample` makes of files: the ways from each picture to the next, and the sums of SUMS."""
  ode = '--config.sample.sampler=heun', f'--config.sample.steps={SAMPLE["steps"] // 2}', '--config.sample.guidance=1.'
  every = {tuple(words): x for split in ('train', 'test') for part in [runs.held_out(run, split, 10_000)]
           for words, x in zip(part['condition'].tolist(), part['x'])}
  with tempfile.TemporaryDirectory() as folder:
    def edit(name, kind, pictures):
      paths = [f'{folder}/{i}.png' for i in range(len(pictures))]
      for path, x in zip(paths, pictures):
        Image.fromarray(image.to_uint8(x)).save(path)
      study.verb('sample', f'--workdir={workdir}', f'--edit={kind}', f'--image={",".join(paths)}', '--num=8', '--columns=10', *ode,
                 f'--out={HERE / name}.png')
    for i in range(0, ROWS, 2):
      edit(f'between_{i // 2}', 'interpolate', x_N[i:i + 2])
    for i, names in enumerate(SUMS):
      edit(f'sum_{i}', 'arithmetic', [every[tuple(words)] for words in text.encode(names, run.spec.words, run.spec.length).tolist()])


@cli.verb
def main(argv):
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--workdir', default='runs/text_to_image/emoji_text', type=pathlib.Path)
  options = parser.parse_args(argv)
  run, _ = runs.load(options.workdir)
  test = runs.held_out(run, 'test', 10_000)
  x_N, words = test['x'][::len(test['x']) // ROWS][:ROWS], test['condition'][::len(test['x']) // ROWS][:ROWS]
  size = x_N.shape[1]
  hole = np.zeros((size, size, 1), np.float32)
  hole[size // 4:3 * size // 4, size // 4:3 * size // 4] = 1
  tasks = {'inpaint': ('inpaint', x_N, hole, {}), 'outpaint': ('inpaint', x_N, 1 - hole, {}), 'enlarge': ('enlarge', mean_pooled(x_N), None, {}),
           'colour': ('colour', x_N, None, {}), **{f'vary_{s}': ('vary', x_N, None, dict(strength=s)) for s in STRENGTHS}}
  lines = []
  for name, (edit, given, mask, more) in tasks.items():
    edited, state = runs.load(options.workdir, lambda config, edit=edit, more=more: config.sample.update({**SAMPLE, **more, 'edit': edit}))
    condition = {'given': given.repeat(TRIES, axis=0), 'label': words.repeat(TRIES, axis=0)}
    if mask is not None:
      condition['mask'] = np.broadcast_to(mask, (len(condition['given']), *mask.shape))
    out = runs.sampler(edited)(state, core.fold(jax.random.key(0), name), condition, len(condition['given']))
    factor = size // given.shape[1]
    seen = given.repeat(factor, axis=1).repeat(factor, axis=2)
    seen = seen * (1 - mask) if mask is not None else seen.mean(-1, keepdims=True).repeat(3, axis=-1) if edit == 'colour' else seen
    image.save(HERE / f'{name}.png', np.concatenate([x_N[:, None], seen[:, None], out.reshape(ROWS, TRIES, *x_N.shape[1:])], 1)
               .reshape(-1, *x_N.shape[1:]), 2 + TRIES)
    if mask is not None:
      kept = np.abs((out - condition['given']) * (1 - mask)).max()
      lines.append(f'| {name} | {kept:.1g} | {jump(out, mask):.3f} | {jump(x_N, mask):.3f} | {jump(seen, mask):.3f} |')
  between(run, x_N, options.workdir)
  print('| edit | change of what is given | step across the border | of the real images | of the hole before |\n| --- | ---: | ---: | ---: | ---: |')
  print('\n'.join(lines))


if __name__ == '__main__':
  sys.exit(main())
