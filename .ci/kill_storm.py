"""kill -9 at random moments, then the same command: the final state's hash and the metrics must be those of an undisturbed run.

  PYTHONPATH=tests python .ci/kill_storm.py [COUNT=10] [SEED]
"""
import random
import sys
import tempfile

from processes import SMALL, kill_at_random, left, start, train


def main(count=10, seed=None):
  seed = random.randrange(10**6) if seed is None else int(seed)
  moments, passed, count = random.Random(seed), 0, int(count)
  print(f'seed {seed}', flush=True)
  with tempfile.TemporaryDirectory() as folder:
    train(f'{folder}/undisturbed')
    wanted = left(f'{folder}/undisturbed')
    for i in range(count):
      workdir = f'{folder}/{i}'
      for _ in range(moments.randint(1, 3)):   # some are killed again while they resume
        kill_at_random(start('train', f'--workdir={workdir}', *SMALL), moments)
      try:
        out, _ = train(workdir)
        same = left(workdir) == wanted
      except AssertionError as e:
        out, same = str(e), False
      passed += same
      print(f'{i + 1}: {"passed" if same else "FAILED"}; {out.splitlines()[0]}', flush=True)
  print(f'{passed} passed, {count - passed} failed')
  return passed != count


if __name__ == '__main__':
  sys.exit(main(*sys.argv[1:]))
