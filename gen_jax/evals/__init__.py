"""Evaluators, one file each: `make(run, split) -> (state, samples) -> {name: number}`, for a run of one seed.

samples = {'x': [N, ...], 'condition': [N] or absent}: ONE draw that all evaluators share; None for a family that does not sample.
"""
import jax
import numpy as np

from gen_jax import core
from gen_jax import run as runs


def make(run, split: str = 'validation'):
  """state -> {'evaluator/name': number, or [S] under seeds}, by the evaluators that config.evals names, against a split."""
  names = [name for name in run.config.evals.split(',') if name]
  one = runs.alone(run)
  evaluators = {name: core.module('evals', name).make(one, split) for name in names}
  draw = runs.sampler(one) if names and one.family.sample else None
  n, classes = run.config.eval_examples, run.spec.classes
  condition = np.arange(n, dtype=np.int32) % classes if classes else None

  def evaluate(state) -> dict:
    rows = []
    for i, part in enumerate(runs.parts(run, one, state)):
      samples = None
      if draw:
        samples = {'x': draw(part, core.fold(jax.random.key(run.config.seed + i), 'evaluate'), condition, n)}
        samples |= {} if condition is None else {'condition': condition}
      rows.append({f'{name}/{k}': v for name, f in evaluators.items() for k, v in f(part, samples).items()})
    return {k: np.array([row[k] for row in rows]) if run.family.seeds else rows[0][k] for k in rows[0]}
  return evaluate
