"""Runs the commands of the README after its first two blocks, with every config in its smoke form and its runs in a directory of their own."""
import pathlib
import re
import subprocess
import tempfile

from blocks import blocks

ROOT = pathlib.Path(__file__).parent.parent

with tempfile.TemporaryDirectory() as runs:
  for block in blocks(ROOT / 'README.md')[2:]:
    script = re.sub(r'(configs/\w+\.py)\b', r'\1:smoke', block).replace('runs/', f'{runs}/')
    print(script, flush=True)
    subprocess.run(['bash', '-euo', 'pipefail', '-c', script], check=True, cwd=ROOT)
