#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs CPython's own tests, each file of them in an instance of its own, under wasmctl.

    guests/python/run_tests.py [TEST...]

Needs what test_python.py needs, and the sources that build.sh has fetched. A file of tests
that fails must be in expected_failures.txt, with its reason; one that is there must fail. Takes
8 minutes on two cores."""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SECONDS = 300   # for one file


def unpack_tests(library):
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'mod_wasm/guest-sources'
    archives = sorted(cache.glob('python3.*.orig.tar.xz'))
    if not archives:
        sys.exit('run_tests.py: no source archive; run guests/python/build.sh first')
    with tarfile.open(archives[-1]) as archive:
        prefix = f'{archive.next().name.split("/")[0]}/Lib/'
        for member in archive:
            if member.name.startswith(f'{prefix}test/'):
                member.name = member.name[len(prefix):]
                archive.extract(member, library)


def run(options, home, name):
    """(name, 'pass', 'fail' or 'skip', what it wrote)"""
    with tempfile.TemporaryDirectory(prefix='python-tests-') as work:
        done = subprocess.run([options.wasmctl, 'run', '--timeout', str(SECONDS), '--dir', f'{home}::/python', '--dir', f'{work}::/tmp',
                               '--env', 'PWD=/tmp', '--env', 'HOME=/tmp', '--env', 'PYTHONDONTWRITEBYTECODE=1', home / 'python.wasm',
                               # What there is to skip is for other resources: a network, much memory, a screen.
                               '-m', 'test', '-u', 'cpu', '--tempdir=/tmp/work', name],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        output = done.stdout.decode(errors='replace')
        if re.search(r'^1 test skipped:|^Result: NO TESTS RAN', output, re.M):
            return name, 'skip', output
        return name, 'fail' if done.returncode else 'pass', output


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tests', nargs='*', metavar='TEST')
    parser.add_argument('--guest', type=pathlib.Path, default=ROOT / 'build/guests/cpython')
    parser.add_argument('--wasmctl', default=ROOT / 'build/release/wasmctl')
    parser.add_argument('--verbose', action='store_true', help='what the tests that fail wrote')
    options = parser.parse_args()
    expected = {}
    for line in (HERE / 'expected_failures.txt').read_text(encoding='utf-8').splitlines():
        if line and not line.startswith('#'):
            name, _, reason = line.partition('\t')
            expected[name] = reason
    with tempfile.TemporaryDirectory(prefix='python-home-') as work:
        home = pathlib.Path(work)
        shutil.copytree(options.guest, home, dirs_exist_ok=True)
        library = next((home / 'lib').iterdir())
        unpack_tests(library)
        names = options.tests or sorted(entry.name.removesuffix('.py') for entry in (library / 'test').glob('test_*')
                                        if entry.suffix == '.py' or (entry / '__init__.py').exists())
        counts, wrong, cases = collections.Counter(), [], 0
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for number, (name, result, output) in enumerate(pool.map(lambda name: run(options, home, name), names), 1):
                counts[result] += 1
                ran = re.search(r'^Total tests: run=([\d,]+)', output, re.M)
                cases += int(ran[1].replace(',', '')) if ran else 0
                print(f'{number}/{len(names)} {name}: {result}', flush=True)
                if (result == 'fail') != (name in expected):
                    wrong.append(name)
                if result == 'fail' and options.verbose:
                    print(output)
    print(f'{counts["pass"]} files pass, {counts["skip"]} are skipped, {counts["fail"]} fail; {cases} tests were run')
    for name in wrong:
        print(f'{name}: {"passes, and" if name in expected else "fails, and not"} is in expected_failures.txt')
    return bool(wrong)


if __name__ == '__main__':
    sys.exit(main())
