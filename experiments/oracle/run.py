"""SeqGAN and RelGAN against maximum likelihood where the truth is known: sequences of random LSTMs (configs/oracle_*.py).

  python -m experiments.oracle.run [--rows=mle,seqgan,relgan] [--seeds=3]   # goes on where it stopped
  python -m experiments.oracle.run --table

Both start from the run of maximum likelihood on the same oracle, whose samples are taken at several temperatures too. Each run leaves
results/ROW_ORACLE.json, and a seed is an oracle.
"""
import pathlib

import jax

from experiments import study
from gen_jax import evals
from gen_jax import run as runs

HERE = pathlib.Path(__file__).parent
TEMPERATURES = {'mle': (1.2, 1.1, 1., .9, .8, .7, .6, .5), 'seqgan': (1.,), 'relgan': (1.,)}


def one(row, oracle, options) -> dict:
  workdir, start = options.runs / f'{row}_{oracle}', options.runs / f'mle_{oracle}'
  given = f'--config.seed={oracle}', f'--config.data.oracle={oracle}', '--config.sample_every=0'
  study.verb('train', '--config=configs/oracle_mle.py', f'--workdir={start}', *given)
  if row != 'mle':
    study.verb('train', f'--config=configs/oracle_{row}.py', f'--workdir={workdir}', *given, f'--config.init_from={start}')
  return {'temperatures': {str(t): measured(workdir, t) for t in TEMPERATURES[row]}, **study.record(workdir, *([start] if row != 'mle' else []))}


def measured(workdir, temperature) -> dict:
  """Of 2,000 samples and the 2,000 held-out sequences, in nats a token, of the model at this temperature."""
  run, state = runs.load(workdir, lambda config: config.update(evals='oracle,score', eval_examples=2000))
  # Logits over the temperature, so that the likelihoods are those of what is sampled.
  cooled = {**state.averaged('model')}
  cooled['Dense_0'] = jax.tree.map(lambda x: x / temperature, cooled['Dense_0'])
  found = evals.make(run, 'test')(state.replace(params={**state.params, 'model': cooled}, ema={}))
  return {'nll_oracle': found['oracle/nll'], 'entropy': found['oracle/entropy'], 'impossible': found['oracle/impossible'],
          'nll_gen': found['score/nats_per_token/test'], 'nll_gen_train': found['score/nats_per_token/train']}


def table() -> str:
  lines = ['| row | temperature | oracles | NLL-oracle | its entropy | impossible | NLL-gen, test | train | seconds of training |',
           '|---|' + '---:|' * 8]
  for row, temperatures in TEMPERATURES.items():
    found = study.results(HERE, row)
    for t in temperatures if found else ():
      names = ('nll_oracle', 'entropy', 'impossible', 'nll_gen', 'nll_gen_train')
      numbers = [study.cell([f['temperatures'][str(t)][name] for f in found]) for name in names]
      lines.append(f'| `{row}` | {t} | {len(found)} | {" | ".join(numbers)} | {study.seconds(found)} |')
  return '\n'.join(lines)


if __name__ == '__main__':
  study.main(__doc__, HERE, TEMPERATURES, one, table)
