"""Prints the N-th (from 0) bash block of a Markdown file, or all from N on with N+."""
import pathlib
import re
import sys


def blocks(path):
  return re.findall(r'^```bash\n(.*?)^```', pathlib.Path(path).read_text(), re.M | re.S)


if __name__ == '__main__':
  print(blocks(sys.argv[1])[int(sys.argv[2])], end='')
