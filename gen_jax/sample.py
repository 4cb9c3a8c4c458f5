"""Draws from a trained run, into a picture, a text or a piece of music. Sample i depends on --seed and i alone.

  python -m gen_jax.sample --workdir=runs/a --out=grid.png [--num=64] [--seed=0] [--columns=10] [--config.sample.FIELD=VALUE ...]
  python -m gen_jax.sample --workdir=runs/a --out=grid.png --label=3          (or its name, or --caption='red heart')
  python -m gen_jax.sample --workdir=runs/a --out=texts.txt --prompt='ROMEO:' --num=4 [--stop='JULIET:'] [--stream=True]
  python -m gen_jax.sample --workdir=runs/a --out=x.mid --prompt=begins.musicxml      (or --out=x.musicxml, x.wav, x.png)
  python -m gen_jax.sample --workdir=runs/a --out=grid.png --edit=inpaint --image=x.png --mask=mask.png

Without --label a class-conditional run draws the classes in turn, without --caption a captioned one whatever it likes. A run of several seeds
writes a file a seed. config.sample says how the family samples (sampler, steps, guidance; of text temperature, tokens, beams).
A text ends before --stop; --stream=True shows one as it is made.

An edit takes image files of the model's size, and its picture begins with them:
  inpaint       paints where --mask is white: a hole, or around a picture
  enlarge       --image is smaller, by a whole factor
  colour        --image counts as grey
  vary          --image is noised to --config.sample.strength and made again
  interpolate   --image=A,B, in --num steps along a sphere of the family's latent space
  arithmetic    --image=A,B,C: A - B + C there
  translate     --image as the other kind of the images that the run was trained on
"""
import functools
import pathlib
import sys

import jax
import numpy as np

from gen_jax import cli, core, data, edits, evals, manifest, modalities, pictures
from gen_jax import run as runs
from gen_jax.modalities import image, text

TAKES = {**dict.fromkeys(edits.EDITS, 1), 'interpolate': 2, 'arithmetic': 3, 'translate': 1}   # images
AT_ONCE = 16   # tokens of a text that --stop may end, or --stream shows


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, ('workdir', 'out'), ('sample',), workdir='', out='', num=64, seed=0, label='', caption='', columns=10,
                    edit='', image='', mask='', prompt='', stop='', stream=False)
  if flags.num < 1 or flags.columns < 1:
    raise core.InputError('--num and --columns: at least 1')
  if flags.edit and flags.edit not in TAKES:
    raise core.InputError(f'--edit={flags.edit}: there are {", ".join(TAKES)}')
  if flags.image and not flags.edit or flags.mask and flags.edit != 'inpaint':
    raise core.InputError('--image is for --edit, and --mask for --edit=inpaint')

  if flags.stream and flags.num != 1:
    raise core.InputError('--stream=True shows one text: --num=1')
  room, flags.stop = 0, flags.stop.replace('\\n', '\n')   # as a shell hands it over

  def change(config):
    nonlocal room
    config.update(flags.config)
    if flags.edit in edits.EDITS:
      if 'edit' not in config.sample:
        raise core.InputError(f'--edit={flags.edit} is done by diffusion families, and this is {config.family.name}')
      config.sample.edit = flags.edit
    elif 'edit' in config.sample:
      config.sample.edit = ''
    if flags.stop or flags.stream:
      made = (manifest.read(pathlib.Path(flags.workdir)) or {}).get('spec', {})
      if made.get('modality') != 'text' or 'tokens' not in config.sample:
        raise core.InputError(f'--stop and --stream are of text, and {flags.workdir} makes none')
      room = config.sample.tokens
      if config.sample.beams == 1:   # which have to be seen to their end
        config.sample.tokens = AT_ONCE
  run, state = runs.load(flags.workdir, change)
  if (flags.edit == 'translate') != run.spec.paired:
    raise core.InputError('this run translates: --edit=translate --image=FILE' if run.spec.paired
                          else f'--edit=translate is of runs on pairs of images, and {run.config.data.name} has none here')
  if flags.edit == 'translate':
    flags.num = 1   # nothing is drawn
  out = pathlib.Path(flags.out)
  if out.suffix not in (suffixes := modalities.of(run.spec).SUFFIXES):
    raise core.InputError(f'--out={out}: a file of {run.spec.modality} ends in {" or ".join(suffixes)}')
  one = runs.alone(run)
  condition = asked(flags, one)
  draw = editor(one, flags) if flags.edit else runs.sampler(one)
  save = functools.partial(modalities.save, spec=run.spec, columns=flags.columns)
  if flags.stop or flags.stream:
    draw, save = teller(draw, flags, run.spec, room, run.config.sample.beams > 1), text.save_said
  for i, part in enumerate(runs.parts(run, one, state)):
    path = out.with_stem(f'{out.stem}_seed{run.config.seed + i}') if run.config.seeds > 1 else out
    x = draw(part, core.fold(jax.random.key(flags.seed), 'sample'), condition, flags.num)
    try:
      save(path, x)
    except OSError as e:
      raise core.InputError(f'{path} can not be written: {e.strerror}') from None
    print(f'{flags.num} samples of step {int(state.step)}: {path}')


def asked(flags, run) -> np.ndarray | None:
  """The condition of each sample. Raises InputError for a label or caption that the run knows nothing of."""
  spec = run.spec
  reads = run.config.family.get('condition') not in (None, False, 'none')   # evals.conditional cannot ask a family that edits
  if flags.label:
    data.label(flags.label, spec)   # is refused before anything is drawn
    if not reads:
      raise core.InputError(f'--label={flags.label}: this run was trained without labels')
  if flags.prompt and not spec.tokenizer:
    raise core.InputError(f'--prompt={flags.prompt!r}: this run makes no text, music or molecules')
  if flags.caption and not (spec.words and reads):
    raise core.InputError(f'--caption={flags.caption!r}: this run knows no captions')
  if spec.modality == 'text' or flags.prompt:
    return begun(flags, run)
  if flags.caption and not text.words(flags.caption):
    raise core.InputError(f'--caption={flags.caption!r} has no words')
  if flags.caption:
    numbers = text.encode([flags.caption], spec.words, spec.length)
    said = text.words(flags.caption)
    new = [word for word, number in zip(said, numbers[0]) if number == text.UNKNOWN]
    if len(new) == len(said):
      raise core.InputError(f'--caption={flags.caption!r} has no word of the training captions')
    if new:
      print(f'not a word of the training captions: {", ".join(new)}')
    return numbers.repeat(flags.num, axis=0)
  return labels(flags, spec) if spec.classes and not spec.words else None


def labels(flags, spec) -> np.ndarray:
  """[num]: the one that is asked for, or all in turn."""
  return np.full(flags.num, data.label(flags.label, spec)) if flags.label else np.arange(flags.num) % spec.classes


def begun(flags, run) -> np.ndarray | None:
  """What each text, piece or molecule goes on from, [num, P] tokens: of what a class begins with, or END where every example begins with it, and of
  --prompt. None: nothing is asked for. Raises InputError for a prompt that is missing or too long."""
  spec, modality = run.spec, modalities.of(run.spec)
  if spec.between_turns and not flags.prompt:
    raise core.InputError('--prompt is missing: this run answers one')
  prompt = modality.prompt(flags.prompt, spec.tokenizer) if flags.prompt else np.zeros(0, np.int32)
  if spec.between_turns:
    prompt = np.append(prompt, spec.between_turns)
  every = np.tile(prompt, (flags.num, 1))
  if spec.modality == 'text' and evals.conditional(run):
    every = np.concatenate([text.size(spec.tokenizer) + labels(flags, spec)[:, None], every], axis=1)   # families.autoregressive
  elif not flags.prompt:
    return None
  elif spec.modality == 'text' and run.config.data.name != 'text':   # whose windows begin anywhere in a longer text
    every = np.insert(every, 0, text.END, axis=1)
  if every.shape[1] >= spec.shape[0]:
    raise core.InputError(f'--prompt has {every.shape[1]} tokens: with what follows the model sees {spec.shape[0]}')
  return every


def teller(draw, flags, spec, room: int, beams: bool):
  """A sampler of what texts say, AT_ONCE tokens at a time until each ends: before --stop, or after `room` tokens (0: all)."""
  def tell(state, key, prompt_NxP, n):
    begun_NxP = np.full((n, 1), text.END) if prompt_NxP is None else prompt_NxP
    x_NxL = np.pad(begun_NxP, ((0, 0), (0, spec.shape[0] - begun_NxP.shape[1])))
    last = begun_NxP.shape[1] + room if room else len(x_NxL[0])
    begun, shown = len(text.texts(begun_NxP[:1], spec.tokenizer)[0]), 0
    while True:
      before_NxL, x_NxL = x_NxL, draw(state, key, x_NxL, n)
      x_NxL[:, last:] = text.NOTHING
      whole = text.texts(x_NxL, spec.tokenizer)
      said = [one[:begun] + one[begun:].split(flags.stop, 1)[0] if flags.stop else one for one in whole]
      ended = beams or all(len(a) < len(b) or (x == y).all() for a, b, x, y in zip(said, whole, x_NxL, before_NxL))
      if flags.stream:
        # What may turn out to be a part of --stop, or of a character, waits.
        sure = len(said[0]) if ended else len(said[0].rstrip('\ufffd')) - max(0, len(flags.stop) - 1)
        print(said[0][shown:sure], end='\n' if ended else '', flush=True)
        shown = max(shown, sure)
      if ended:
        return said
  return tell


def editor(run, flags):
  """A sampler as `runs.sampler` makes, whose samples follow what --image gives. Raises InputError for files that do not fit."""
  shape = tuple(run.spec.shape)
  if len(shape) != 3:
    raise core.InputError(f'--edit={flags.edit} is of images, and this run makes x of shape {shape}')
  given = [image.load(path, shape[-1]) for path in flags.image.split(',') if path]
  if len(given) != TAKES[flags.edit]:
    raise core.InputError(f'--edit={flags.edit} takes {TAKES[flags.edit]} files in --image, not {len(given)}')
  for x in given:
    if flags.edit != 'enlarge' and x.shape != shape:
      raise core.InputError(f'--image is {x.shape[1]}x{x.shape[0]}, the model makes {shape[1]}x{shape[0]}: resize it first')
    if flags.edit == 'enlarge' and (shape[0] % x.shape[0] or shape[0] // x.shape[0] * x.shape[1] != shape[1] or x.shape[0] == shape[0]):
      raise core.InputError(f'--image is {x.shape[1]}x{x.shape[0]}: the model makes {shape[1]}x{shape[0]}, no whole multiple of it')
  if flags.edit in edits.EDITS:
    return projected(run, flags, given[0])
  if flags.edit == 'translate':
    draw = runs.sampler(run)
    return lambda state, key, condition_N, n: np.concatenate([given, draw(state, key, np.stack(given * n), n)])
  if run.family.encode is None or run.family.decode is None:
    raise core.InputError(f'--edit={flags.edit} needs a family that encodes and decodes (vae; diffusion, by a sampler that draws nothing on the way, '
                          'in more than one step)')
  encode = runs.mapped(run, lambda state, arrays, keys: run.family.encode(state, arrays['x']))
  decode = runs.mapped(run, lambda state, arrays, keys: run.family.decode(state, arrays['z'], arrays.get('condition')))

  def between(state, key, condition_N, n):
    z = encode(state, key, len(given), {'x': np.stack(given)})
    flat = z.reshape(len(z), -1)
    if flags.edit == 'interpolate':
      z_NxZ = pictures.slerp(flat[:1], flat[1:], np.linspace(0, 1, n, dtype=np.float32))[0]
    else:   # as long as its terms are, for a sum of three is longer
      z_NxZ = flat[:1] - flat[1:2] + flat[2:]
      z_NxZ, n = z_NxZ * (np.linalg.norm(flat, axis=-1).mean() / np.linalg.norm(z_NxZ)), 1
    label = {'condition': condition_N[:n]} if flags.label or flags.caption else {}
    return np.concatenate([given, decode(state, key, n, {'z': z_NxZ.reshape(n, *z.shape[1:]), **label})])
  return between


def projected(run, flags, x):
  mask = None
  if flags.edit == 'inpaint':
    if not flags.mask:
      raise core.InputError('--edit=inpaint needs --mask=FILE, white where the model paints')
    mask = (image.load(flags.mask, 1) > 0).astype(np.float32)
    if mask.shape[:2] != x.shape[:2]:
      raise core.InputError(f'--mask is {mask.shape[1]}x{mask.shape[0]}, --image {x.shape[1]}x{x.shape[0]}: they must be of one size')
  draw, times = runs.sampler(run), run.spec.shape[0] // len(x)
  shown = x.repeat(times, axis=0).repeat(times, axis=1) if mask is None else x * (1 - mask)   # what is to be painted is grey

  def edited(state, key, condition_N, n):
    every = lambda a: np.broadcast_to(a, (n, *a.shape))
    condition = {'given': every(x), **({} if mask is None else {'mask': every(mask)})}
    if flags.label or flags.caption:   # else it is free what the image shows
      condition['label'] = np.asarray(condition_N, np.int32)
    return np.concatenate([shown[None], draw(state, key, condition, n)])
  return edited


if __name__ == '__main__':
  sys.exit(main())
