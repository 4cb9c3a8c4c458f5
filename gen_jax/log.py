"""What a run shows and writes as it goes: a bar or lines, metrics.jsonl, TensorBoard events, optionally Weights & Biases, and the curves."""
import collections
import hashlib
import json
import os
import pathlib
import sys
import time
from html import escape

import numpy as np
import tqdm
from PIL import Image
from tensorboardX import event_file_writer, proto, summary

from gen_jax import core


class Log:
  """Rows of metrics.jsonl are {'step', metrics ..., 'time': {...}}: all but `time` is a function of the seed."""

  def __init__(self, workdir: pathlib.Path, config: dict, start: int, steps: int):
    self.path = workdir / 'metrics.jsonl'
    cut_back(self.path, start)
    self.rows = open(self.path, 'a')
    (workdir / 'events').mkdir(exist_ok=True)
    # Not SummaryWriter: its thread dies of a full disk with a traceback, and the run would wait for it forever.
    self.events = event_file_writer.EventsWriter(str(workdir / 'events' / 'events'), f'.{os.getpid()}')
    self._event(start + 1, session_log=proto.event_pb2.SessionLog(status=proto.event_pb2.SessionLog.START))   # what came later is played again
    self.steps, self.batch_size = steps, config['batch_size'] * config['seeds']
    self.shown, self.since = start, time.monotonic()
    self.bar = tqdm.tqdm(total=steps, initial=start, unit='step', dynamic_ncols=True) if sys.stderr.isatty() else None
    self.wandb = _wandb(workdir, config) if config['wandb'] else None

  def progress(self, step: int):
    if self.bar is not None:
      self.bar.update(step - self.bar.n)

  def losses(self, step: int, metrics: dict):
    """A row with the rate since the last one, sampling and saving included."""
    now = time.monotonic()
    rate = (step - self.shown) / max(now - self.since, 1e-9)
    self.shown, self.since = step, now
    self.row(step, metrics, {'steps_per_second': rate, 'examples_per_second': rate * self.batch_size})

  def row(self, step: int, metrics: dict, timing: dict):
    """Numbers, or [S] arrays of a run of several seeds, which become their mean, standard error and the seeds' own values."""
    flat = {}
    for name, value in sorted(metrics.items()):
      value = np.asarray(value, np.float64)
      flat[name] = float(value.mean())
      if value.ndim:
        flat[f'{name}_stderr'] = float(value.std(ddof=1) / len(value)**.5) if len(value) > 1 else 0.
        flat[f'{name}_seeds'] = value.tolist()
    self.rows.write(json.dumps({'step': step, **flat, 'time': timing}) + '\n')
    self.rows.flush()
    scalars = {k: v for k, v in flat.items() if not isinstance(v, list)}
    for name, value in {**scalars, **{f'time/{k}': v for k, v in timing.items()}}.items():
      self._event(step, summary=summary.scalar(name, value))
    self.events.flush()
    if self.wandb:
      self.wandb.log(scalars, step=step)
    self._show(step, scalars, timing)

  def _show(self, step, scalars, timing):
    losses = {k: f'{v:.3f}' for k, v in scalars.items() if k.endswith(('/loss', '/reward'))}   # of which a policy's loss says little
    if losses and self.bar is not None:
      self.bar.set_postfix(losses)
      return
    rate = timing.get('steps_per_second')
    left = f'{rate:.1f} steps/s  {(self.steps - step) / rate:.0f} s left  ' if rate else ''
    shown = losses or {k: f'{v:.3f}' for k, v in scalars.items()}
    tqdm.tqdm.write(f'step {step}/{self.steps}  {left}' + '  '.join(f'{k} {v}' for k, v in shown.items()))   # above the bar, if there is one
    sys.stdout.flush()

  def file(self, name: str, path: pathlib.Path, step: int):
    """A picture or a text file, to TensorBoard and Weights & Biases."""
    if path.suffix == '.txt':
      self._event(step, summary=summary.text(name, f'<pre>{escape(path.read_text())}</pre>'))
    else:
      with Image.open(path) as picture:
        self._event(step, summary=summary.image(name, np.asarray(picture.convert('RGB')), dataformats='HWC'))
    if self.wandb:
      import wandb
      self.wandb.log({name: wandb.Html(path.read_text()) if path.suffix == '.txt' else wandb.Image(str(path))}, step=step)

  def _event(self, step, **content):
    self.events.write_event(proto.event_pb2.Event(wall_time=time.time(), step=step, **content))

  def close(self):
    self.rows.close()
    self.events.close()
    if self.bar is not None:
      self.bar.close()
    if self.wandb:
      self.wandb.finish()


def _wandb(workdir, config):
  try:
    import wandb
  except ImportError:
    raise core.InputError(f"wandb={config['wandb']!r} needs the package: pip install 'gen_jax[wandb]'") from None
  # The identity is the workdir's, so that a resumed run goes on in its own curves.
  identity = hashlib.sha256(str(workdir.absolute()).encode()).hexdigest()[:16]
  try:
    return wandb.init(project=config['wandb'], dir=str(workdir), config=config, id=identity, resume='allow')
  except wandb.errors.Error as e:
    raise core.InputError(f'wandb={config["wandb"]!r}: {e}') from None


def read(path: pathlib.Path) -> list[dict]:
  """The rows of a metrics.jsonl; what is no row (a last line that a kill cut off) is left out."""
  rows = []
  for line in path.read_text(errors='replace').splitlines() if path.exists() else []:
    try:
      row = json.loads(line)
    except ValueError:
      continue
    if isinstance(row, dict) and isinstance(row.get('step'), int):
      rows.append(row)
  return rows


def cut_back(path: pathlib.Path, step: int):
  """Drops the rows after a step: those of steps that a resumed run plays again."""
  kept = [row for row in read(path) if row['step'] <= step]
  partial = path.with_suffix('.partial')
  partial.write_text(''.join(json.dumps(row) + '\n' for row in kept))
  os.replace(partial, path)


def plot(rows: list[dict], path: pathlib.Path):
  """Every metric against the step, one panel a name (roles share it), the standard error over seeds as a band."""
  panels = collections.defaultdict(list)
  for name in sorted({k for row in rows for k in row} - {'step', 'time'}):
    if not name.endswith(('_stderr', '_seeds')):
      panels[name.rsplit('/', 1)[-1]].append(name)
  if not panels:
    return
  from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
  from matplotlib.figure import Figure
  columns = min(3, len(panels))
  lines = -(-len(panels) // columns)
  size = np.array([4.2 * columns, 2.8 * lines])
  figure = Figure(size, dpi=90)
  FigureCanvasAgg(figure)
  # Margins in inches, for all tick labels: to measure them, as a constrained layout does, is slow.
  left, bottom = (.7, .3) / size
  right, top = 1 - (.3, .35) / size
  axes = figure.subplots(lines, columns, squeeze=False, gridspec_kw=dict(left=left, bottom=bottom, right=right, top=top, wspace=.3, hspace=.35))
  for axis in axes.flat[len(panels):]:
    axis.axis('off')
  for axis, (title, names) in zip(axes.flat, panels.items()):
    for name in names:
      found = [(row['step'], row[name], row.get(f'{name}_stderr', 0.)) for row in rows if name in row]
      step, value, error = map(np.array, zip(*found))
      label = name.rsplit('/', 1)[0] if '/' in name else name
      axis.plot(step, value, lw=1, marker='.' if len(step) < 20 else '', label=label)
      if error.any():
        axis.fill_between(step, value - error, value + error, alpha=.25)
    axis.set_title(title, fontsize=10)
    axis.legend(fontsize=7)
    axis.grid(alpha=.3)
  figure.savefig(path)
