"""Evaluators, one file each: `NEEDS` and `make(run, split) -> (state, samples) -> {name: number or (number, standard error)}`, for a run of one seed.

NEEDS names what the evaluator reads of a `Draw`: 'moments', 'features', 'logits', 'x'. All evaluators share ONE draw of samples, made chunk by
chunk: moments stream, and nothing is kept that no evaluator needs. What is measured with an extractor carries its name, `fid@fmnist-cnn:1a2b3c4d`.
A family that does not sample is refused, unless the module has WITHOUT_SAMPLES = True: then `samples` may be None.
"""
import hashlib
import json
import os
from typing import NamedTuple

import jax
import numpy as np

from gen_jax import core, data, extractors, manifest
from gen_jax import run as runs
from gen_jax.modalities import image

OF_FEATURES = {'moments', 'features', 'logits'}
CHUNK = 500   # examples that an extractor sees at once


class Moments(NamedTuple):
  """Of features, in float64."""
  count: int
  mean: np.ndarray           # [F]
  scatter: np.ndarray        # [F, F], the sum of the squares about the mean

  @property
  def covariance(self):
    return self.scatter / (self.count - 1)

  def with_more(self, features_NxF) -> 'Moments':
    """Pairwise update (Chan, Golub and LeVeque 1979): the same for any chunks, to rounding."""
    x = np.asarray(features_NxF, np.float64)
    if not len(x):
      return self
    n, mean = len(x), x.mean(0)
    centred, moved, total = x - mean, mean - self.mean, self.count + n
    return Moments(total, self.mean + moved * n / total, self.scatter + centred.T @ centred + np.outer(moved, moved) * self.count * n / total)


def no_moments(size: int) -> Moments:
  return Moments(0, np.zeros(size), np.zeros((size, size)))


class Draw(NamedTuple):
  """N examples as evaluators see them: samples, or real ones of a split. What nobody needs is None.

  Moments, features and logits are of the M <= N that the extractor can see: of molecules, some samples are none (extractors.chemnet).
  """
  condition: np.ndarray | None          # [N, ...]; of samples, what was asked for, None where nothing can be
  moments: Moments | None = None
  features: np.ndarray | None = None    # [M, F] float32
  logits: np.ndarray | None = None      # [M, C] float32
  x: np.ndarray | None = None           # [N, ...] uint8, or float32 where x is unbounded


def named(config) -> dict:
  """The modules that config.evals names. Raises InputError for one that there is not."""
  return {name: core.module('evals', name) for name in config.evals.split(',') if name}


def make(run, split: str = 'validation'):
  """state -> {'evaluator/name@extractor': number, or [S] under seeds}, by the evaluators that config.evals names, against a split."""
  modules = named(run.config)
  for name, module in modules.items():
    if run.family.sample is None and module.NEEDS and not getattr(module, 'WITHOUT_SAMPLES', False):
      raise core.InputError(f'{name} is of samples, and the family {run.config.family.name} makes none: leave it out of config.evals')
    if run.spec.between_turns and module.NEEDS and not hasattr(module, 'OF_ANSWERS'):   # samples begin with what is held out
      raise core.InputError(f'{name} is of whole texts, and of a dialogue only the answers are made: leave it out of config.evals')
  one = runs.alone(run)
  evaluators = {name: module.make(one, split) for name, module in modules.items()}
  needs = {need for module in modules.values() for need in module.NEEDS}
  used = extractor(one) if needs & OF_FEATURES else None
  draw = runs.sampler(one, runs.chunked) if needs and one.family.sample else None
  n, condition = asked(one, split) if draw else (run.config.eval_examples, None)

  def evaluate(state) -> dict:
    rows = []
    for i, part in enumerate(runs.parts(run, one, state)):
      key = core.fold(jax.random.key(run.config.seed + i), 'evaluate')
      samples = collect(draw(part, key, condition, n), condition, run.spec, used, needs) if draw else None
      found = {}
      for name, f in evaluators.items():
        for k, v in f(part, samples).items():
          k = name if k == name else f'{name}/{k}'
          k += f'@{used.name}' if OF_FEATURES & set(modules[name].NEEDS) else ''
          found[k], error = v if isinstance(v, tuple) else (v, None)
          if error is not None and not run.family.seeds:   # several seeds have an error of their own
            found[f'{k}_stderr'] = error
      rows.append(found)
    return {k: np.array([row[k] for row in rows]) if run.family.seeds else rows[0][k] for k in rows[0]}
  return evaluate


def asked(run, split: str) -> tuple[int, np.ndarray | None]:
  """How many samples are drawn, and of what: of held-out images, turns or captions, one each; of labels, in turn; None: of nothing."""
  n, spec = run.config.eval_examples, run.spec
  if spec.paired or spec.between_turns or spec.words and run.config.family.get('condition') is True:   # of a GAN it is a word
    seen = runs.held_out(run, split, n)
    condition = runs.prompts(spec, seen['x']) if spec.between_turns else seen['condition']
    return len(condition), condition
  return n, np.arange(n, dtype=np.int32) % spec.classes if conditional(run) else None


def conditional(run) -> bool:
  """Whether the family is asked for classes: whether its sampling program reads them. Of labels that nobody reads, no metric means anything."""
  if not run.spec.classes or run.family.sample is None:
    return False
  # Without a mesh, whose program hands on all it is given.
  (family, frozen), key = runs.game(run.config, run.spec), jax.random.key(0)
  state = jax.eval_shape(lambda: core.create(family, key, runs.example(run.spec))).replace(frozen=frozen)
  program = jax.make_jaxpr(family.sample)(state, key[None], np.zeros(1, np.int32)).jaxpr
  return any(program.invars[-1] is x for equation in program.eqns for x in equation.invars)


def extractor(run) -> extractors.Extractor:
  return extractors.make(run.config.frozen.extractor, run.config.data.name, run.spec)


def collect(chunks, condition, spec, extractor, needs) -> Draw:
  """A Draw of chunks of examples, x as families make or sources store it. Raises RunError for samples that are not finite or out of range."""
  needs, kept, moments = set(needs), {name: [] for name in needs}, None
  if extractor is not None:
    apply, moments = jax.jit(extractor.apply), no_moments(extractor.size)
  for x in _evened(stored(x, spec) for x in chunks):
    if extractor is not None:
      # The last call is filled up: one shape, one compilation.
      seen = extractor.prepare(x)
      filled = np.concatenate([seen, np.zeros((CHUNK - len(seen), *seen.shape[1:]), seen.dtype)])
      features, logits = (None if v is None else v[:len(seen)] for v in jax.device_get(apply(extractor.params, filled)))
      if 'moments' in needs:
        moments = moments.with_more(features)
      for name, value in (('features', features), ('logits', logits)):
        if name in needs:
          kept[name].append(value)
    if 'x' in needs:
      kept['x'].append(x)
  joined = {name: np.concatenate(parts) for name, parts in kept.items() if parts and parts[0] is not None}
  return Draw(condition, moments if 'moments' in needs else None, **joined)


def _evened(chunks):
  """The same examples, CHUNK at once but for the last: an extractor takes as long for a chunk that is filled up."""
  left = None
  for x in chunks:
    left = x if left is None else np.concatenate([left, x])
    while len(left) >= CHUNK:
      yield left[:CHUNK]
      left = left[CHUNK:]
  if left is not None and len(left):
    yield left


def stored(x, spec):
  """x in the form that data sets are stored in, uint8 where it is bounded: what is compared has the same 256 levels."""
  if x.dtype == np.uint8:
    return x
  broken = ~np.isfinite(x).reshape(len(x), -1).all(1)
  if broken.any():
    raise core.RunError(f'{broken.sum()} of {len(x)} samples are not finite')
  if tuple(x.shape[1:]) != tuple(spec.shape):
    raise core.RunError(f'samples of shape {x.shape[1:]}, the data is {tuple(spec.shape)}')
  if not spec.bounded:
    return x
  if np.abs(x).max() > 1 + 1e-3:
    raise core.RunError(f'samples reach {np.abs(x).max():.3g}, beyond [-1, 1]')
  return image.to_uint8(x)


def real(run, split: str, needs, n: int | None = None) -> Draw:
  """The real examples of a split as a Draw: at most n of them (None: config.eval_examples), spread over the split.

  Features lie on disk beside the data (`cached`).
  """
  source = runs.same_data(run, split)
  n = min(n or run.config.eval_examples, source.size)
  taken_N = data.Plan(0, source.size, n)(0)
  # Chunk by chunk: of a large folder that is streamed, all would not fit.
  chunks = lambda name: (source.take(taken_N[i:i + CHUNK]).get(name) for i in range(0, n, CHUNK))
  taken = source.take(taken_N) if 'x' in needs else {}
  if 'logits' in needs and source.spec.classes and not taken:
    taken = {'condition': np.concatenate(list(chunks('condition')))}
  found = Draw(taken.get('condition'), x=taken.get('x'))
  if not OF_FEATURES & set(needs):
    return found
  used = extractor(run)
  names = {'features', 'logits'} if used.classes else {'features'}
  # A folder's images have the checksum of their files at any size, and a text has its own under any tokenizer.
  tokenizer = hashlib.sha256(source.spec.tokenizer.encode()).hexdigest()
  key = {'data': source.checksum, 'shape': source.spec.shape, 'tokenizer': tokenizer, 'split': split, 'examples': n, 'extractor': used.name}
  kept = cached(key, names, lambda: collect(chunks('x'), None, run.spec, used, names)._asdict())
  return found._replace(moments=no_moments(used.size).with_more(kept['features']), features=kept['features'], logits=kept.get('logits'))


def cached(key: dict, names, make) -> dict[str, np.ndarray]:
  """The arrays `names` of what `make()` returns, from a file beside the data where it has been made: under key, which says all that they depend on,
  and this machine's numerics. Raises InputError for a file there that cannot be read or is of something else."""
  key = json.dumps({**key, **manifest.numerics()})
  path = data.directory() / 'references' / f'{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz'
  if not path.exists():
    fresh = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f'.{os.getpid()}.partial')
    with open(partial, 'wb') as f:
      np.savez(f, key=key, **{name: fresh[name] for name in names})
    partial.replace(path)
  try:
    with np.load(path) as file:
      there, kept = str(file['key']), {name: file[name] for name in names}
  except Exception as e:   # what a damaged zip raises is of many kinds
    raise core.InputError(f'{path} cannot be read ({e}): delete it, and it is made again') from None
  if there != key:
    raise core.InputError(f'{path} is of {there}, not of {key}: delete it, and it is made again')
  return kept


def few(run, moments: Moments) -> bool:
  """Whether a covariance has fewer examples than features, and config.eval_few does not allow it; or has none."""
  return moments.count <= (1 if run.config.eval_few else len(moments.mean))


def enough(run, moments: Moments, what: str):
  """Raises InputError where there are `few`."""
  if few(run, moments):
    raise core.InputError(f'{what}: {moments.count} examples for {len(moments.mean)} features give a singular covariance and a number far too large: '
                          'more config.eval_examples, or config.eval_few=True to have it all the same')
