"""A run, or several side by side, as one HTML file that needs no other: metrics with their errors, curves, pictures, config and manifest."""
import base64
import io
import json
import math
import re
from html import escape

from gen_jax import log

# Of a metric's name without its extractor. What is in neither table has no better and no worse: no value of it is set in bold.
LOWER = re.compile(r'fid|fid_infinity(/.*)?|kid|sliced_wasserstein|(modes|classes)/kl|harmony/(pitch_classes|intervals)/samples'
                   r'|score/(bits_per_dim(_\w+)?|nats_per_token|perplexity|bits_per_character)/(test|validation)')
HIGHER = re.compile(r'prdc/.*|inception_score|score/(elbo|iwae_\d+|log_likelihood|reconstruction|accuracy)(_\w+)?/(test|validation)|agreement/samples'
                    r'|cas/(samples|augmented_.*)|(modes|classes)/covered|modes/high_quality|answers/.*|classification/.*')
ARROWS = '↑ ↓ say which way is better, where that is known.'
STYLE = '''
:root { color-scheme: light dark }
:root { --text: #1d2126; --faint: #5f6b78; --line: #d9dee4; --page: #fff; --card: #f5f7f9; --link: #0b62c4 }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ec; --faint: #98a4b1; --line: #343b43; --page: #14171a; --card: #1d2126; --link: #7bf } }
* { box-sizing: border-box }
body { margin: 0; color: var(--text); background: var(--page); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem }
section { border-top: 1px solid var(--line); margin-top: 3rem; padding-top: 1.5rem }
p { margin: 0 0 .6rem; max-width: 46rem }
a { color: var(--link) }
.faint { color: var(--faint); font-size: .9rem; overflow-wrap: anywhere }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .35rem 1.2rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
td.number { white-space: nowrap }
.runs { font-size: .9rem }
.runs th:not(:first-child) { padding-left: .6rem; padding-right: 0 }
.runs td:not(:first-child) { padding-left: .6rem; padding-right: 0 }
th { font-weight: 600 }
.number { text-align: right }
.seeds { color: var(--faint); font-size: .9rem }
code { font: .85em ui-monospace, monospace; color: var(--faint) }
img { display: block; max-width: 100%; background: #fff; border-radius: 4px }
.curves img { max-width: none; width: max(100%, 44rem) }
.said { padding: .8rem; white-space: pre-wrap; background: var(--card); border-radius: 6px }
details { border: 1px solid var(--line); border-radius: 6px; margin-top: .8rem; background: var(--card) }
summary { padding: .5rem .8rem; cursor: pointer; font-weight: 600 }
pre { margin: 0; padding: 0 .8rem .8rem; overflow-x: auto; font: .82rem/1.45 ui-monospace, monospace }
'''


def html(runs: list[dict]) -> str:
  """The page of the runs of a report.json, each with 'config', 'manifest' (dicts), 'rows' (of metrics.jsonl) and 'pictures' (gen_jax.pictures)."""
  if len(runs) == 1:
    return page(runs[0]['workdir'], f'<h1>{escape(runs[0]["workdir"])}</h1>{_body(runs[0])}')
  sections = (f'<section id="run{i}"><h1>{escape(run["workdir"])}</h1>{_body(run)}</section>' for i, run in enumerate(runs))
  return page(f'{len(runs)} runs', f'<h1>{len(runs)} runs</h1>{comparison(runs)}{"".join(sections)}')


def page(title: str, body: str) -> str:
  return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
          f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>{body}</main></body></html>\n')


def picture(png: bytes, alt: str) -> str:
  return f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{escape(alt)}">'


def comparison(runs: list[dict]) -> str:
  """One row a run, one column a metric that all have; the best in bold where the errors tell it from every other."""
  names = [name for name in runs[0]['metrics'] if all(name in run['metrics'] for run in runs)]
  # The manifest's checksum is of the data: which augmentation a run was trained with is its own affair.
  # Of the spec, what numbers depend on: a manifest of another version has other fields.
  read = lambda run: [run['manifest'].get('data'), *((run['manifest'].get('spec') or {}).get(name) for name in ('shape', 'tokenizer'))]
  one_data = len({json.dumps([*read(run), run['split'], run['examples']]) for run in runs}) == 1
  bold = {name: best(name, [run['metrics'][name] for run in runs]) if one_data else None for name in names}

  def cell(name, i):
    text = number(**runs[i]['metrics'][name])
    return f'<td class="number">{f"<b>{text}</b>" if bold[name] == i else text}</td>'
  rows = ''.join(f'<tr><td><a href="#run{i}">{escape(run["workdir"])}</a></td>'
                 f'<td class="number">{run["step"]:,}</td>{"".join(cell(name, i) for name in names)}</tr>' for i, run in enumerate(runs))
  head = ''.join(f'<th class="number">{_arrow(name)}{_name(name, "<br>")}</th>' for name in names)
  rule = ('Bold: better than every other run by more than the two standard errors together (root of the sum of squares).' if one_data else
          'The runs are of different data, splits or numbers of samples: no number is set in bold.')
  missing = '' if names else '<p>The runs have no metric in common.</p>'
  head = f'<tr><th>run</th><th class="number">step</th>{head}</tr>'
  return (f'<h2>Comparison</h2>{missing}<div class="wide"><table class="runs">{head}{rows}</table></div>'
          f'<p class="faint">{rule} {ARROWS}</p>')


def best(name: str, entries: list[dict]) -> int | None:
  """Which entry is better than every other by more than hypot of their standard errors; None where none is, an error is missing, or a metric
  knows no better."""
  way = direction(name)
  if not way or any('stderr' not in entry for entry in entries):
    return None
  first = max(range(len(entries)), key=lambda i: way * entries[i]['mean'])
  others = [entry for i, entry in enumerate(entries) if i != first]
  clear = [way * (entries[first]['mean'] - other['mean']) > math.hypot(entries[first]['stderr'], other['stderr']) for other in others]
  return first if all(clear) else None


def direction(name: str) -> int:
  """1 where higher is better, -1 where lower is, 0 where that is not known."""
  name = name.split('@')[0]
  return 1 if HIGHER.fullmatch(name) else -1 if LOWER.fullmatch(name) else 0


def number(mean: float, stderr: float | None = None, **_) -> str:
  """With an error, as many decimals as give it two digits."""
  if stderr is None or not math.isfinite(stderr):
    return f'{mean:,.0f}' if abs(mean) >= 1e4 else f'{mean:.4g}'
  decimals = min(8, max(0, 1 - math.floor(math.log10(stderr)))) if stderr > 0 else 4
  return f'{mean:,.{decimals}f} ± {stderr:,.{decimals}f}'


def _body(run):
  config, manifest = run['config'], run['manifest']
  facts = [f'{config["family"]["name"]} of {config["network"]["name"]} networks on {config["data"]["name"]}', f'step {run["step"]:,}']
  if isinstance(manifest.get('parameters'), int):
    facts.append(f'{manifest["parameters"]:,} parameters')
  facts.append(f'seeds {config["seed"]} to {config["seed"] + config["seeds"] - 1}, pictures of the first' if config['seeds'] > 1
               else f'seed {config["seed"]}')
  facts.append(f'{run["examples"]:,} samples against {run["against"]:,} examples of the {run["split"]} split')
  parts = [f'<p class="faint">{escape(" · ".join(facts))}<br>state {escape(run["state_sha256"])}</p>', _metrics(run['metrics'])]
  for p in run['pictures']:
    shown = f'<pre class="said">{escape(p["text"])}</pre>' if 'text' in p else picture(p['png'], p['title'])
    parts.append(f'<h2>{escape(p["title"])}</h2><p class="faint">{escape(p["caption"])}</p>{shown}')
  curves = io.BytesIO()
  log.plot(run['rows'], curves)
  if curves.tell():
    parts.append(f'<h2>Training</h2><div class="wide curves">{picture(curves.getvalue(), "metrics against steps")}</div>')
  parts += [f'<details><summary>{title}</summary><pre>{escape(json.dumps(content, indent=1, ensure_ascii=False))}</pre></details>'
            for title, content in (('Config', config), ('Manifest', manifest))]
  return ''.join(parts)


def _metrics(metrics):
  seeds = any('seeds' in entry for entry in metrics.values())
  rows = ''.join(f'<tr><td>{_arrow(name)}{_name(name, " ")}</td><td class="number">{number(**entry)}</td>'
                 + (f'<td class="seeds">{" ".join(number(value) for value in entry.get("seeds", []))}</td>' if seeds else '') + '</tr>'
                 for name, entry in metrics.items())
  head = f'<tr><th>metric</th><th class="number">value ± standard error</th>{"<th>each seed</th>" if seeds else ""}</tr>'
  return f'<h2>Metrics</h2><div class="wide"><table>{head}{rows}</table></div><p class="faint">{ARROWS}</p>'


def _name(name, between):
  name, _, extractor = name.partition('@')
  return escape(name).replace('/', '/<wbr>') + (f'{between}<code>@{escape(extractor)}</code>' if extractor else '')


def _arrow(name):
  return {1: '↑ ', -1: '↓ ', 0: ''}[direction(name)]
