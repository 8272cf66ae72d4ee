# SPDX-License-Identifier: Apache-2.0
"""CPython of build.sh, with and without a start image, by wasmctl.

    python3 -m pytest guests/python/test_python.py

Needs build/guests/cpython (make python-guest) and build/release/wasmctl; PYTHON_GUEST and
WASMCTL name others."""

import fcntl
import os
import pathlib
import re
import sqlite3
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUEST = os.environ.get('PYTHON_GUEST', str(ROOT / 'build/guests/cpython'))
WASMCTL = os.environ.get('WASMCTL', str(ROOT / 'build/release/wasmctl'))
LONG = 300  # a first run compiles

pytestmark = pytest.mark.skipif(not os.path.exists(GUEST), reason='no CPython: make python-guest')


class Site:
    """A directory of scripts, and Python with or without a start image."""

    def __init__(self, root, cache):
        self.root, self.cache = root, cache
        for name in ('app', 'tmp'):
            (root / name).mkdir()
        self.image = None

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
        return path

    def directories(self):
        return ['--dir', f'{GUEST}::/python:ro', '--dir', f'{self.root}/app::/app:ro', '--dir', f'{self.root}/tmp::/tmp']

    def make_image(self, preload='', script='/app/a.py', **variables):
        image = self.root / f'image{time.monotonic_ns()}.wasm'
        command = [WASMCTL, 'image', *self.directories(), '--env', f'PYTHON_PRELOAD={preload}']
        for name, value in variables.items():
            command += ['--env', f'{name}={value}']
        done = subprocess.run(command + ['--argv0', 'python.wasm', f'{GUEST}/python.wasm', str(image), script],
                              capture_output=True, text=True, timeout=LONG, check=False)
        if done.returncode == 0:
            self.image = str(image)
        return done

    def command(self, script='/app/a.py', **variables):
        command = [WASMCTL, 'run', '--cache-dir', str(self.cache), *self.directories()]
        for name, value in variables.items():
            command += ['--env', f'{name}={value}']
        return command + [self.image or f'{GUEST}/python.wasm', script]

    def run(self, script='/app/a.py', input='', **variables):
        return subprocess.run(self.command(script, **variables), input=input, capture_output=True, text=True, timeout=LONG,
                              check=False)

    def output(self, *arguments, **options):
        done = self.run(*arguments, **options)
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture(scope='session')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('cache')


@pytest.fixture
def site(tmp_path, cache):
    return Site(tmp_path, cache)


@pytest.fixture
def plain(site):
    """run(text, …): what a script prints."""
    def run(text, **options):
        site.write('app/a.py', text)
        return site.output(**options)
    return run


@pytest.fixture(params=['plain', 'image'])
def both(request, site):
    """run(text, preload=…, …): the same without an image and from one."""
    def run(text, preload='', **options):
        site.write('app/a.py', text)
        if request.param == 'image':
            done = site.make_image(preload)
            assert done.returncode == 0, done
        return site.output(**options)
    return run


def test_modules(plain):
    names = ('array asyncio bisect codecs csv ctypes datetime decimal email fcntl hashlib html http.client json logging math pickle '
             'random re secrets select socket sqlite3 statistics string struct tempfile threading time unicodedata urllib.request '
             'uuid wsgiref.handlers xml.etree.ElementTree zipfile zlib zoneinfo').split()
    missing = plain(f'''
import importlib, sys
assert sys.version_info[:2] == (3, 13) and sys.platform == 'wasi'
for name in {names}:
    try: importlib.import_module(name)
    except ImportError: print(name)
''')
    assert missing.split() == ['ctypes']


def test_values(plain):
    assert plain('''
import decimal, hashlib, json, math, sqlite3, zlib
print(json.loads('{"a": [1.5, "\\\\u00e9"]}'), decimal.Decimal(1) / 7, 2**100, hashlib.sha256(b'a').hexdigest()[:8], math.sqrt(2),
      zlib.decompress(zlib.compress(b'b' * 1000)) == b'b' * 1000, hashlib.blake2b(b'').hexdigest()[:8], 'äß'.upper())
db = sqlite3.connect(':memory:')
db.execute('create table t(a)')
db.executemany('insert into t values (?)', [(i,) for i in range(1000)])
print(db.execute('select sum(a) from t').fetchone())
''').splitlines() == ["{'a': [1.5, 'é']} 0.1428571428571428571428571429 1267650600228229401496703205376 ca978112 1.4142135623730951 "
                      "True 786a02f7 ÄSS", '(499500,)']


def test_standard_streams(both):
    assert both('import sys; print(sys.stdin.read()[::-1], flush=True); sys.stdout.buffer.write(b"\\xff"[:0]); print(sys.stdin.isatty())',
                input='abc') == 'cba\nFalse\n'


def test_exit_status_and_messages(site):
    site.write('app/a.py', 'import sys; print("out"); sys.exit("a message")')
    for image in (False, True):
        if image:
            assert site.make_image().returncode == 0
        done = site.run()
        assert (done.returncode, done.stdout, done.stderr) == (1, 'out\n', 'a message\n')
    site.write('app/a.py', 'def f():\n    1 / 0\nf()\n')
    done = site.run()
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == 'ZeroDivisionError: division by zero'
    assert 'File "/app/a.py", line 2, in f' in done.stderr
    site.image = None
    assert site.run('/app/none.py').returncode == 2


def test_the_end_of_a_script(both, site):
    """Destructors run, files are written: what is taken down and what is not cannot be told from outside."""
    site.write('app/helper.py', 'class Loud:\n    def __del__(self): print("helper", self.__class__.__name__)\nkept = Loud()\n')
    lines = both('''
import atexit, os, sys, weakref, json, helper
class Circle:
    def __init__(self): self.own = self
    def __del__(self): print("circle", os.getpid() > 0, json.dumps(1))
circle = Circle()
unclosed = open("/tmp/unclosed", "w")
unclosed.write("written")
weakref.finalize(helper, print, "finalized")
atexit.register(print, "at exit")
sys.stdout.write("no newline ")
''', preload='json').splitlines()
    assert lines[0].startswith('no newline ') and sorted(' '.join(lines).replace('no newline ', '').split(' ')) == sorted(
        'finalized at exit circle True 1 helper Loud'.split())
    assert (site.root / 'tmp/unclosed').read_text() == 'written'


def test_each_run_has_its_own_environment(site):
    site.write('app/a.py', 'import os; print(os.environ["A"], os.environ.get("ONCE"), os.environb[b"A"], os.getenv("PYTHON_PRELOAD"))')
    assert site.make_image('os', ONCE='image', A='image').returncode == 0
    for value in ('one', 'zwei ä', '', 'a=b'):
        assert site.output(A=value) == f"{value} None {value.encode()!r} None\n"


def test_an_image_has_the_modules_and_not_the_script(site):
    site.write('app/a.py', 'import sys; print(open("/tmp/imported").read(), "site" in sys.modules, module.answer) if 0 else None\n'
                           'import module; print(module.answer, len(open("/tmp/imported").read()), sys.argv, sys.path[0], __name__)')
    site.write('app/module.py', 'open("/tmp/imported", "a").write("x"); answer = 42')
    assert site.make_image('module', script='/app/a.py').returncode == 0
    expected = "42 1 ['/app/a.py'] /app __main__\n"
    assert [site.output(), site.output()] == [expected, expected]
    site.write('app/a.py', 'print("changed")')
    assert site.output() == 'changed\n'


def test_no_run_sees_another(site):
    site.write('app/state.py', 'count = 0\nseen = []')
    site.write('app/a.py', 'import state; state.count += 1; state.seen.append(1); print(state.count, len(state.seen))')
    assert site.make_image('state').returncode == 0
    assert [site.output(), site.output()] == ['1 1\n', '1 1\n']


def test_randomness_is_new_in_each_run(site):
    site.write('app/a.py', 'import random, secrets, uuid, tempfile, os, sqlite3\n'
                           'print(random.random(), secrets.token_hex(), uuid.uuid4(), tempfile.mktemp(), os.urandom(8).hex(), '
                           'sqlite3.connect(":memory:").execute("select random()").fetchone()[0], random.SystemRandom().random())')
    assert site.make_image('random, secrets uuid\ttempfile sqlite3').returncode == 0
    first, second = (site.output().split() for _ in range(2))
    assert len(first) == len(second) == 7 and not set(first) & set(second)


def test_registered_functions_are_called_first_in_each_run(site):
    site.write('app/pre.py', 'import os, start_image\ncalls = []\n@start_image.register\ndef renew(): calls.append(os.environ.get("A"))\n')
    site.write('app/a.py', 'import pre; print(pre.calls)')
    assert site.output() == '[]\n'
    assert site.make_image('pre', A='image').returncode == 0
    assert [site.output(A='1'), site.output(A='2')] == ["['1']\n", "['2']\n"]
    # They may draw at random: what random has is new before.
    site.write('app/pre.py', 'import random, start_image\nstart_image.register(lambda: globals().update(drawn=random.random()))')
    site.write('app/a.py', 'import pre; print(pre.drawn)')
    assert site.make_image('pre').returncode == 0
    assert site.output() != site.output()
    site.image = None
    site.write('app/a.py', 'import pre')
    site.write('app/pre.py', 'import start_image\nstart_image.register(lambda: 1 / 0)')
    assert site.make_image('pre').returncode == 0
    done = site.run()
    assert done.returncode == 1 and done.stderr.endswith('ZeroDivisionError: division by zero\n') and done.stdout == ''
    site.write('app/pre.py', 'import start_image\nstart_image.register(7)')
    done = site.make_image('pre')
    assert done.returncode != 0 and 'must be callable, not int' in done.stderr


@pytest.mark.parametrize('preload, module, expected', [
    ('nowhere', '', "PYTHON_PRELOAD: cannot import nowhere"),
    ('broken', 'def (', 'SyntaxError'),
    ('broken', 'raise RuntimeError("no database")', 'RuntimeError: no database'),
    ('broken', 'import sys; sys.exit(3)', ''),
    ('broken', 'import os; os._exit(0)', ''),
    ('broken', 'f = open("/tmp/kept", "w")', 'still open'),
    ('json broken, os', 'while True: x = [0] * 10**8 + (x if "x" in globals() else [])', 'MemoryError'),
    ('\x01', '', 'PYTHON_PRELOAD: cannot import'),
    ('..', '', 'PYTHON_PRELOAD: cannot import'),
])
def test_no_image_of_what_does_not_start(site, preload, module, expected):
    site.write('app/broken.py', module)
    site.write('app/a.py', 'print(1)')
    done = site.make_image(preload)
    assert done.returncode != 0 and expected in done.stderr, done
    assert site.output() == '1\n'


def test_recursion_ends_with_an_error(both):
    kinds = '''
import functools, json, pickle, sys
class G:
    def __getattr__(self, name): return getattr(self, name + "a")
    def __repr__(self): return f"{self!r}"
    def __eq__(self, other): return other == self
    def __hash__(self): return hash(self)
    def __iter__(self): yield from self
    def __del__(self): pass
def mapped(n): return list(map(mapped, [n]))
def nest():
    nested = []
    for _ in range(100000): nested = [nested, {}]
    return nested
nested = nest()
class Node:
    def __init__(self, next): self.next = next
def chain():
    last = None
    for _ in range(100000): last = Node(last)
for deep in (lambda: G().a, lambda: repr(G()), lambda: G() == G(), lambda: hash(G()), lambda: list(G()), lambda: mapped(1),
             lambda: json.dumps(nested), lambda: json.loads("[" * 100000), lambda: repr(nested), lambda: nested == nest(),
             lambda: pickle.dumps(nested), lambda: functools.partial(mapped, 1)(), lambda: eval("-" * 100000 + "1"), lambda: eval("a" + ".b" * 3000),
             lambda: eval("(" * 1000), chain):
    try: print(deep())
    except (RecursionError, MemoryError, SyntaxError, json.JSONDecodeError) as error: print(type(error).__name__)
'''
    answers = both(kinds).split()
    assert len(answers) == 16 and set(answers[:10]) == {'RecursionError'} and answers[-1] == 'None', answers
    assert set(answers) <= {'RecursionError', 'MemoryError', 'SyntaxError', 'None'}


def test_memory_of_a_run_is_limited(site):
    site.write('app/a.py', 'try: bytearray(1 << 30)\nexcept MemoryError: print("no memory")\n')
    command = site.command()
    command[2:2] = ['--memory', '64M']
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
    assert done.stdout == 'no memory\n', done


def test_files(plain, site):
    site.write('tmp/in/a.txt', 'text')
    assert plain('''
import os, pathlib, shutil, stat
p = pathlib.Path("/tmp/in")
(p / "b").mkdir(); (p / "b/c.txt").write_text("c"); os.rename(p / "b/c.txt", p / "d.txt"); os.symlink("a.txt", p / "link")
print(sorted(os.listdir(p)), (p / "link").read_text(), (p / "a.txt").stat().st_size, os.readlink(p / "link"))
os.chmod(p / "a.txt", 0o600); print(oct(stat.S_IMODE(os.stat(p / "a.txt").st_mode)), os.access(p, os.W_OK), os.access("/app", os.W_OK))
shutil.rmtree(p / "b"); print((p / "b").exists(), sorted(x.name for x in os.scandir(p)))
for path in ("/etc/passwd", "/app/../../etc/passwd", "/tmp/../etc/passwd", "/app/\\0", "/tmp/" + "a" * 5000):
    try: open(path); print("opened", path)
    except (OSError, ValueError) as error: print(type(error).__name__)
try: open("/app/new", "w")
except OSError as error: print(error)
''').splitlines() == ["['a.txt', 'b', 'd.txt', 'link'] text 4 a.txt", '0o600 True False', "False ['a.txt', 'd.txt', 'link']",
                      'FileNotFoundError', 'PermissionError', 'PermissionError', 'ValueError', 'OSError',
                      "[Errno 63] Operation not permitted: '/app/new'"]


def test_locks_are_those_of_the_host(site):
    site.write('app/a.py', '''
import fcntl, sys
with open("/tmp/n", "r+") as file:
    try: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError: print("locked")
    else: print("free")
''')
    site.write('tmp/n', '')
    assert site.output() == 'free\n'
    with open(site.root / 'tmp/n', encoding='ascii') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert site.output() == 'locked\n'


def test_databases_are_shared_with_native_programs(site):
    site.write('app/a.py', 'import sqlite3\nwith sqlite3.connect("/tmp/db") as db: db.execute("insert into t values (2)")')
    with sqlite3.connect(site.root / 'tmp/db') as native:
        native.execute('create table t(a)')
    site.output()
    site.write('app/a.py', 'import sqlite3, sys\ndb = sqlite3.connect("/tmp/db", timeout=0.1)\ntry: db.execute("insert into t values (3)")\n'
                           'except sqlite3.OperationalError as error: print(error)')
    native = sqlite3.connect(site.root / 'tmp/db', isolation_level=None)
    native.execute('begin exclusive')
    assert site.output() == 'database is locked\n'
    native.execute('rollback')
    assert native.execute('select a from t').fetchall() == [(2,)]


def test_what_is_missing_says_so(plain):
    assert plain('''
import os, socket, subprocess, threading
for f in (lambda: socket.create_connection(("127.0.0.1", 80)), lambda: threading.Thread(target=print).start(),
          lambda: subprocess.run(["ls"]), lambda: os.fork(), lambda: socket.socket().connect(("127.0.0.1", 1))):
    try: f(); print("done")
    except (OSError, RuntimeError, AttributeError) as error: print(type(error).__name__)
''').split() == ['gaierror', 'RuntimeError', 'OSError', 'AttributeError', 'OSError']


WSGI = '''
from wsgiref.handlers import CGIHandler
from application import application
CGIHandler().run(application)
'''


def test_an_application_of_wsgi(both, site):
    site.write('app/application.py', '''
def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
    return [environ["REQUEST_METHOD"].encode(), b" ", body]
''')
    response = both(WSGI, preload='application wsgiref.handlers', input='body', REQUEST_METHOD='POST', PATH_INFO='/a/b', CONTENT_LENGTH='4',
                    SERVER_NAME='localhost', SERVER_PORT='80', SERVER_PROTOCOL='HTTP/1.1')
    head, _, body = response.partition('\n\n')
    assert re.search(r'^Status: 200 OK$', head, re.M) and 'X-Path: /a/b' in head and body == 'POST body'
