"""Can a person tell samples from real images? A page that asks, pair by pair, and what the answers say.

  python -m gen_jax.blind --workdir=runs/a --out=page.html [--pairs=50] [--seed=0]
  python -m gen_jax.blind --score=judgements.json

The page needs no other file and no network. A pair is a held-out image and a sample, of one class where the run knows classes, on sides drawn from
--seed; a click or an arrow key says which is the real one, and the answers are downloaded at the end.
"""
import base64
import io
import json
import pathlib
import sys

import jax
import numpy as np
from PIL import Image

from gen_jax import checkpoint, cli, core, data, evals, report
from gen_jax import run as runs

SIDES = ('left', 'right')
Z95 = 1.959963984540054   # the normal distribution's .975 quantile
BODY = '''
<style>
  #pair { display: grid; grid-template-columns: 1fr 1fr; gap: 4%; max-width: 46rem; margin: 1.2rem 0 }
  #pair button { padding: 0; border: 2px solid var(--line); border-radius: 6px; background: none; cursor: pointer; overflow: hidden }
  #pair button:hover, #pair button:focus-visible { border-color: var(--link) }
  #pair img { width: 100%; image-rendering: pixelated; border-radius: 0; user-select: none }
  #done a { display: inline-block; padding: .5rem 1rem; border: 1px solid var(--link); border-radius: 6px; text-decoration: none }
  [hidden] { display: none !important }
</style>
<h1>Which one is real?</h1>
<p>One image of each pair is real, the other was made by a model. Click the real one, or press ← or →.</p>
<div id="ask"><p class="faint" id="count"></p><div id="pair">
<button aria-label="left"><img alt="" draggable="false"></button><button aria-label="right"><img alt="" draggable="false"></button></div></div>
<div id="done" hidden><p id="result"></p><p><a download="judgements.json">Download judgements.json</a></p>
<p class="faint">python -m gen_jax.blind --score=judgements.json says what follows from them.</p></div>
<script type="application/json" id="test">%s</script>
<script>
const {pairs, ...about} = JSON.parse(document.getElementById('test').textContent)
const sides = ['left', 'right'], judgements = []
const buttons = [...document.querySelectorAll('#pair button')]
let since
function ask() {
  const i = judgements.length
  if (i === pairs.length) return end()
  document.getElementById('count').textContent = `Pair ${i + 1} of ${pairs.length}`
  buttons.forEach((button, k) => { button.firstChild.src = 'data:image/png;base64,' + pairs[i][sides[k]] })
  since = performance.now()
}
function choose(side) {
  if (judgements.length === pairs.length) return
  judgements.push({chosen: side, real: pairs[judgements.length].real, seconds: Math.round(performance.now() - since) / 1000})
  document.activeElement.blur()
  ask()
}
function end() {
  const right = judgements.filter(j => j.chosen === j.real).length
  document.getElementById('ask').hidden = true
  document.getElementById('done').hidden = false
  document.getElementById('result').textContent = `${right} of ${pairs.length} right. Thank you.`
  const file = new Blob([JSON.stringify({...about, judgements}, null, 1)], {type: 'application/json'})
  document.querySelector('#done a').href = URL.createObjectURL(file)
}
buttons.forEach((button, k) => button.addEventListener('click', () => choose(sides[k])))
addEventListener('keydown', event => {
  const side = {ArrowLeft: 'left', ArrowRight: 'right'}[event.key]
  if (side && !event.repeat) { event.preventDefault(); choose(side) }
})
ask()
</script>
'''


@cli.verb
def main(argv):
  flags = cli.parse(argv, __doc__, workdir='', out='', pairs=50, seed=0, score='')
  if bool(flags.score) == bool(flags.workdir or flags.out):
    raise core.InputError('either --workdir and --out, or --score=FILE; try --help')
  if flags.score:
    print(verdict(*counted(flags.score)))
    return
  for name in ('workdir', 'out'):
    if not flags[name].value:
      raise core.InputError(f'--{name} is missing; try --help')
  if flags.pairs < 1 or flags.seed < 0:
    raise core.InputError('--pairs: at least 1; --seed: at least 0')
  out = pathlib.Path(flags.out)
  if out.suffix != '.html':
    raise core.InputError(f'--out={out}: a page ends in .html')
  text = html(make(flags.workdir, flags.pairs, flags.seed))
  try:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
  except OSError as e:
    raise core.InputError(f'{out} can not be written: {e.strerror}') from None
  print(f'{flags.pairs} pairs: {out}')


def make(workdir, n: int, seed: int) -> dict:
  """{'workdir', 'step', 'state_sha256', 'seed', 'pairs': [{'left', 'right': PNG in base64, 'real': side}]}, of the run's first seed.

  Raises InputError where there are no images, no samples or fewer held-out images than pairs.
  """
  run, state = runs.load(workdir)
  if len(run.spec.shape) != 3 or run.spec.shape[-1] not in (1, 3):
    raise core.InputError(f'{workdir} is of {tuple(run.spec.shape)}: the page is for images')
  one = runs.alone(run)
  draw, source = runs.sampler(one), data.make(run.config, 'test')
  if source.size < n:
    raise core.InputError(f'--pairs={n}: the test split has {source.size} images')
  real = source.take(data.Plan(seed, source.size, n)(0))
  # Of the same classes: which class there are more of would give the samples away.
  fake = draw(runs.parts(run, one, state)[0], core.fold(jax.random.key(seed), 'blind'), data.normalise(real).get('condition'), n)
  sides = np.random.default_rng(seed).integers(2, size=n)
  pairs = []
  # Both have 256 levels and went through one encoder.
  for k, x, made in zip(sides, evals.stored(real['x'], run.spec), evals.stored(fake, run.spec)):
    pairs.append({SIDES[k]: encoded(x), SIDES[1 - k]: encoded(made), 'real': SIDES[k]})
  return {'workdir': pathlib.Path(workdir).name, 'step': int(state.step), 'state_sha256': checkpoint.state_sha256(state), 'seed': seed,
          'pairs': pairs}


def encoded(x_HxWxC) -> str:
  file = io.BytesIO()
  Image.fromarray(x_HxWxC[..., 0] if x_HxWxC.shape[-1] == 1 else x_HxWxC).save(file, 'PNG')
  return base64.b64encode(file.getvalue()).decode()


def html(test: dict) -> str:
  """The page of what `make` gives."""
  return report.page('Which one is real?', BODY.replace('%s', json.dumps(test).replace('<', '\\u003c')))   # no name ends the script


def counted(path) -> tuple[int, int]:
  """(right, judged) of a judgements.json. Raises InputError for a file that is none."""
  try:
    judgements = json.loads(pathlib.Path(path).read_text())['judgements']
    sides = [(judgement['chosen'], judgement['real']) for judgement in judgements]
  except OSError as e:
    raise core.InputError(f'{path} cannot be read: {e.strerror}') from None
  except (ValueError, KeyError, TypeError, IndexError) as e:
    raise core.InputError(f'{path} is no judgements.json of the page: {e!r}') from None
  if not sides or any(side not in SIDES for pair in sides for side in pair):
    raise core.InputError(f'{path} is no judgements.json of the page: it has no judgements, or sides that are not left or right')
  return sum(chosen == real for chosen, real in sides), len(sides)


def wilson(right: int, n: int) -> tuple[float, float]:
  """The 95 % interval of a share (Wilson 1927): right for small n and for shares near 0 and 1, as the normal one is not."""
  share, z2 = right / n, Z95**2
  centre = (share + z2 / (2 * n)) / (1 + z2 / n)
  half = Z95 * (share * (1 - share) / n + z2 / (4 * n**2))**.5 / (1 + z2 / n)
  return max(0., centre - half), min(1., centre + half)


def verdict(right: int, n: int) -> str:
  low, high = wilson(right, n)
  told = ('chance (0.5) lies within: these judgements do not tell samples from real images' if low <= .5 <= high else
          'chance (0.5) lies outside: samples and real images ' + ('are told apart' if low > .5 else 'are told apart, and taken for each other'))
  return f'accuracy {right / n:.3f} ({right} of {n}), 95 % interval {low:.3f} to {high:.3f}; {told}'


if __name__ == '__main__':
  sys.exit(main())
