"""What samples are worth as training data: a fresh classifier learns from them and their labels, and is tested on real examples.

`samples` is the classification accuracy score (Ravuri and Vinyals 2019, https://arxiv.org/abs/1905.10887), `real` the same classifier's from as many
real training images, or all where there are fewer. `augmented_P%` is its accuracy from P % of the real training images, as many of each class, and
all samples together; `real_P%` from the former alone. One fixed protocol, four trainings an evaluation; what does not depend on samples is trained
once and lies on disk.
"""
import functools

import jax
import numpy as np

from gen_jax import config as configs
from gen_jax import core, data, evals
from gen_jax import run as runs

NEEDS = ('x',)
STEPS = 500
BATCH = 128
PERCENTS = (1, 10, 100)
MOST = 50_000   # real training images at most: they are held in memory


@functools.lru_cache(maxsize=2)   # or every evaluator of a run would compile it again
def trainer(data_name: str, spec: data.Spec, steps: int):
  """((x_N as stored, labels_N), (x_M, labels_M)) -> (accuracy on the second after training on the first, standard error); compiled once.

  A function of its arguments to the bit. Raises InputError for what the network conv does not take.
  """
  config = protocol(data_name, steps)
  family = runs.build(config, spec).family
  root = jax.random.key(config.seed)

  @jax.jit
  def step(state, raw):
    # Keys as the loop has them.
    key = jax.random.fold_in(core.fold(root, 'step'), state.step)
    keys = core.per_example(core.fold(key, 'example'), np.arange(BATCH))
    return family.step(family, state, data.normalise(raw), keys, core.fold(key, 'batch'))[0]

  @jax.jit
  def right(state, raw):
    return family.score(state, data.normalise(raw), core.per_example(root, np.arange(BATCH)))['accuracy']
  start = jax.jit(lambda: core.create(family, core.fold(root, 'init'), runs.example(spec)))

  def train(examples, test):
    taken = lambda arrays, i: {'x': arrays[0][i], 'condition': np.asarray(arrays[1], np.int32)[i]}
    plan, state, n = data.Plan(config.seed, len(examples[0]), BATCH), start(), len(test[0])
    for i in range(config.steps):
      state = step(state, taken(examples, plan(i)))
    # Past its end the test set's last example fills the call up.
    found = [right(state, taken(test, np.minimum(np.arange(i, i + BATCH), n - 1))) for i in range(0, n, BATCH)]
    found = np.concatenate(found)[:n]
    return float(found.mean()), float(found.std() / n**.5)
  return train


def protocol(data_name, steps):
  config = configs.base(data_name, 'classifier', 'conv', model=dict(learning_rate=1e-3, schedule='cosine'))
  config.update(steps=steps, batch_size=BATCH, mesh='data=1')
  return config


def balanced(labels_N, percent, seed=0) -> np.ndarray:
  """Indices of `percent` % of each class, at least one; those of fewer are among those of more."""
  rng = np.random.default_rng(seed)
  order = [rng.permutation(np.flatnonzero(labels_N == c)) for c in np.unique(labels_N)]
  return np.sort(np.concatenate([c[:max(1, round(len(c) * percent / 100))] for c in order]))


def make(run, split):
  """Raises InputError for a family that is not asked for classes, for what is no image that the classifier takes, and for the training split."""
  if not evals.conditional(run):
    raise core.InputError('cas is for families that are asked for a class: this one draws without')
  if split == 'train':
    raise core.InputError('cas tests on what the classifier has not seen: --split=test or validation')
  train = trainer(run.config.data.name, run.spec, STEPS)
  held_out, real = (evals.real(run, name, NEEDS, n) for name, n in ((split, None), ('train', MOST)))
  test, subset = (held_out.x, held_out.condition), lambda i: (real.x[i], real.condition[i])
  few = {percent: subset(balanced(real.condition, percent)) for percent in PERCENTS}
  n = run.config.eval_examples

  @functools.cache
  def of_real():
    plain = configs.plain(protocol(run.config.data.name, STEPS))
    key = {'cas': {k: plain[k] for k in ('seed', 'steps', 'batch_size', 'family', 'network', 'roles')}, 'percents': PERCENTS, 'most': MOST,
           **{name: data.make(run.config, name).checksum for name in ('train', split)}, 'split': split, 'shape': run.spec.shape,
           'examples': [n, len(test[0])]}
    each = {'real': subset(np.arange(min(n, len(real.x)))), **{f'real_{percent}%': examples for percent, examples in few.items()}}
    return evals.cached(key, each, lambda: {name: np.array(train(examples, test)) for name, examples in each.items()})

  def evaluate(state, samples):
    drawn = samples.x, samples.condition
    both = lambda examples: tuple(map(np.concatenate, zip(examples, drawn)))
    return {'samples': train(drawn, test), **{f'augmented_{percent}%': train(both(examples), test) for percent, examples in few.items()},
            **{name: tuple(map(float, value)) for name, value in of_real().items()}}
  return evaluate
