"""Checkpoints that are trusted only while their sha256 agree: `checkpoints/N/` holds the state after step N and `sha256.json`.

Orbax restores flipped bits without an error and calls a damaged newest step the latest, so each step's files are hashed after the save and
verified before a restore. What is being written or deleted is called `N.partial`: under its own name a step is finished.
"""
import hashlib
import json
import logging
import os
import pathlib
import re
import shutil
import sys

import absl.logging
import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from gen_jax import core

HASHES = 'sha256.json'
# Orbax logs, with tracebacks, what it also raises.
absl.logging.set_verbosity(absl.logging.FATAL)
logging.getLogger('asyncio').setLevel(logging.CRITICAL)


def leaves(state: core.TrainState) -> dict[str, jax.Array]:
  """All of a state but its frozen parts (stored once, by their own workdir), by path, in order."""
  found = jax.tree_util.tree_leaves_with_path(state.replace(frozen=()))
  return {jax.tree_util.keystr(path, simple=True, separator='.'): leaf for path, leaf in found}


def state_sha256(state: core.TrainState) -> str:
  """Over path, dtype, shape and bytes of every leaf of step, params, variables, opt_state and ema."""
  digest = hashlib.sha256()
  for path, leaf in leaves(state).items():
    leaf = whole(leaf)
    digest.update(f'{path} {leaf.dtype} {leaf.shape}\n'.encode() + leaf.tobytes())
  return digest.hexdigest()


def whole(x):
  """A leaf as one numpy array on this host, wherever its shards lie."""
  if isinstance(x, jax.Array) and not x.is_fully_addressable and not x.is_fully_replicated:
    return multihost_utils.process_allgather(x, tiled=True)
  return jax.device_get(x)


def save(directory: pathlib.Path, state: core.TrainState, keep: int):
  """Writes checkpoints/N and deletes all but the newest `keep`. Raises RunError, with the earlier ones intact, where it can't be written."""
  step = int(state.step)
  path = directory.absolute() / str(step)
  partial = path.with_name(f'{step}.partial')
  if path.exists():
    return
  chief, failed = jax.process_index() == 0, None
  hook, sys.unraisablehook = sys.unraisablehook, _without_orbax   # and stays where the save fails, for its threads live on
  try:
    checkpointer = ocp.StandardCheckpointer()
    checkpointer.save(partial, leaves(state))
    checkpointer.wait_until_finished()
    checkpointer.close()
    sys.unraisablehook = hook
    if chief:
      (partial / HASHES).write_text(json.dumps(_hashes(partial), indent=1))
      partial.rename(path)
      for old in steps(directory)[:-keep]:
        shutil.rmtree((directory / str(old)).rename(directory / f'{old}.partial'))
  except Exception as e:   # tensorstore reports a full disk as ValueError, orbax as OSError or its own
    if chief:
      sweep(directory)
    earlier = steps(directory)
    kept = f'the checkpoint of step {earlier[-1]} is intact' if earlier else 'there is no earlier one'
    failed = core.RunError(f'the checkpoint of step {step} could not be written to {directory}: {_reason(e)}; {kept}')
  agree(failed)


def agree(failed: Exception | None):
  """Where the processes meet: raises `failed` on the one that has it, and RunError on all others, which would wait for it forever."""
  found = failed is not None
  if jax.process_count() > 1:
    found = multihost_utils.process_allgather(np.array(found)).any()
  if found:
    raise failed or core.RunError('another process failed: see its line')


def steps(directory: pathlib.Path) -> list[int]:
  """The finished steps, oldest first; whether they are whole is for `restore` to see."""
  return sorted(int(p.parent.name) for p in directory.glob(f'*/{HASHES}') if p.parent.name.isdigit())


def restore(directory: pathlib.Path, like: core.TrainState, say=print) -> core.TrainState | None:
  """The newest checkpoint that is whole, placed as `like` is (arrays or ShapeDtypeStructs with shardings); None where there is none.

  A damaged step is named through `say` and moved to checkpoints/damaged/, so that the run can write it again. Raises InputError for a whole
  checkpoint of another model.
  """
  if jax.process_index() == 0:
    _set_aside(directory, say)
  agree(None)
  found = steps(directory)
  if not found:
    return None
  path = directory.absolute() / str(found[-1])
  abstract = {k: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding) for k, x in leaves(like).items()}
  checkpointer = ocp.StandardCheckpointer()
  there = {k: tuple(m.shape) for k, m in checkpointer.metadata(path).item_metadata.items()}
  here = {k: x.shape for k, x in abstract.items()}
  if there != here:
    odd = next(k for k in sorted(there.keys() | here.keys()) if there.get(k) != here.get(k))
    raise core.InputError(f'{path} holds another model: {odd} is {there.get(odd)} there and {here.get(odd)} here')
  restored = checkpointer.restore(path, abstract)
  checkpointer.close()
  tree = jax.tree.structure(like.replace(frozen=()))
  return jax.tree.unflatten(tree, [restored[k] for k in abstract]).replace(frozen=like.frozen)


def sweep(directory: pathlib.Path):
  """Deletes what a kill or a full disk left of a save or of a deletion: for the run that writes here, whose own would be lost."""
  for path in directory.glob('*.partial*'):
    if path.name.split('.')[0].isdigit():
      shutil.rmtree(path, ignore_errors=True)


def _set_aside(directory, say):
  for path in sorted(p for p in directory.glob('*') if p.is_dir() and p.name.isdigit()):
    try:
      hashes = json.loads((path / HASHES).read_text())
      damage = [name for name, sha in hashes.items() if not (path / name).is_file() or _sha256(path / name) != sha] if hashes else [HASHES]
    except (OSError, ValueError, AttributeError) as e:
      damage = [f'{HASHES}: {_reason(e)}']
    if not damage:
      continue
    if any(path.iterdir()):
      aside = directory / 'damaged' / path.name
      shutil.rmtree(aside, ignore_errors=True)
      aside.parent.mkdir(exist_ok=True)
      path.rename(aside)
      say(f'checkpoint {path.name} is damaged ({damage[0]}): moved to {aside}; the one before it is used')
    else:
      path.rmdir()
      say(f'checkpoint {path.name} is an empty directory: removed')


def _without_orbax(unraisable):
  """What tensorstore's threads print of the writes that orbax gave up is no news."""
  if str(unraisable.exc_value) != 'Event loop is closed':
    sys.__unraisablehook__(unraisable)


def _hashes(path):
  return {str(p.relative_to(path)): _sha256(p) for p in sorted(path.rglob('*')) if p.is_file()}


def _sha256(path):
  with open(path, 'rb') as f:
    return hashlib.file_digest(f, 'sha256').hexdigest()


def _reason(e):
  if code := re.search(r"os_error_code='(\d+)'", str(e)):   # tensorstore's
    return os.strerror(int(code[1]))
  return (str(e).strip().splitlines() or [type(e).__name__])[0][:200]
