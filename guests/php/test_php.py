# SPDX-License-Identifier: Apache-2.0
"""What the PHP guest promises (docs/php.md), shown with wasmctl.

    python3 -m pytest guests/php/test_php.py

Needs build/guests/php.wasm (make php-guest) and build/release/wasmctl; PHP_WASM and
WASMCTL name others.
"""

import fcntl
import os
import pathlib
import re
import sqlite3
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WASMCTL = os.environ.get('WASMCTL', str(ROOT / 'build/release/wasmctl'))
MODULE = os.environ.get('PHP_WASM', str(ROOT / 'build/guests/php.wasm'))
LONG = 600

pytestmark = pytest.mark.skipif(not os.path.exists(MODULE), reason='no php.wasm: make php-guest')

INI = '''opcache.memory_consumption = 32
opcache.interned_strings_buffer = 4
display_errors = 1
html_errors = 0
session.save_path = /tmp
'''


class Site:
    """A directory of scripts, and PHP with or without a start image of it."""

    def __init__(self, root, cache):
        self.root, self.cache = root, cache
        for name in ('www', 'tmp', 'etc'):
            (root / name).mkdir()
        self.write('etc/php.ini', INI)
        self.image = None

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        past = time.time() - 10  # OPcache leaves alone what changed in the last two seconds
        os.utime(path, (past, past))
        return path

    def directories(self):
        return ['--dir', f'{self.root}/www::/www', '--dir', f'{self.root}/tmp::/tmp', '--dir', f'{self.root}/etc::/etc/php:ro']

    def make_image(self, *environment):
        image = self.root / f'image{time.monotonic_ns()}.wasm'
        command = [WASMCTL, 'image', *self.directories()]
        for variable in environment:
            command += ['--env', variable]
        done = subprocess.run(command + ['--argv0', 'php.wasm', MODULE, str(image)], capture_output=True, text=True,
                              timeout=LONG, check=False)
        if done.returncode == 0:
            self.image = str(image)
        return done

    def command(self, script, module=None, query='', memory=None, **variables):
        cgi = {'REQUEST_METHOD': 'GET', 'GATEWAY_INTERFACE': 'CGI/1.1', 'REDIRECT_STATUS': '200', 'QUERY_STRING': query,
               'SCRIPT_FILENAME': f'/www/{script}', 'SCRIPT_NAME': f'/{script}', 'REQUEST_URI': f'/{script}?{query}',
               'DOCUMENT_ROOT': '/www', 'SERVER_PROTOCOL': 'HTTP/1.1', **variables}
        command = [WASMCTL, 'run', '--cache-dir', str(self.cache), *self.directories()]
        if memory:
            command += ['--memory', str(memory)]
        for name, value in cgi.items():
            command += ['--env', f'{name}={value}']
        return command + [module or self.image or MODULE]

    def get(self, script, **options):
        done = subprocess.run(self.command(script, **options), capture_output=True, timeout=LONG, check=False)
        head, _, body = done.stdout.decode('latin1').partition('\r\n\r\n')
        assert head.lower().count('content-type:') == 1, (done.stdout, done.stderr)
        return body

    def start(self, script, **options):
        return subprocess.Popen(self.command(script, **options), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope='session')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('cache')


@pytest.fixture
def site(tmp_path, cache):
    return Site(tmp_path, cache)


def test_extensions(site):
    site.write('www/a.php', '<?php echo PHP_VERSION, " ", PHP_INT_SIZE, " ", implode(" ", get_loaded_extensions());')
    version, size, *extensions = site.get('a.php').lower().split()
    assert version.startswith('8.') and size == '8'
    for name in ('ctype date dom exif fileinfo filter gd hash iconv json libxml mbstring pcre pdo pdo_sqlite posix random '
                 'session simplexml spl sqlite3 standard tokenizer xml xmlreader xmlwriter zlib').split():
        assert name in extensions, name
    assert 'opcache' in extensions


def test_request_without_image(site):
    site.write('www/a.php', '<?php header("X-A: b"); http_response_code(418); echo $_GET["x"], getenv("EXTRA");')
    done = subprocess.run(site.command('a.php', query='x=5', EXTRA='e'), capture_output=True, timeout=LONG, check=False)
    assert done.stdout.startswith(b'Status: 418') and b'X-A: b\r\n' in done.stdout and done.stdout.endswith(b'\r\n\r\n5e')


def test_opcache_is_off_without_image_unless_asked_for(site):
    site.write('www/a.php', '<?php echo opcache_get_status() === false ? "off" : "on";')
    site.write('www/pre.php', '<?php')
    assert site.get('a.php') == 'off'
    for setting in ('enable_cli = 1', 'file_cache = /tmp', 'preload = /www/pre.php'):
        site.write('etc/php.ini', INI + f'opcache.{setting}\n')
        assert site.get('a.php') == 'on', setting
    site.write('etc/php.ini', INI)
    assert site.make_image().returncode == 0
    assert site.get('a.php') == 'on'


def first_memory(module):
    """Bytes of memory that an instance begins with ("Binary Format", "Memory Section" of the specification)."""
    def number():
        value = shift = 0
        while True:
            byte = module.read(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    module.seek(8)
    while module.read(1)[0] != 5:
        module.seek(number(), os.SEEK_CUR)
    _size, _count, _flags = number(), number(), number()
    return number() << 16


def test_a_short_script_has_room_without_image(site):
    """An instance whose memory has grown cannot be used again."""
    with open(MODULE, 'rb') as module:
        least = first_memory(module)
    site.write('www/a.php', '<?php echo strlen(str_repeat("x", 1 << 20));')
    assert site.get('a.php', memory=least) == str(1 << 20)
    site.write('www/a.php', '<?php echo strlen(str_repeat("x", 10 << 20));')
    assert 'Out of memory' in site.get('a.php', memory=least)


def test_image_holds_what_the_list_names(site):
    site.write('www/in.php', '<?php function in() {} file_put_contents("/tmp/ran", "1");')
    site.write('www/deep/er/two.php', '<?php class Two { const A = "two"; }')
    site.write('www/not/this.php', '<?php echo 1;')
    site.write('www/tests/no.php', '<?php echo 1;')
    site.write('www/broken.php', '<?php this is not PHP')
    site.write('www/page.tpl', '<?php echo 1;')
    site.write('www/list.php', '<?php echo implode(" ", array_keys(opcache_get_status()["scripts"]));')
    site.write('etc/warmup', '# all\n/www\n!/www/not\n!*/tests/*\n')
    assert site.make_image('PHP_WARMUP=/etc/php/warmup').returncode == 0
    assert sorted(site.get('list.php').split()) == ['/www/deep/er/two.php', '/www/in.php', '/www/list.php']
    assert not (site.root / 'tmp/ran').exists()


def test_pattern(site):
    site.write('www/a/templates/one.php', '<?php echo 1;')
    site.write('www/a/other/two.php', '<?php echo 1;')
    site.write('www/list.php', '<?php echo implode(" ", array_keys(opcache_get_status()["scripts"]));')
    site.write('etc/warmup', '/www/*/templates/*\n/www/list.php\n')
    assert site.make_image('PHP_WARMUP=/etc/php/warmup').returncode == 0
    assert sorted(site.get('list.php').split()) == ['/www/a/templates/one.php', '/www/list.php']


def test_no_list_no_image(site):
    done = site.make_image('PHP_WARMUP=/etc/php/missing')
    assert done.returncode != 0 and 'PHP_WARMUP' in done.stderr


def test_preload_runs(site):
    site.write('www/pre.php', '<?php class Preloaded { const X = 7; }')
    site.write('www/a.php', '<?php echo Preloaded::X;')
    site.write('etc/php.ini', INI + 'opcache.preload = /www/pre.php\n')
    assert site.make_image().returncode == 0
    assert site.get('a.php') == '7'


def test_changed_script_is_served_new(site):
    script = site.write('www/a.php', '<?php echo 1;')
    site.write('etc/warmup', '/www\n')
    assert site.make_image('PHP_WARMUP=/etc/php/warmup').returncode == 0
    assert site.get('a.php') == '1'
    script.write_text('<?php echo 2;')
    assert site.get('a.php') == '2'
    site.write('www/b.php', '<?php echo 3;')
    assert site.get('b.php') == '3'


def test_classes_of_the_image_are_linked(site):
    site.write('www/a/Base.php', '<?php class Base implements Countable { function count(): int { return 1; } '
                                 'function name(): string { return "base"; } }')
    site.write('www/a/Named.php', '<?php trait Named { function label() { return static::class . ":" . $this->name(); } }')
    site.write('www/a/Child.php', '<?php class Child extends Base implements Marked { use Named; }')
    site.write('www/a/Marked.php', '<?php interface Marked {}')
    site.write('www/a/Orphan.php', '<?php class Orphan extends Missing {}')
    site.write('www/a/Wrong.php', '<?php class Wrong extends Base { function name(int $more): int { return 1; } }')
    site.write('www/a/Circle.php', '<?php class Circle extends Circular {}')
    site.write('www/a/Circular.php', '<?php class Circular extends Circle {}')
    site.write('www/a/Final.php', '<?php class Last extends Closure {}')
    site.write('www/z/Base.php', '<?php class Base { function count() { return 2; } function name() { return "other"; } }')
    site.write('www/a.php', '''<?php
        spl_autoload_register(function ($name) {
            $file = "/www/" . ($name == "Base" ? $_GET["base"] ?? "a" : "a") . "/$name.php";
            if (file_exists($file)) { require $file; } });
        try { echo (new Child)->label(), (new Child)->count(), (new Child) instanceof Marked; new Orphan; }
        catch (Error $e) { echo " ", $e->getMessage(); }''')
    expected = 'Child:base11 Class "Missing" not found'
    assert site.get('a.php') == expected
    site.write('etc/warmup', '/www\n')
    done = site.make_image('PHP_WARMUP=/etc/php/warmup')
    assert done.returncode == 0 and 'PHP_WARMUP: 4 classes linked' in done.stderr, done.stderr
    assert site.get('a.php') == expected
    assert site.get('a.php', query='base=z').startswith('Child:other')
    site.write('www/a/Base.php', '<?php class Base { function count() { return 1; } function name() { return "new"; } }')
    assert site.get('a.php').startswith('Child:new')


def test_regular_expressions_are_in_the_image(site):
    site.write('www/a.php', '''<?php namespace Site;
        class A { static function f($s) { return preg_replace(["/a/", "/b+/i"], "x", $s); } }
        function g($s) { return (fn ($s) => \\preg_match("/^(?<name>c+)/u", $s, $m) ? $m["name"] : "none")($s); }
        echo preg_last_error(), A::f("aBBc"), g("ccd"), implode(",", preg_split("#,#", "1,2")), preg_quote("/q/"),
            preg_match("/" . "ru" . $_GET["time"] . "/", "runtime");''')
    site.write('www/bad.php', '<?php preg_match("/(/", ""); preg_match("no", ""); preg_match("", ""); preg_match(7, ""); '
                              'preg_replace([1, [], "/x"], [], ""); preg_match("/\\x00/e", "");')
    site.write('etc/warmup', '/www\n')
    done = site.make_image('PHP_WARMUP=/etc/php/warmup')
    assert done.returncode == 0 and 'PHP_WARMUP: 4 regular expressions compiled' in done.stderr, done.stderr
    assert site.get('a.php', query='time=n') == '0xxccc1,2/q/1'


def test_real_paths_are_in_the_image(site):
    site.write('www/data/a.json', '{}')
    site.write('www/not/b.json', '{}')
    (site.root / 'www/link').symlink_to('data')
    site.write('www/a.php', '''<?php $known = realpath_cache_get();
        foreach (["/www/a.php", "/www/data/a.json", "/www/data", "/www/not/b.json"] as $p) echo isset($known[$p]) ? "known " : "- ";
        echo realpath("/www/link/a.json"), " ", var_export(realpath("/www/data/none"), true), " ", realpath("/www/not/b.json");''')
    site.write('etc/php.ini', INI + 'realpath_cache_ttl = 0\n')
    site.write('etc/warmup', '/www\n!/www/not\n')
    assert site.make_image('PHP_WARMUP=/etc/php/warmup').returncode == 0
    assert site.get('a.php') == 'known known known - /www/data/a.json false /www/not/b.json'


BYTES = r'''<?php
// Copies, comparisons and searches of all lengths around those of vectors (../posix/strings.c).
$bytes = '';
for ($i = 0; $i < 400; ++$i) $bytes .= chr(($i * 7 + intdiv($i, 256)) % 255);
for ($length = $wrong = 0; $length < 150; ++$length) {
    for ($at = 0; $at < 20; ++$at) {
        $piece = substr($bytes, $at, $length);
        for ($i = 0; $i < $length; ++$i) if ($piece[$i] !== $bytes[$at + $i]) ++$wrong;
        if (strlen($piece) !== $length || $piece !== substr($bytes, $at, $length)) ++$wrong;
        $longer = "<$piece>";
        if ($longer[0] !== '<' || $longer[$length + 1] !== '>' || strpos($longer, '>') !== strcspn($longer, '>')) ++$wrong;
        if (str_repeat('z', $length) !== implode('', array_fill(0, $length, 'z'))) ++$wrong;
        if ($length == 0) continue;
        $place = ($at * 11) % $length;
        $other = $piece;
        $other[$place] = "\xff";  // in none of the pieces
        if ($other === $piece || strcmp($piece, $other) >= 0 || strcmp($other, $piece) <= 0) ++$wrong;
        if (strpos($other, "\xff") !== $place || strpos($piece, "\xff") !== false) ++$wrong;
    }
}
echo "$wrong wrong";
'''


def test_strings_of_all_lengths(site):
    site.write('www/a.php', BYTES)
    assert site.get('a.php') == '0 wrong'


MATCHES = r'''<?php
// PCRE looks for a literal of the pattern first, unless it may not.
mt_srand(7);
$items = ['a', 'T', 'Title', 'slug:', 'ks', "\u{17f}", "\u{e9}", '[ab]', '[^a]', '\d', '\w', '.', '\s', '(?:ab|c)', '(foo)',
    '(?=ti)', '(?!x)', '(?<=a)', '^', '$', '\b', '\R', '\X', '\pL', '(?i:abc)', '(?-i)QR', '(?i)', '(?1)?', '\K', '(*ACCEPT)',
    '(?(?=a)abc|def)', '\Qx.y\E', '(abc){0}', '(?>abc)', '(?|a(b)|c(d))', 'a{2,3}', '[[:alpha:]]', '(*SKIP)', '(*COMMIT)',
    'a long literal of many words', '(?s:.)', '\G', '(?:xyz|)', "\u{e9}{2}", '[x]*', 't+', 'T*?', '(?i:s)k', '|'];
$repeats = ['', '', '', '', '*', '+', '?', '{1,2}', '*?', '++'];
$texts = ['a', 'b', 'Title', 'TITLE', 'Slug:', 'ks', 'KS', "\u{17f}", "\u{212a}", "\u{e9}", "\u{c9}", "\n", "\r\n", ' ', 'abc',
    'foo', 'QR', 'qr', 'xyz', 'x.y', 'ti', 'A LONG literal of many words', 'a long litera', "\xff", '0123456789'];
$one = fn($list) => $list[mt_rand(0, count($list) - 1)];
for ($i = $matches = $different = 0; $i < 20000; ++$i) {
    for ($pattern = '', $n = mt_rand(1, 5); $n > 0; --$n) $pattern .= $one($items) . $one($repeats);
    for ($subject = '', $n = mt_rand(0, 10); $n > 0; --$n) $subject .= $one($texts);
    $flags = $one(['', 'i', 'm', 'mi', 'u', 'iu', 'miu', 'is', 'x', 'A', 'D', 'U']);
    $from = mt_rand(0, 3);
    $quick = $slow = [];
    $found = @preg_match_all("~$pattern~$flags", $subject, $quick, PREG_OFFSET_CAPTURE, $from);
    $same = @preg_match_all("~(*NO_START_OPT)$pattern~$flags", $subject, $slow, PREG_OFFSET_CAPTURE, $from);
    $matches += (int) $found;
    if ($found !== $same || $quick !== $slow) echo ++$different, ": ~$pattern~$flags in ", json_encode($subject), "\n";
}
echo $matches > 10000 ? 'many' : 'few', " matches, $different different";
'''


def test_a_literal_is_looked_for_first_and_nothing_is_missed(site):
    site.write('www/a.php', MATCHES)
    assert site.get('a.php') == 'many matches, 0 different'


LOOKBEHIND = r'''<?php
// (?<=.) is looked at without what other assertions need, (?<=.|.) is not.
mt_srand(7);
$starts = ['', '(*CR)', '(*LF)', '(*CRLF)', '(*ANYCRLF)', '(*ANY)', '(*NUL)', '(*NO_START_OPT)'];
$items = ['a', '/', '/+', '\\r', '\\n', '.', '^', '$', '\\b', '\\R', '(b)', '(?:a|/)', '(?!a)', '|', '\\K', '(?>/*)', 'b*?', '(*SKIP)', "\u{e9}"];
$texts = ['a', 'b', '/', '//', "\r", "\n", "\r\n", "\0", "\x85", "\u{85}", "\u{2028}", "\u{e9}", "\xe9"];
$one = fn($list) => $list[mt_rand(0, count($list) - 1)];
for ($i = $matches = $different = 0; $i < 20000; ++$i) {
    for ($pattern = '', $n = mt_rand(0, 3); $n > 0; --$n) $pattern .= $one($items);
    $pattern .= '(?<=.)';
    for ($n = mt_rand(0, 3); $n > 0; --$n) $pattern .= $one($items);
    $pattern = $one($starts) . $one(['', '(?<!b)']) . $pattern;
    for ($subject = '', $n = mt_rand(0, 8); $n > 0; --$n) $subject .= $one($texts);
    $flags = $one(['', '', '', 'i', 'm', 'u', 'mu', 's', 'A', 'D']);
    $from = mt_rand(0, 2);
    $quick = $slow = [];
    $found = @preg_match_all("~$pattern~$flags", $subject, $quick, PREG_OFFSET_CAPTURE, $from);
    $slower = str_replace('(?<=.)', '(?<=.|.)', $pattern);
    $same = @preg_match_all("~$slower~$flags", $subject, $slow, PREG_OFFSET_CAPTURE, $from);
    $matches += (int) $found;
    if ($found !== $same || $quick !== $slow) echo ++$different, ": ~$pattern~$flags in ", json_encode($subject), "\n";
}
echo $matches > 10000 ? 'many' : 'few', " matches, $different different: ", preg_replace('|(?<=.)/+|', '/', '//a//b/c///');
'''


def test_one_character_behind(site):
    site.write('www/a.php', LOOKBEHIND)
    assert site.get('a.php') == 'many matches, 0 different: //a/b/c/'


def test_environment_and_arguments_are_those_of_the_request(site):
    site.write('www/a.php', '<?php echo getenv("A"), "|", getenv("B"), "|", $_SERVER["QUERY_STRING"];')
    assert site.make_image('A=image').returncode == 0
    assert site.get('a.php', query='q', B='request') == '|request|q'


def test_nothing_random_is_in_the_image(site):
    site.write('www/pre.php', '<?php mt_rand(); random_bytes(8); uniqid("", true); @lcg_value(); '
                              'new SQLite3(":memory:")->query("select random()"); ')
    site.write('www/a.php', '''<?php session_start();
        $db = new SQLite3(":memory:");
        echo json_encode([bin2hex(random_bytes(8)), random_int(0, PHP_INT_MAX), mt_rand(), rand(), @lcg_value(),
            session_id(), password_hash("a", PASSWORD_BCRYPT, ["cost" => 4]), tempnam("/tmp", "x"),
            (new Random\\Randomizer())->nextInt(), str_shuffle("abcdefghijklmnopqrstuvwxyz0123456789"),
            $db->querySingle("select random()"), uniqid("", true), bin2hex((new Random\\Randomizer(
            new Random\\Engine\\Xoshiro256StarStar()))->getBytes(8))]);''')
    site.write('etc/php.ini', INI + 'opcache.preload = /www/pre.php\n')
    site.write('www/pre.php', '<?php mt_rand(); random_bytes(8); uniqid("", true); @lcg_value(); '
                              '(new SQLite3(":memory:"))->querySingle("select random()");')
    assert site.make_image().returncode == 0
    import json
    answers = [json.loads(site.get('a.php')) for _ in range(8)]
    for values in zip(*answers):
        assert len(set(values)) == len(values), values


def test_no_trace_of_another_request(site):
    site.write('www/a.php', '''<?php
        class A { public static $s = 0; }
        function f() { static $n = 0; return ++$n; }
        $GLOBALS["g"] = ($GLOBALS["g"] ?? 0) + 1; A::$s++; ini_set("precision", 3 + (int) ini_get("precision"));
        define("C" . 1, 1); setlocale(LC_ALL, "C"); putenv("P=" . getenv("P") . "x"); chdir("/tmp");
        echo $g, A::$s, f(), ini_get("precision"), getenv("P");
        if (isset($_GET["how"])) { eval($_GET["how"]); }''')
    assert site.make_image().returncode == 0
    first = site.get('a.php')
    for how in ('exit(3);', 'nothing();', 'throw new Exception();', '$a=str_repeat("x",1<<30);', 'while(1)$a[]=1;'):
        subprocess.run(site.command('a.php', query='how=' + how.replace('+', '%2b')), capture_output=True, timeout=LONG,
                       check=False)
        assert site.get('a.php') == first


def test_image_is_free_of_what_warming_left(site):
    site.write('www/secret.php', '<?php /* comment_that_is_not_compiled */ echo 1;')
    site.write('etc/warmup', '/www\n')
    assert site.make_image('PHP_WARMUP=/etc/php/warmup').returncode == 0
    assert b'comment_that_is_not_compiled' not in pathlib.Path(site.image).read_bytes()


def test_files_are_made_with_the_mode_asked_for(site):
    site.write('etc/php.ini', INI + 'session.save_path = /tmp\n')
    site.write('www/a.php', '''<?php session_start(); $_SESSION["a"] = 1; session_write_close(); tempnam("/tmp", "temporary");
        file_put_contents("/tmp/plain", "1"); mkdir("/tmp/d"); mkdir("/tmp/own", 0700); $old = umask(0077);
        file_put_contents("/tmp/masked", "1"); mkdir("/tmp/masked.d"); umask($old); touch("/tmp/touched");''')
    assert site.make_image().returncode == 0
    before = os.umask(0o022)
    try:
        site.get('a.php')
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (site.root / 'tmp').iterdir()}
    private = [name for name in modes if name.startswith(('sess_', 'temporary'))]
    assert len(private) == 2 and all(modes.pop(name) == 0o600 for name in private), modes
    assert modes == {'plain': 0o644, 'd': 0o755, 'own': 0o700, 'masked': 0o600, 'masked.d': 0o700, 'touched': 0o644}


def test_permissions_are_those_on_the_disk(site):
    site.write('www/a.php', '''<?php file_put_contents("/tmp/a", "1"); chmod("/tmp/a", 0440); mkdir("/tmp/d"); chmod("/tmp/d", 0755);
        function mode($name) { clearstatcache(); return decoct(fileperms($name)); }
        $before = mode("/www/native"); chmod("/www/native", 0755);
        echo json_encode([mode("/tmp/a"), mode("/tmp/d"), $before, mode("/www/native"), is_executable("/www/native"),
            chmod("/tmp/a", 0777), mode("/tmp/a"), @chmod("/etc/php/php.ini", 0666), @chmod("/tmp/none", 0666), stat("/tmp/a")["blocks"] * 512 >= 1,
            filetype("/tmp/fifo"), umask(), disk_total_space("/tmp") > 0, touch("/tmp/a", -1, -2), filemtime("/tmp/a"), fileatime("/tmp/a"),
            touch("/tmp/a", 1e10), filemtime("/tmp/a")]);''')
    os.chmod(site.write('www/native', ''), 0o4751)
    os.mkfifo(site.root / 'tmp/fifo')
    assert site.get('a.php') == ('["100440","40755","100751","100755",false,true,"100666",false,false,true,"fifo",18,true,true,-1,-2,'
                                 'true,10000000000]')
    assert (site.root / 'tmp/a').stat().st_mode & 0o7777 == 0o666
    assert (site.root / 'www/native').stat().st_mode & 0o7777 == 0o755
    assert (site.root / 'etc/php.ini').stat().st_mode & 0o022 == 0


def test_files_become_executable_where_the_configuration_says_so(site):
    site.write('www/a.php', '''<?php ini_set("session.save_path", "0;0777;/bin"); umask(0); session_id("shared"); session_start();
        session_write_close(); umask(022); touch("/bin/a"); $seen = [is_executable("/bin/a")];
        foreach (["/bin/a", "/tmp/a"] as $file) { touch($file); $seen[] = chmod($file, 04755); clearstatcache();
            $seen[] = decoct(fileperms($file)); $seen[] = is_executable($file); }
        $seen[] = rename("/bin/a", "/tmp/b"); $seen[] = decoct(fileperms("/tmp/b")); echo json_encode($seen);''')
    (site.root / 'bin').mkdir()
    command = site.command('a.php')
    at = command.index('--dir')
    command[at:at] = ['--dir', f'{site.root}/bin::/bin:exec']
    before = os.umask(0o022)
    try:
        done = subprocess.run(command, capture_output=True, timeout=LONG, check=False)
    finally:
        os.umask(before)
    assert done.stdout.endswith(b'[false,true,"104755",true,true,"100644",false,true,"100644"]'), done
    assert (site.root / 'bin/sess_shared').stat().st_mode & 0o7777 == 0o777
    assert [name.name for name in (site.root / 'bin').iterdir()] == ['sess_shared']


def test_too_much_memory_is_no_overflow(site):
    for code in ('str_pad("x", PHP_INT_MAX)', 'ftruncate(fopen("php://memory", "w+"), PHP_INT_MAX)',
                 'wordwrap(str_repeat("x", 65534), 1, str_repeat("x", 65535))'):
        site.write('www/a.php', f'<?php ini_set("html_errors", 0); ini_set("memory_limit", "128M"); {code};')
        assert 'Allowed memory size of 134217728 bytes exhausted (tried to allocate 429' in site.get('a.php'), code
        site.write('www/a.php', f'<?php ini_set("html_errors", 0); ini_set("memory_limit", -1); {code};')
        assert re.search('Allowed memory size|Out of memory', site.get('a.php')), code


def test_umask(site):
    site.write('www/a.php', '''<?php umask(0); file_put_contents("/tmp/a", "1"); mkdir("/tmp/a.d"); file_put_contents("/tmp/there", "2");
        fclose(fopen("/tmp/x", "x")); symlink("led", "/tmp/link"); file_put_contents("/tmp/link", "3"); echo (int) @fopen("/tmp/a", "x"); umask(022);
        file_put_contents("/tmp/b", "1"); echo umask(077), umask(), file_get_contents("/tmp/there"); file_put_contents("/tmp/c", "1");''')
    (site.root / 'tmp/there').write_text('1')
    os.chmod(site.root / 'tmp/there', 0o600)
    before = os.umask(0o022)
    try:
        assert site.get('a.php') == '018632'
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (site.root / 'tmp').iterdir()}
    assert modes == {'a': 0o666, 'a.d': 0o777, 'there': 0o600, 'x': 0o666, 'link': 0o666, 'led': 0o666, 'b': 0o644, 'c': 0o600}


def test_flock_between_requests(site):
    site.write('www/a.php', '''<?php for ($i = 0; $i < 50; $i++) { $f = fopen("/tmp/n", "c+"); flock($f, LOCK_EX);
        $n = (int) fgets($f); usleep(500); rewind($f); fwrite($f, $n + 1); fclose($f); } echo "done";''')
    site.get('a.php')
    runs = [site.start('a.php') for _ in range(4)]
    for run in runs:
        assert run.communicate(timeout=LONG)[0].endswith(b'done')
    assert (site.root / 'tmp/n').read_text() == '250'


def test_flock_and_native_programs(site):
    site.write('www/a.php', '<?php $f = fopen("/tmp/n", "c+"); echo (int) flock($f, LOCK_EX | LOCK_NB, $would), $would;')
    with open(site.root / 'tmp/n', 'w', encoding='ascii') as native:
        fcntl.flock(native, fcntl.LOCK_SH)
        assert site.get('a.php') == '01'
    assert site.get('a.php') == '10'


def test_sqlite_between_requests_and_native(site):
    site.write('www/a.php', '''<?php $db = new PDO("sqlite:/tmp/db"); $db->setAttribute(PDO::ATTR_TIMEOUT, 120);
        for ($i = 0; $i < 25; $i++) { $db->exec("begin immediate"); $n = $db->query("select n from t")->fetchColumn();
        usleep(200); $db->exec("update t set n = " . ($n + 1)); $db->exec("commit"); } echo "done";''')
    native = sqlite3.connect(site.root / 'tmp/db', isolation_level=None, timeout=120)
    native.execute('create table t(n)')
    native.execute('insert into t values(0)')
    runs = [site.start('a.php') for _ in range(4)]
    for _ in range(25):
        native.execute('begin immediate')
        native.execute('update t set n = n + 1')
        native.execute('commit')
    for run in runs:
        output, error = run.communicate(timeout=LONG)
        assert output.endswith(b'done'), (output, error)
    assert native.execute('select n from t').fetchone() == (125,)
    assert native.execute('pragma integrity_check').fetchone() == ('ok',)


def test_two_connections_in_one_request(site):
    site.write('www/a.php', '''<?php $a = new SQLite3("/tmp/db"); $b = new SQLite3("/tmp/db");
        $a->exec("create table t(n); insert into t values(1)");
        $a->exec("begin"); $b->exec("begin"); echo $a->querySingle("select n from t"), $b->querySingle("select n from t");
        $a->exec("commit"); $b->exec("commit"); $a->close(); $b->exec("update t set n = 2");
        $c = new SQLite3("/tmp/db"); echo $c->querySingle("select n from t"); $c->exec("update t set n = 3");
        echo $b->querySingle("select n from t");
        flush(); if (isset($_GET["wait"])) { file_put_contents("/tmp/ready", ""); sleep(60); }''')
    assert site.get('a.php') == '1123'
    (site.root / 'tmp/db').unlink()
    # All of its locks are given back, though the request goes on.
    run = site.start('a.php', query='wait=1')
    deadline = time.monotonic() + LONG
    while not (site.root / 'tmp/ready').exists():
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.02)
    native = sqlite3.connect(site.root / 'tmp/db', isolation_level=None, timeout=0)
    native.execute('begin exclusive')
    native.execute('update t set n = 9')
    native.execute('commit')
    run.kill()
    run.wait()


def test_locks_end_with_a_run_that_dies(site):
    site.write('www/a.php', '''<?php $db = new SQLite3("/tmp/db"); $db->exec("begin exclusive"); $db->exec("create table u(n)");
        $f = fopen("/tmp/n", "c+"); flock($f, LOCK_EX); file_put_contents("/tmp/ready", ""); sleep(600);''')
    sqlite3.connect(site.root / 'tmp/db').execute('create table t(n)')
    run = site.start('a.php')
    deadline = time.monotonic() + LONG
    while not (site.root / 'tmp/ready').exists():
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.02)
    native = sqlite3.connect(site.root / 'tmp/db', isolation_level=None, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match='locked'):
        native.execute('insert into t values(1)')
    run.kill()
    run.wait()
    native.execute('insert into t values(1)')
    assert native.execute('pragma integrity_check').fetchone() == ('ok',)
    with open(site.root / 'tmp/n', 'w', encoding='ascii') as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_is_missing_says_so(site):
    site.write('www/a.php', '''<?php try { (new Fiber(fn() => 1))->start(); } catch (Error $e) { echo $e->getMessage(), "|"; }
        echo (int) @fsockopen("127.0.0.1", 80), @exec("ls") === false ? "f" : "t", (int) @mail("a", "b", "c");''')
    assert re.fullmatch(r'Fibers are not available in WebAssembly\|0f0', site.get('a.php'))


def test_images_of_gd(site):
    site.write('www/a.php', '''<?php $i = imagecreatetruecolor(60, 40); imagefilledrectangle($i, 0, 0, 59, 39, 0xff0000);
        foreach (["png", "jpeg", "gif", "bmp"] as $k) { ob_start(); ("image" . $k)($i); $d = ob_get_clean();
        $s = getimagesizefromstring($d); $j = imagecreatefromstring($d); echo $s["mime"], imagesx(imagescale($j, 30)), " "; }''')
    assert site.get('a.php').split() == ['image/png30', 'image/jpeg30', 'image/gif30', 'image/bmp30']


def test_dates_after_2038(site):
    site.write('www/a.php', '<?php echo date("Y-m-d", mktime(0, 0, 0, 6, 1, 2100)), 9007199254740993 * 3;')
    assert site.get('a.php') == '2100-06-0127021597764222979'


def test_integers_wider_than_addresses(site):
    site.write('www/a.php', '''<?php $s = "abc"; echo number_format(15151, -2), substr($s, PHP_INT_MIN), substr($s, 1 << 32),
        $s[(1 << 32) + 1] ?? "none", isset($s[1 << 32]) ? "set" : "unset";''')
    assert site.get('a.php') == '15,200abcnoneunset'
    for code in ('new SplFixedArray((1 << 32) + 1)', '$f = fopen("php://memory", "w+"); fseek($f, 0xfffffffe); fwrite($f, "abc")',
                 'str_repeat("ab", (1 << 32) + 1)', 'str_pad("a", PHP_INT_MAX)', 'str_pad("a", 0xffffffff)', 'ftruncate(fopen("php://temp", "wr"), PHP_INT_MAX)',
                 '$s = "a"; $s[PHP_INT_MAX] = "b"', '$s = "a"; $s[0xffffffff] = "b"'):
        site.write('www/b.php', f'<?php {code};')
        done = subprocess.run(site.command('b.php'), capture_output=True, timeout=LONG, check=False)
        assert re.search(b'Fatal error: (Possible integer overflow in memory allocation|Allowed memory size)', done.stdout), (code, done)


def test_links_to_absolute_paths(site):
    site.write('www/files/real/a.txt', 'content')
    site.write('www/a.php', '''<?php symlink("/www/files/real", "/www/files/link"); symlink("/www/files/real/a.txt", "/www/deep");
        mkdir("/www/x/y", 0777, true); symlink("/www/files", "/www/x/y/up"); symlink("/www", "/www/self");
        echo file_get_contents("/www/files/link/a.txt"), file_get_contents("/www/deep"), readlink("/www/deep"), " ",
            file_get_contents("/www/x/y/up/real/a.txt"), readlink("/www/x/y/up"), " ", is_file("/www/self/a.php"), readlink("/www/self"), " ",
            readlink("/www/self/files/link"), " ", realpath("/www/x/y/up/link/a.txt"), " ", rename("/www/files/link", "/www/x/moved"),
            file_get_contents("/www/x/moved/a.txt"), readlink("/www/x/moved"), " ", file_exists("/www/files/link") ? "there" : "gone";
        symlink("../files", "/www/x/own"); symlink("/", "/www/x/root"); symlink("/www/none", "/www/x/none"); chdir("/www/x");
        echo " ", readlink("own"), readlink("/www/x/root"), readlink("none");''')
    assert site.get('a.php') == ('contentcontent/www/files/real/a.txt content/www/files 1/www /www/files/real /www/files/real/a.txt '
                                 '1content/www/files/real gone ../files//www/none')
    assert os.readlink(site.root / 'www/deep') == './/files/real/a.txt'
    assert os.readlink(site.root / 'www/x/moved') == './/../files/real'


def test_is_writable_is_what_the_mapping_allows(site):
    site.write('etc/conf.d/a.ini', '')
    site.write('www/deep/b', 'content')
    before = [os.stat(site.root / name).st_mtime_ns for name in ('www/deep', 'www/deep/b')]
    site.write('www/a.php', '''<?php foreach (["/etc/php", "/etc/php/php.ini", "/etc/php/conf.d", "/www", "/www/deep", "/www/deep/b",
        "/www/none", "/elsewhere"] as $path) { echo (int) is_readable($path), (int) is_writable($path), " "; }''')
    assert site.get('a.php').split() == ['10', '10', '10', '11', '11', '11', '00', '00']
    assert before == [os.stat(site.root / name).st_mtime_ns for name in ('www/deep', 'www/deep/b')]


def test_messages_of_the_start_come_after_the_headers(site):
    site.write('etc/php.ini', INI + 'assert.bail = 1\nassert.warning = 0\n')
    site.write('www/a.php', 'content')
    done = subprocess.run(site.command('a.php'), capture_output=True, timeout=LONG, check=False)
    assert re.match(rb'[\w-]+: ', done.stdout) and done.stdout.count(b'PHP Startup: assert.') == 2
    assert site.get('a.php').startswith('content')


def test_recursion_ends_with_an_error(site):
    site.write('www/a.php', '''<?php function f($x) { return array_map("f", [$x]); }
        function count_down($n) { return $n ? count_down($n - 1) + 1 : 0; }
        class Magic { function __get($name) { return (clone $this)->$name; } function __toString() { return (string) (clone $this); } }
        class Node { public $next; } $first = $last = new Node; for ($i = 0; $i < 50000; $i++) { $last = $last->next = new Node; }
        foreach ([fn() => f(1), fn() => (new Magic)->a, fn() => (string) new Magic, fn() => $first == clone $first->next,
                  fn() => eval("return " . str_repeat("!", 50000) . "1;"), fn() => count_down(50000)] as $deep) {
            try { echo json_encode($deep()), ","; } catch (Error $error) { echo strtok($error->getMessage(), "0123456789"), ","; } }''')
    for image in (False, True):
        if image:
            assert site.make_image().returncode == 0
        answers = site.get('a.php').split(',')
        assert answers[:4] == ['Maximum call stack size of '] * 3 + ['Maximum call stack size reached during object comparison'], answers


def test_a_working_directory_that_is_removed(site):
    site.write('www/a.php', '<?php mkdir("/tmp/d"); chdir("/tmp/d"); rmdir("/tmp/d"); var_dump(getcwd()); mkdir("/tmp/d"); echo getcwd();')
    assert site.get('a.php') == 'bool(false)\n/tmp/d'


def test_system_log_is_the_error_log(site):
    site.write('www/a.php', '<?php syslog(LOG_INFO, "one"); openlog("site", LOG_PID, LOG_USER); syslog(LOG_ERR, "two\nthree"); openlog("site", LOG_PERROR, LOG_USER); syslog(LOG_DEBUG, "four");')
    done = subprocess.run(site.command('a.php'), capture_output=True, timeout=LONG, check=False)
    assert done.stderr.splitlines() == [b'syslog info: one', b'syslog err: site: two', b'syslog err: site: three', b'syslog debug: site: four', b'site: four'], done


def test_strptime(site):
    site.write('www/a.php', '''<?php error_reporting(0); foreach (["%d.%m.%Y" => "29.02.2000", "%H:%M %Z %y-%m-%d" => "12:30 CEST 26-11-28",
        "%A %B %e" => "Tuesday July 2", "%H %%Z" => "7 %Z", "%Y %j" => "2026 100", "%Z" => "", "%" => "x", "%d" => "x"] as $format => $text) {
        $t = strptime($text, $format); echo $t ? "$t[tm_wday] $t[tm_yday] $t[unparsed]" : "false", ","; }''')
    assert site.get('a.php') == '2 59 ,6 331 ,2 182 ,0 0 ,5 99 ,0 0 ,false,false,'


def test_working_directory(site):
    site.write('www/deep/b', 'content')
    os.symlink('deep', site.root / 'www/link')
    site.write('www/a.php', '<?php foreach (["deep", "..", "/www/deep/../deep/.", "/www/link/"] as $path) { chdir($path); echo getcwd(), " "; }')
    assert site.get('a.php') == '/www/deep /www /www/deep /www/deep '
    site.write('www/pwd.php', '<?php echo getcwd(), " ", file_get_contents("b");')
    done = subprocess.run([WASMCTL, 'run', '--cache-dir', str(site.cache), *site.directories(), '--env', 'PWD=/www/deep', MODULE,
                           '-C', '-q', '/www/pwd.php'], capture_output=True, timeout=LONG, check=False)
    assert done.stdout == b'/www/deep content'


def test_errors_are_numbered_as_in_linux(site):
    site.write('www/a.php', '''<?php function note($number, $text) { echo strstr($text, "errno") ?: $text, "\\n"; }
        set_error_handler("note");
        fread(fopen("/tmp/a", "w"), 1); file_get_contents("/tmp");
        chdir("/none");
        posix_access("/none"); echo posix_get_last_error(), posix_strerror(2), posix_strerror(22), "\\n";
        echo json_encode([fseek(fopen("/tmp/a", "r"), 0, 512), linkinfo(""), chown("/tmp/a", 0), chown("/tmp/a", 1000)]);''')
    assert site.get('a.php').splitlines() == [
        'errno=9 Bad file descriptor', 'errno=21 Is a directory', 'errno 2)', '2No such file or directoryInvalid argument',
        'linkinfo(): No such file or directory', 'chown(): Operation not permitted', '[-1,-1,false,true]']


def test_patterns_of_names(site):
    site.write('www/a.php', '<?php echo json_encode([fnmatch("*.ph[ap]", "a.php"), fnmatch("a*", "b")]);')
    assert site.get('a.php') == '[true,false]'


def test_compressed_files(site):
    site.write('www/a.php', '''<?php $f = gzopen("/tmp/a.gz", "w9"); gzwrite($f, str_repeat("line\\n", 999)); gzclose($f);
        $f = gzopen("/tmp/a.gz", "r"); gzseek($f, 5); echo gzgets($f); gzclose($f); echo count(gzfile("/tmp/a.gz")), " ";
        file_put_contents("compress.zlib:///tmp/b.gz", "wrapped"); echo file_get_contents("compress.zlib:///tmp/b.gz"),
            gzdecode(file_get_contents("/tmp/b.gz")); $g = fopen("/tmp/c", "w+"); fwrite($g, "c"); rewind($g); echo fread($g, 9);''')
    assert site.get('a.php') == 'line\n999 wrappedwrappedc'
