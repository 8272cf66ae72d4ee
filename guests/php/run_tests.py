#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs PHP's own tests (*.phpt) with the PHP guest under wasmctl.

    run_tests.py [--native PHP-CGI] [--report FILE] [PART...]

PART is a folder of PHP's source tree, such as Zend or ext/json. Tests come from the
source archive that build.sh has fetched. A test that fails is run again with the native
php-cgi, if one is given: it should be of the same version, with the same extensions.
The last line counts; the exit status is 1 if a test fails that is neither listed in
expected_failures.txt nor failing natively as well, or if a listed one passes.
"""

import argparse
import collections
import concurrent.futures
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
opcache.jit_hot_loop=1 opcache.memory_consumption=32 zend.assertions=1
zend.exception_ignore_args=0 zend.exception_string_param_max_len=15 short_open_tag=0
session.auto_start=0 zlib.output_compression=Off date.timezone=UTC'''.split()

# %-directives of EXPECTF.
FORMATS = {'e': '/', 's': '[^\\r\\n]+', 'S': '[^\\r\\n]*', 'a': '.+?', 'A': '.*?', 'w': '\\s*', 'i': '[+-]?\\d+',
           'd': '\\d+', 'x': '[0-9a-fA-F]+', 'f': '[+-]?(?:\\d+|(?=\\.\\d))(?:\\.\\d+)?(?:[Ee][+-]?\\d+)?',
           'c': '.', '0': '\\x00'}

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
    """php-cgi in WebAssembly. It sees the source tree under /php."""

    def __init__(self, wasmctl, module, tree, cache):
        self.wasmctl, self.module, self.tree, self.cache = wasmctl, module, tree, cache

    def path(self, path):
        return '/php/' + str(path.relative_to(self.tree))

    def command(self, variables):
        command = [self.wasmctl, 'run', '--cache-dir', self.cache, '--dir', f'{self.tree}::/php', '--dir', f'{self.cache}/tmp::/tmp']
        for name, value in variables.items():
            command += ['--env', f'{name}={value}']
        return command + [self.module], None, None


class Native:
    def __init__(self, program):
        self.program = program

    def path(self, path):
        return str(path)

    def command(self, variables):
        return [self.program], {'PATH': os.environ['PATH'], **variables}, None


class Suite:
    def __init__(self, guest, native):
        self.guest, self.native = guest, native

    def execute(self, php, script, settings, arguments=(), variables=None, stdin=b''):
        command, environment, _ = php.command(variables or {})
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
        # Without the headers of the response. (With -q php-cgi counts them as sent, unlike the
        # command-line PHP that the tests are written for.)
        output = re.sub(r'(?:Status: [^\r\n]*\r\n)?X-Powered-By: [^\r\n]*\r\n(?:[\w-]+:[^\r\n]*\r\n)*\r\n', '',
                        done.stdout.decode('latin1'), count=1)
        return output

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

    def run(self, path, php=None):
        """(pass|fail|skip, why)"""
        native = php is not None
        php = php or self.guest
        test = sections(path)
        if 'FILE_EXTERNAL' in test:
            test['FILE'] = (path.parent / test['FILE_EXTERNAL'].strip()).read_bytes().decode('latin1')
        if 'FILEEOF' in test:
            test['FILE'] = test['FILEEOF'].rstrip('\r\n')
        for kind in ('EXPECT', 'EXPECTF', 'EXPECTREGEX'):
            if kind + '_EXTERNAL' in test:
                test[kind] = (path.parent / test[kind + '_EXTERNAL'].strip()).read_bytes().decode('latin1')
        for name in ('REDIRECTTEST', 'PHPDBG', 'GZIP_POST', 'DEFLATE_POST', 'PUT', 'CAPTURE_STDIO', 'XFAIL'):
            if name in test:
                return 'skip', name
        if 'FILE' not in test:
            return 'skip', 'no FILE'
        for extension in test.get('EXTENSIONS', '').split():
            if extension.lower() not in self.extensions:
                return 'skip', 'needs ' + extension

        settings = []
        for line in test.get('INI', '').splitlines():
            if '=' in line:
                name, value = (part.strip() for part in line.split('=', 1))
                value = value.replace('{PWD}', php.path(path.parent)).replace('{TMP}', '/tmp')
                settings.append(f'{name}={value}')
        if any(setting.startswith('opcache.preload') for setting in settings) and native:
            settings.append('opcache.preload_user=' + os.environ.get('USER', 'root'))
        variables = {name: value for name, _, value in
                     (line.partition('=') for line in test.get('ENV', '').splitlines()) if name.strip()}

        stem = path.with_suffix('.native' if native else '.guest')
        if 'SKIPIF' in test:
            script = stem.with_suffix(stem.suffix + '.skip.php')
            script.write_bytes(test['SKIPIF'].encode('latin1'))
            output = self.execute(php, script, settings)
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
            output = self.execute(php, script, settings, arguments, variables or None,
                                         test.get('STDIN', '').encode('latin1'))
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
            cleaner = stem.with_suffix(stem.suffix + '.clean.php')
            cleaner.write_bytes(test['CLEAN'].encode('latin1'))
            self.execute(php, cleaner, [])
            cleaner.unlink()
        if good:
            script.unlink(missing_ok=True)
            return 'pass', ''
        path.with_suffix('.native.out' if native else '.out').write_text(output, encoding='latin1')
        return 'fail', output[-200:].replace('\n', ' | ')

    def both(self, path):
        try:
            result, why = self.run(path)
            if result == 'fail' and self.native:
                native, _ = self.run(path, self.native)
                if native != 'pass':
                    return 'fail_natively', why
            return result, why
        except (OSError, re.error) as error:
            return 'skip', f'runner: {error}'

    def find_extensions(self):
        with tempfile.NamedTemporaryFile('w', suffix='.php', dir=self.guest.tree) as file:
            file.write('<?php echo implode(" ", array_map("strtolower", get_loaded_extensions()));')
            file.flush()
            os.chmod(file.name, 0o644)
            output = self.execute(self.guest, pathlib.Path(file.name), [])
        self.extensions = set(output.split()) | {'opcache'}
        if 'standard' not in self.extensions:
            sys.exit(f'run_tests.py: PHP does not run: {output}')


def read_expected():
    expected = {}
    for line in (HERE / 'expected_failures.txt').read_text(encoding='utf-8').splitlines():
        if line.strip() and not line.startswith('#'):
            name, _, reason = line.partition(' ')
            expected[name] = reason.strip()
    return expected


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--module', default=ROOT / 'build/guests/php.wasm')
    parser.add_argument('--wasmctl', default=ROOT / 'build/release/wasmctl')
    parser.add_argument('--native', help='a native php-cgi of the same version')
    parser.add_argument('--report', help='write a line for each test that failed')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('parts', nargs='*')
    options = parser.parse_args()

    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'mod_wasm/php/sources'
    archives = sorted(cache.glob('php8.*.orig.tar.xz'))
    if not archives:
        sys.exit('run_tests.py: no source archive; run guests/php/build.sh first')
    expected = read_expected()
    with tempfile.TemporaryDirectory(prefix='php-tests-') as work:
        with tarfile.open(archives[-1]) as archive:
            archive.extractall(work)
        tree = next(pathlib.Path(work).iterdir())
        images = pathlib.Path(work) / 'images'
        (images / 'tmp').mkdir(parents=True)
        suite = Suite(Guest(str(options.wasmctl), str(options.module), tree, str(images)),
                      Native(options.native) if options.native else None)
        suite.find_extensions()
        tests = [path for part in options.parts or PARTS for path in sorted((tree / part).rglob('*.phpt'))]
        counts = collections.defaultdict(collections.Counter)
        bad, lines = [], []
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for path, (result, why) in zip(tests, pool.map(suite.both, tests)):
                name = str(path.relative_to(tree))
                if result == 'fail' and name in expected:
                    result, why = 'expected', expected[name]
                elif result == 'fail':
                    bad.append(name)
                elif result == 'pass' and name in expected:
                    bad.append(f'{name} (listed as failing, but passes)')
                counts[next(part for part in (options.parts or PARTS) if name.startswith(part + '/'))][result] += 1
                if result not in ('pass', 'skip'):
                    lines.append(f'{result}\t{name}\t{why}')
        if options.report:
            pathlib.Path(options.report).write_text('\n'.join(lines) + '\n', encoding='utf-8')
    for part, results in counts.items():
        print(f'{part}: ' + ', '.join(f'{count} {result}' for result, count in sorted(results.items())))
    for name in bad:
        print('unexpected:', name)
    total = sum(counts.values(), collections.Counter())
    print(f'{total["pass"]} passed, {len(bad)} failed, {sum(total.values()) - total["pass"] - len(bad)} skipped')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
