"""What a report shows of a run: its samples and their nearest training images, and ways through its latent space, or what it writes.

Of the first seed, from fixed keys: the same checkpoint gives the same pictures.
"""
import pathlib
import tempfile

import numpy as np

from gen_jax import core, data, evals, modalities
from gen_jax import run as runs
from gen_jax.evals.memorisation import nearest
from gen_jax.modalities import image, music, text

ROWS, COLUMNS = 10, 11   # odd: the middle of a traversal is the prior's mean
DRAWS = 1000             # latents that the prior's mean and deviation are taken from
TRIED, BASES = 256, 4    # coordinates, and draws that they are moved from, to find those with the largest effect
TRAVERSED = 6
SHOWN = 20               # samples with their neighbours
SEARCHED = 10_000        # training images at most: each goes through the extractor


def make(run, state) -> list[dict]:
  """[{'title', 'caption', 'png': bytes or 'text'}] of what the family can show of images, points, text, music or molecules; else none."""
  one = runs.alone(run)
  spec, family, state = one.spec, one.family, runs.parts(run, one, state)[0]
  if spec.tokenizer and family.sample:
    n, condition_N = runs.grid_conditions(one)
    x_NxL = runs.sampler(one)(state, core.fold(one.key, 'grid'), condition_N, n)   # as the loop's samples/step_N
    caption = {'text': '', 'molecule': 'The first that are molecules. ',
               'music': f'Time across, pitch up, a line at every C{"; " + music.COLOUR_NAMES if spec.tokenizer == "voices" else ""}. '}[spec.modality]
    if spec.between_turns:
      caption += 'Each answers the first turn of a held-out dialogue.'
    elif runs.goes_on(spec):
      caption += f'Each goes on from at most the first {condition_N.shape[1]} tokens of a held-out {"text" if spec.modality == "text" else "piece"}.'
    elif evals.conditional(one):
      caption += f'Classes in turn, {one.config.sample_columns} of each.'
    if spec.modality == 'text':
      return [{'title': 'Samples', 'caption': caption, 'text': text.RULE.join(text.texts(x_NxL, spec.tokenizer))}]
    return [picture('Samples', caption, x_NxL, 1, modalities.of(spec), spec.tokenizer)]
  plane = tuple(spec.shape) == (2,)
  if family.sample is None or not (plane or len(spec.shape) == 3 and spec.shape[-1] in (1, 3)):
    return []
  draw, (n, condition_N) = runs.sampler(one), runs.grid_conditions(one)
  key, columns = core.fold(one.key, 'grid'), one.config.sample_columns   # as the loop's samples/step_N.png
  x_N = draw(state, key, condition_N, n)
  asked = evals.conditional(one)
  found = [picture('Samples', f'One class a row, 0 to {condition_N[-1]}.' if asked else f'{n:,} draws.', x_N, columns)]
  if not plane:
    found.append(neighbours(one, x_N))
  if family.decode is None:
    return found
  prior = runs.mapped(one, lambda state, arrays, keys: family.prior(state, keys))
  call = runs.mapped(one, lambda state, arrays, keys: family.decode(state, arrays['z'], arrays.get('condition')))
  z = prior(state, core.fold(key, 'prior'), DRAWS, {})

  def decode(z_NxZ, condition_N):
    arrays = {'z': z_NxZ.reshape(-1, *z.shape[1:])}
    return call(state, key, len(z_NxZ), arrays | ({'condition': np.asarray(condition_N, np.int32)} if spec.classes else {}))
  z_NxZ, columns = z.reshape(DRAWS, -1), COLUMNS * (9 if plane else 1)
  found.append(interpolations(z_NxZ, decode, columns, min(ROWS, spec.classes) if asked else ROWS, asked, plane))
  if z.ndim > 2:   # coordinates of a map, such as the noise of a diffusion, mean nothing alone
    return found
  return found + [traversals(z_NxZ, decode, columns, spec.classes // 2, asked, plane)]


def interpolations(z_NxZ, decode, columns, rows, asked, plane) -> dict:
  mean_Z = z_NxZ.mean(0)   # of a prior that is not centred, the sphere's centre
  z = mean_Z + slerp(z_NxZ[:rows] - mean_Z, z_NxZ[rows:2 * rows] - mean_Z, np.linspace(0, 1, columns, dtype=np.float32))
  condition = np.repeat(np.arange(rows), columns) if asked else np.zeros(rows * columns)
  caption = f'Each {"line" if plane else "row"} goes from one draw of the prior to another, along a sphere{"; one class a row" if asked else ""}.'
  return picture('Interpolations', caption, decode(z.reshape(rows * columns, -1), condition), columns)


def traversals(z_NxZ, decode, columns, label, asked, plane) -> dict:
  mean_Z, deviation_Z = z_NxZ.mean(0), z_NxZ.std(0)
  tried, bases = min(TRIED, z_NxZ.shape[1]), z_NxZ[:BASES]

  def moved(bases_MxZ, coordinates, values):
    """[len(coordinates), len(values), M, Z]: each base with one coordinate so many deviations from the mean."""
    z = np.tile(bases_MxZ, (len(coordinates), len(values), 1, 1))
    for i, j in enumerate(coordinates):
      z[i, :, :, j] = (mean_Z[j] + deviation_Z[j] * np.asarray(values))[:, None]
    return z

  def shown(z):
    flat = z.reshape(-1, z.shape[-1])
    return decode(flat, np.full(len(flat), label))
  ends = shown(moved(bases, np.arange(tried), (-2, 2))).reshape(tried, 2, -1)
  effect = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1)
  coordinates = np.argsort(-effect, kind='stable')[:TRAVERSED]
  x = shown(moved(bases[:1], coordinates, np.linspace(-3, 3, columns, dtype=np.float32)))
  caption = (f'One draw of the prior, a coordinate of it moved from -3 to 3 of its deviations: a {"line" if plane else "row"} each for '
             f'{", ".join(map(str, coordinates))}, those of {"the first " if tried < z_NxZ.shape[1] else ""}{tried} with the largest effect'
             f'{f"; class {label}" if asked else ""}.')
  return picture('Latent traversals', caption, x, columns)


def slerp(a_NxZ, b_NxZ, t_T) -> np.ndarray:
  """[N, T, Z], from a to b along a great circle, lengths in proportion: what is between two draws of a Gaussian in many dimensions is as long as
  they are, which the straight line's middle is not (White 2016, https://arxiv.org/abs/1609.04468)."""
  length = lambda x: np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
  cosine = ((a_NxZ / length(a_NxZ)) * (b_NxZ / length(b_NxZ))).sum(-1)
  angle = np.arccos(np.clip(cosine, -1, 1))[:, None]
  straight = np.sin(angle) < 1e-4
  along = lambda t: np.where(straight, t, np.sin(t * angle) / np.where(straight, 1, np.sin(angle)))[..., None]
  return (along(1 - t_T) * a_NxZ[:, None] + along(t_T) * b_NxZ[:, None]).astype(np.float32)


def neighbours(one, x_N) -> dict:
  """By the extractor's features where the evaluators use one, else by pixels."""
  source = data.make(one.config, 'train')
  read = {need for name in one.config.evals.split(',') if name for need in core.module('evals', name).NEEDS}
  used = evals.extractor(one) if read & evals.OF_FEATURES else None
  needs = ('x', 'features') if used else ('x',)
  train, held_out = (evals.real(one, split, needs, SEARCHED) for split in ('train', 'validation'))
  samples = x_N[np.linspace(0, len(x_N) - 1, min(SHOWN, len(x_N))).astype(int)]   # over all classes
  if used:
    fake, real, other = evals.collect([samples], None, one.spec, used, ('features',)).features, train.features, held_out.features
  else:
    fake, real, other = (x.reshape(len(x), -1) for x in (evals.stored(samples, one.spec), train.x, held_out.x))

  def found(real):
    parts = [nearest(fake, real[i:i + 1000]) for i in range(0, len(real), 1000)]   # all at once in float64 would fill the memory
    part = np.argmin([distance for _, distance in parts], axis=0)
    return np.array([(parts[p][0][i] + 1000 * p, parts[p][1][i]) for i, p in enumerate(part)]).T
  (indices, near), (_, far) = found(real), found(other)
  indices, columns = indices.astype(int), max(1, len(samples) // 2)
  both = samples, data.normalise({'x': train.x[indices]})['x']
  pairs = [x[i:i + columns] for i in range(0, len(samples) // columns * columns, columns) for x in both]
  of = '' if len(train.x) == source.size else f' (of {source.size:,})'
  ratios = ', '.join(f'{ratio:.2f}' for ratio in np.minimum(far / np.maximum(near, 1e-12), 99))
  caption = (f'Beneath each sample the nearest of {len(train.x):,} training images{of}, by {f"the features of {used.name}" if used else "pixels"}. '
             f'The nearest of {len(other):,} held-out images is so many times as far (at most 99), row by row: {ratios}. '
             'The nearest of more images is nearer, which moves them all alike; one far above the rest is learnt by heart.')
  return picture('Nearest training images', caption, np.concatenate(pairs), columns)


def picture(title, caption, x, columns, modality=image, tokenizer='') -> dict:
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'x.png'
    modality.save(path, x, columns, tokenizer)
    return {'title': title, 'caption': caption, 'png': path.read_bytes()}
