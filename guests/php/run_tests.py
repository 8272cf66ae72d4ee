#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs PHP's own tests (*.phpt) natively, and those that pass with the PHP guest under wasmctl.

    run_tests.py --native PHP-CGI --results FILE [PART...]
    run_tests.py --results FILE

PART is a folder of PHP's source tree, such as Zend or ext/json, or one test. Tests come from the
source archive that build.sh has fetched; the native php-cgi is that of build_native.sh.
FILE gets a line for each test as it ends. Tests that are in it already are not run
again, so that a run can be cut short and gone on with.

Then a table is printed of all that FILE holds (without --native, nothing else is
done). The exit status is 1 if a test fails here alone that expected_failures.txt gives
no reason for, or if a listed one does not.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PARTS = ['Zend', 'ext/opcache', 'ext/json', 'ext/pcre', 'ext/ctype', 'ext/tokenizer', 'ext/session',
         'ext/sqlite3', 'ext/pdo_sqlite', 'ext/standard']
TIMEOUT = 60

# As PHP's own runner sets them.
SETTINGS = '''output_handler= output_buffering=0 open_basedir= disable_functions= error_reporting=32767
display_errors=1 display_startup_errors=1 log_errors=0 html_errors=0 track_errors=0 report_memleaks=1
report_zend_debug=0 docref_root= docref_ext=.html error_prepend_string= error_append_string=
auto_prepend_file= auto_append_file= ignore_repeated_errors=0 precision=14 serialize_precision=-1
memory_limit=128M opcache.fast_shutdown=0 opcache.file_update_protection=0 opcache.revalidate_freq=0
opcache.enable_cli=1 opcache.jit_hot_loop=1 opcache.memory_consumption=32 zend.assertions=1
zend.exception_ignore_args=0 zend.exception_string_param_max_len=15 short_open_tag=0
session.auto_start=0 zlib.output_compression=Off date.timezone=UTC'''.split()

# %-directives of EXPECTF.
FORMATS = {'e': '/', 's': '[^\\r\\n]+', 'S': '[^\\r\\n]*', 'a': '.+?', 'A': '.*?', 'w': '\\s*', 'i': '[+-]?\\d+',
           'd': '\\d+', 'x': '[0-9a-fA-F]+', 'f': '[+-]?(?:\\d+|(?=\\.\\d))(?:\\.\\d+)?(?:[Ee][+-]?\\d+)?',
           'c': '.', '0': '\\x00'}

# What the command-line PHP, which the tests are written for, has and php-cgi has not.
CONSTANTS = """<?php
define('STDIN', fopen('php://stdin', 'r'));
define('STDOUT', fopen('php://stdout', 'w'));
define('STDERR', fopen('php://stderr', 'w'));
"""
STARTUP_MESSAGE = r'(?:Fatal error|Warning|Notice|Deprecated): +PHP Startup: [^\n]*\n'

# What the guest's syslog() writes to standard error, and others where no test looks.
SYSTEM_LOG = r'^syslog (?:emerg|alert|crit|err|warning|notice|info|debug): [^\n]*\n'

# Where a test expects a number that follows from addresses of 64 bits, it expects the one that follows from
# 32 bits of the guest. Such a test means to ask for 64 bits, but asks for the size of integers.
NUMBERS_OF_32_BITS = {'ext/opcache/tests/gh9259_001.phpt': ('equal to 32767,', 'equal to 4095,')}

NEEDS_CGI_VARIABLES = ('GET', 'POST', 'POST_RAW', 'PUT', 'GZIP_POST', 'DEFLATE_POST', 'COOKIE', 'CGI')


def sections(path):
    result, name = {}, None
    for line in re.findall(r'[^\n]*\n|[^\n]+', path.read_bytes().decode('latin1')):
        match = re.fullmatch(r'--([_A-Z]+)--', line.rstrip('\r\n'))
        if match:
            name = match.group(1)
            result[name] = ''
        elif name is not None:
            result[name] += line
    return result


def format_to_regex(text):
    parts = []
    position = 0
    while position < len(text):
        if text.startswith('%r', position):
            end = text.find('%r', position + 2)
            if end >= 0:
                parts.append('(?:' + text[position + 2:end] + ')')
                position = end + 2
                continue
        if text[position] == '%' and text[position + 1:position + 2] in FORMATS and position + 1 < len(text):
            parts.append(FORMATS[text[position + 1]])
            position += 2
            continue
        parts.append(re.escape(text[position]))
        position += 1
    return ''.join(parts)


def normal(text):
    return text.replace('\r\n', '\n').strip()


class Guest:
    """php-cgi in WebAssembly. The folder of the tests is its whole file system."""

    name = 'guest'

    def __init__(self, wasmctl, module, root):
        self.wasmctl, self.module, self.root = str(wasmctl), str(module), root

    def path(self, path):
        return '/' + str(path.relative_to(self.root))

    def command(self, directory, variables):
        command = [self.wasmctl, 'run', '--dir', f'{self.root}::/:exec']
        for name, value in {'PWD': self.path(directory), **variables}.items():
            command += ['--env', f'{name}={value}']
        return command + [self.module], None


class Native:
    name = 'native'

    def __init__(self, program):
        self.program = program

    def path(self, path):
        return str(path)

    def command(self, directory, variables):
        return [self.program], {'PATH': os.environ['PATH'], **variables}


class Suite:
    def __init__(self, guest, native):
        self.guest, self.native = guest, native
        self.constants = guest.root / 'constants.php'
        self.constants.write_text(CONSTANTS)
        self.extensions = {php: self.find_extensions(php) for php in (guest, native)}

    def execute(self, php, script, settings, arguments=(), variables=None, stdin=b''):
        command, environment = php.command(script.parent, variables or {})
        command = command + ['-n']
        for setting in SETTINGS + settings:
            command += ['-d', setting]
        if variables is None or 'REQUEST_METHOD' not in variables:
            command += [php.path(script), *arguments]
        try:
            done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=TIMEOUT, env=environment, cwd=script.parent, check=False)
        except subprocess.TimeoutExpired:
            return 'timed out'
        # Without the headers of the response. Messages of the start come first, and once: php-cgi
        # keeps them to the end, and writes them to standard error as well.
        output = re.sub(r'(?:Status: [^\r\n]*\r\n)?X-Powered-By: [^\r\n]*\r\n(?:[\w-]+:[^\r\n]*\r\n)*\r\n', '',
                        done.stdout.decode('latin1'), count=1)
        output = re.sub(f'^PHP {STARTUP_MESSAGE}', '', output, flags=re.M)
        if php is self.guest:
            output = re.sub(SYSTEM_LOG, '', output, flags=re.M)
        messages = re.search(rf'(?:\n{STARTUP_MESSAGE})+\Z', output)
        return messages.group() + output[:messages.start()] if messages else output

    def request_variables(self, php, script, test):
        post = test.get('POST_RAW') or test.get('POST') or test.get('PUT') or ''
        variables = {'REDIRECT_STATUS': '1', 'GATEWAY_INTERFACE': 'CGI/1.1', 'SERVER_PROTOCOL': 'HTTP/1.1',
                     'REQUEST_METHOD': 'POST' if 'POST' in test or 'POST_RAW' in test else 'GET',
                     'QUERY_STRING': test.get('GET', '').strip(), 'SCRIPT_FILENAME': php.path(script),
                     'PATH_TRANSLATED': php.path(script), 'SCRIPT_NAME': '/' + script.name}
        if test.get('COOKIE', '').strip():
            variables['HTTP_COOKIE'] = test['COOKIE'].strip()
        body = post.encode('latin1')
        if 'POST' in test:
            body = body.strip()
            variables['CONTENT_TYPE'] = 'application/x-www-form-urlencoded'
        elif 'POST_RAW' in test:
            lines = post.split('\n')
            while lines and re.match(r'Content-Type:', lines[0], re.I):
                variables['CONTENT_TYPE'] = lines.pop(0).split(':', 1)[1].strip()
            body = '\n'.join(lines).strip('\r\n').encode('latin1')
        variables['CONTENT_LENGTH'] = str(len(body))
        return variables, body

    def run(self, path, php, environment):
        """(pass|fail|skip, why)"""
        native = php is self.native
        test = sections(path)
        if 'FILE_EXTERNAL' in test:
            test['FILE'] = (path.parent / test['FILE_EXTERNAL'].strip()).read_bytes().decode('latin1')
        if 'FILEEOF' in test:
            test['FILE'] = test['FILEEOF'].rstrip('\r\n')
        for kind in ('EXPECT', 'EXPECTF', 'EXPECTREGEX'):
            if kind + '_EXTERNAL' in test:
                test[kind] = (path.parent / test[kind + '_EXTERNAL'].strip()).read_bytes().decode('latin1')
        for name, numbers in NUMBERS_OF_32_BITS.items():
            if not native and str(path).endswith('/' + name):
                assert numbers[0] in test['EXPECTF']
                test['EXPECTF'] = test['EXPECTF'].replace(*numbers)
        for name in ('PHPDBG', 'GZIP_POST', 'DEFLATE_POST', 'PUT', 'CAPTURE_STDIO', 'XFAIL'):
            if name in test:
                return 'skip', name
        if 'FILE' not in test:
            return 'skip', 'no FILE'
        for extension in test.get('EXTENSIONS', '').split():
            if extension.lower() not in self.extensions[php]:
                return 'skip', 'needs ' + extension

        settings = []
        for line in test.get('INI', '').splitlines():
            if '=' in line:
                name, value = (part.strip() for part in line.split('=', 1))
                value = value.replace('{PWD}', php.path(path.parent)).replace('{TMP}', '/tmp')
                settings.append(f'{name}={value}')
        if native and os.geteuid() == 0 and any(setting.startswith('opcache.preload=') for setting in settings):
            settings.append('opcache.preload_user=root')
        variables = {**environment, **{name: value for name, _, value in (
            line.partition('=') for line in test.get('ENV', '').splitlines()) if name.strip()}}

        if 'SKIPIF' in test:
            script = path.with_suffix('.skip.php')
            script.write_bytes(test['SKIPIF'].encode('latin1'))
            output = self.execute(php, script, [], (), variables)
            if output.strip().lower().startswith(('skip', 'xfail', 'timed out')):
                return 'skip', output.strip()
        # Expectations name the script as the test's name with .php.
        script = path.with_suffix('.php')
        script.write_bytes(test['FILE'].encode('latin1'))
        if any(name in test for name in NEEDS_CGI_VARIABLES):
            more, body = self.request_variables(php, script, test)
            output = self.execute(php, script, settings, (), {**more, **variables}, body)
        else:
            arguments = ['--', *test['ARGS'].split()] if test.get('ARGS', '').strip() else []
            if re.search(r'\bSTD(?:IN|OUT|ERR)\b|test_offset_helpers', test['FILE']):
                settings = [f'auto_prepend_file={php.path(self.constants)}', *settings]
            output = self.execute(php, script, settings, arguments, variables, test.get('STDIN', '').encode('latin1'))
        output = normal(output)
        if 'EXPECT' in test:
            good = output == normal(test['EXPECT'])
        elif 'EXPECTF' in test:
            good = re.fullmatch(format_to_regex(normal(test['EXPECTF'])), output, re.S) is not None
        elif 'EXPECTREGEX' in test:
            good = re.fullmatch(normal(test['EXPECTREGEX']), output, re.S) is not None
        else:
            return 'skip', 'expects nothing'
        if 'CLEAN' in test:
            cleaner = path.with_suffix('.clean.php')
            cleaner.write_bytes(test['CLEAN'].encode('latin1'))
            self.execute(php, cleaner, [], (), variables)
            cleaner.unlink()
        if good:
            script.unlink(missing_ok=True)
            return 'pass', ''
        path.with_suffix(f'.{php.name}.out').write_text(output, encoding='latin1')
        return 'fail', output[-200:]

    def both(self, test):
        """(natively, here, why)"""
        _, path, environment = test
        try:
            native, why = self.run(path, self.native, environment)
            if native != 'pass':
                return native, 'not run', why
            return native, *self.run(path, self.guest, environment)
        except (OSError, re.error) as error:
            return 'skip', 'not run', f'runner: {error}'

    def find_tests(self, tree, part):
        """Yields (name, path, environment); some tests are a folder's tests with a certain environment."""
        for path in [tree / part] if part.endswith('.phpt') else sorted((tree / part).rglob('*.phpt')):
            name = str(path.relative_to(tree))
            redirect = sections(path).get('REDIRECTTEST')
            if not redirect:
                yield name, path, {}
                continue
            script = tree / 'redirect.php'
            script.write_text(f'<?php echo json_encode((function () {{ {redirect} }})());')
            target = json.loads(self.execute(self.native, script, []))
            for other, other_path, _ in self.find_tests(tree, os.path.relpath(target['TESTS'], tree)):
                yield f'{name}:{other}', other_path, target['ENV']

    def find_extensions(self, php):
        script = self.guest.root / 'extensions.php'
        script.write_text('<?php echo implode(" ", array_map("strtolower", get_loaded_extensions()));')
        output = self.execute(php, script, [])
        extensions = set(output.split()) | {'opcache'}
        if 'standard' not in extensions:
            sys.exit(f'run_tests.py: the {php.name} PHP does not run: {output}')
        return extensions


def read_expected():
    expected = {}
    for line in (HERE / 'expected_failures.txt').read_text(encoding='utf-8').splitlines():
        if line.strip() and not line.startswith('#'):
            name, _, reason = line.partition(' ')
            expected[name] = reason.strip()
    return expected


def read_results(path):
    """{test: (natively, here, why)}"""
    if not path.exists():
        return {}
    lines = (line.split('\t') for line in path.read_text(encoding='utf-8').splitlines())
    return {name: rest for name, *rest in lines}


def run_tests(options, results):
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'mod_wasm/guest-sources'
    archives = sorted(cache.glob('php8.*.orig.tar.xz'))
    if not archives:
        sys.exit('run_tests.py: no source archive; run guests/php/build.sh first')
    with (tempfile.TemporaryDirectory(prefix='php-tests-') as work, options.results.open('a', encoding='utf-8') as file):
        root = pathlib.Path(work)
        for directory in ('tmp', 'etc'):
            (root / directory).mkdir()
        (root / 'etc/passwd').write_text('')  # some tests look whether there is one
        with tarfile.open(archives[-1]) as archive:
            top = archive.next().name.split('/')[0]
            archive.extractall(root / 'tmp')
        tree = root / 'tmp' / top
        suite = Suite(Guest(options.wasmctl, options.module, root), Native(options.native))
        tests = [test for part in options.parts or PARTS for test in suite.find_tests(tree, part) if test[0] not in results]
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for (name, _, _), (native, here, why) in zip(tests, pool.map(suite.both, tests)):
                results[name] = native, here, re.sub(r'[\x00-\x1f\x7f-\xa0]+', ' ', why)
                print(name, *results[name], sep='\t', file=file, flush=True)


def part_of(test):
    """Zend, or ext/json"""
    return '/'.join(test.split('/')[:2 if test.startswith('ext/') else 1])


def print_table(results, expected):
    """Returns the lines that are no part of it: failures without a reason, reasons without a failure."""
    counts = collections.defaultdict(collections.Counter)
    reasons = collections.defaultdict(collections.Counter)
    wrong = []
    for name, (native, here, why) in results.items():
        part = part_of(name)
        if native != 'pass':
            continue
        counts[part][here] += 1
        if here == 'fail':
            reason = expected.get(name, 'without a reason')
            reasons[part][reason.split(':')[0]] += 1
            if name not in expected:
                wrong.append(f'{name}: {why}')
        elif name in expected:
            wrong.append(f'{name} is listed as failing: {here}')
    print('| part | pass natively | of these pass here | skipped | fail | why |')
    print('|---|---|---|---|---|---|')
    for part, count in counts.items():
        why = ', '.join(f'{reason} ({number})' for reason, number in reasons[part].most_common())
        print(f'| {part} | {count.total():,} | {count["pass"]:,} | {count["skip"]} | {count["fail"]} | {why} |')
    total = sum(counts.values(), collections.Counter())
    print(f'| all | {total.total():,} | {total["pass"]:,} | {total["skip"]} | {total["fail"]} | |')
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--module', default=ROOT / 'build/guests/php.wasm')
    parser.add_argument('--wasmctl', default=ROOT / 'build/release/wasmctl')
    parser.add_argument('--native', help='the php-cgi to compare with; without one, no test is run')
    parser.add_argument('--results', type=pathlib.Path, required=True, help='a file that is added to')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('parts', nargs='*')
    options = parser.parse_args()

    results = read_results(options.results)
    if options.native:
        run_tests(options, results)
    wrong = print_table(results, read_expected())
    for line in wrong:
        print('unexpected:', line)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
