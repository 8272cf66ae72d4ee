# SPDX-License-Identifier: Apache-2.0
"""PHP with a start image, in a real server: what a request leaves, what it draws at
random, what it locks, which script it runs and what is in the image."""

import collections
import concurrent.futures
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import sqlite3
import threading
import time
import uuid

import pytest
from pyhttpd.conf import HttpdConf
from pyhttpd.env import SERVER_USER

START_SECONDS = 600   # a start compiles PHP once, and once more for each image
CLIENTS = 16
# Of one server each; the first has the most, as its children live as long as any.
REQUESTS = {"event": 10000, "worker": 1000, "prefork": 1000}
TOKENS = {"event": 2000, "worker": 500, "prefork": 500}
INCREMENTS = 20   # of each client

INI = """opcache.memory_consumption = 16
opcache.interned_strings_buffer = 2
memory_limit = 16M
display_errors = 0
log_errors = 0
session.save_path = /data
session.gc_probability = 0
user_ini.filename =
"""

STATE = r"""<?php
// All that an earlier request could have left, in one comparable line.
function state(): string {
    static $calls = 0;
    $calls++;
    $errors = set_error_handler(null); $exceptions = set_exception_handler(null);
    $database = new SQLite3(":memory:");
    $ini = ini_get_all(null, false); $cache = opcache_get_status();
    $variables = getenv();
    $paths = array_diff(array_keys(realpath_cache_get()), ["/", "/www", "/data", "/tmp"]);
    ksort($ini); ksort($variables); sort($paths);
    foreach (["CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_COOKIE", "QUERY_STRING", "REMOTE_PORT", "REQUEST_METHOD",
              "REQUEST_URI", "UNIQUE_ID", "SCRIPT_FILENAME", "SCRIPT_NAME", "PATH_TRANSLATED"] as $own) {
        unset($variables[$own]);
    }
    return json_encode([
        "calls" => $calls, "static property" => Kept::$value, "static" => kept(), "previous" => Kept::$object === null,
        "globals" => array_values(array_diff(array_keys($GLOBALS), ["_GET", "_POST", "_COOKIE", "_FILES", "_SERVER",
            "_ENV", "_REQUEST", "argv", "argc"])),
        "ini" => md5(json_encode($ini)), "precision" => $ini["precision"], "environment" => md5(json_encode($variables)),
        "user constants" => get_defined_constants(true)["user"] ?? [],
        "functions" => get_defined_functions()["user"],
        "classes" => count(get_declared_classes()), "interfaces" => count(get_declared_interfaces()),
        "extensions" => count(get_loaded_extensions()),
        "directory" => getcwd(), "locale" => setlocale(LC_ALL, "0"), "zone" => date_default_timezone_get(),
        "encoding" => mb_internal_encoding(), "language" => mb_language(), "substitute" => mb_substitute_character(),
        "scale" => bcscale(), "reporting" => error_reporting(), "handlers" => [$errors, $exceptions],
        "last error" => error_get_last(), "json" => json_last_error(), "preg" => preg_last_error(),
        "wrappers" => stream_get_wrappers(), "filters" => stream_get_filters(), "autoload" => spl_autoload_functions(),
        "buffers" => ob_get_level(), "headers" => headers_list(), "status" => http_response_code(),
        "session" => [session_status(), session_id(), session_name(), isset($_SESSION), session_module_name()],
        "libxml" => [libxml_use_internal_errors(), count(libxml_get_errors())],
        "mask" => umask(), "resources" => array_map("get_resource_type", get_resources()), "object" => spl_object_id(new stdClass),
        "collector" => gc_status()["runs"], "database" => $database->querySingle("select count(*) from sqlite_master"),
        "included" => array_map("basename", array_slice(get_included_files(), 1)),
        "cached paths" => $paths,
        "files" => array_map(fn($f) => $f["error"], $_FILES), "request" => array_keys($_REQUEST),
        "compiled" => count($cache["scripts"]), "hits" => $cache["opcache_statistics"]["hits"],
        "connection" => connection_status(), "shutdown" => Kept::$shutdown,
    ], JSON_THROW_ON_ERROR);
}
class Kept { public static $value = 0; public static $object = null; public static $shutdown = 0; }
function kept() { static $n = 0; return $n++; }
"""

# Prints the state, then leaves behind whatever it can.
LEAVE = r"""<?php
include "/www/state.php";
echo state(), "\n";
$how = $_SERVER["QUERY_STRING"];
// What ends a request before its time is worse the more it holds.
$left = fopen("/data/left", "c"); $GLOBALS["secret"] = "left"; $_SESSION["left"] = 1; $_ENV["LEFT"] = "x";
Kept::$value = 7; Kept::$object = new ArrayObject([1]); kept(); define("LEFT", 1); define("LEFT_TOO", 1.5);
foreach (["precision" => 3, "memory_limit" => "15M", "session.name" => "LEFT", "include_path" => "/left", "date.timezone" => "Asia/Tokyo",
          "error_reporting" => 1, "default_charset" => "latin1", "user_agent" => "left", "mbstring.language" => "ja",
          "pcre.backtrack_limit" => 9, "assert.exception" => 0, "zend.assertions" => 0] as $name => $value) { ini_set($name, $value); }
putenv("LEFT=1"); chdir("/tmp"); umask(0); setlocale(LC_ALL, "C.UTF-8"); date_default_timezone_set("Asia/Tokyo");
mb_internal_encoding("EUC-JP"); mb_language("ja"); mb_substitute_character("none"); bcscale(9); mt_srand(1); srand(1);
set_error_handler(fn() => true); set_exception_handler(function () {}); @trigger_error("left"); json_decode("{"); preg_match("/(?:\D+|<\d+>)*[!?]/", "foobar foobar foobar");
stream_wrapper_unregister("http"); stream_wrapper_register("left", "Kept"); spl_autoload_register(fn($n) => null); stream_filter_register("left", "Kept");
libxml_use_internal_errors(true); simplexml_load_string("<"); ob_start(fn($text) => $text); eval("class Left {} interface LeftToo {} function left() {}");
register_shutdown_function(function () { Kept::$shutdown++; });
$cycle = new stdClass; $cycle->self = $cycle; unset($cycle); gc_collect_cycles(); header("X-Left: 1"); http_response_code(418);
ob_end_flush(); ob_start();
switch ($how) {
    case "return": return;
    case "exit": exit(7);
    case "fatal": nothing();
    case "exception": throw new RuntimeException("left");
    case "memory": $a = []; while (true) { $a[] = str_repeat("left", 999); }
    case "allocation": ini_set("memory_limit", -1); $a = str_repeat("x", 1 << 29); break;
    case "session": ini_set("session.name", "LEFT"); session_id("left" . bin2hex(random_bytes(8))); session_start(); $_SESSION["x"] = 1; break;
    case "regenerate": session_start(); session_regenerate_id(); $_SESSION["x"] = 1; exit;
    case "upload": move_uploaded_file($_FILES["file"]["tmp_name"], "/data/" . bin2hex(random_bytes(8)) . ".up"); break;
    case "upload-fatal": nothing($_FILES["file"]["tmp_name"]);
    case "database": $db = new PDO("sqlite:/data/left.db"); $db->exec("begin exclusive"); $db->exec("create table left(n)"); exit;
    case "lock": flock($left, LOCK_EX); break;
    case "destructor": class Late { function __destruct() { Kept::$value = 9; nothing(); } } $late = new Late; break;
    case "generator": function g() { try { yield 1; } finally { Kept::$value = 8; } } $g = g(); $g->current(); break;
}
"""

# In these the guest itself is ended: by a trap, by its limit on memory.
END = r"""<?php
include "/www/state.php";
echo state(), "\n";
Kept::$value = 7; define("LEFT", 1); putenv("LEFT=1"); ini_set("precision", 3); ini_set("memory_limit", -1);
if ($_SERVER["QUERY_STRING"] === "stack") { $f = function () use (&$f) { array_map($f, [1]); }; $f(); }
$a = []; while (true) { $a[] = str_repeat("left", 65536); }
"""

TOKEN = r"""<?php
session_start();
$db = new SQLite3(":memory:");
echo json_encode([
    "random_bytes" => bin2hex(random_bytes(16)), "random_int" => random_int(0, PHP_INT_MAX),
    "session id" => session_id(), "next session id" => session_create_id(), "uniqid" => uniqid("", true),
    "lcg_value" => @lcg_value(), "mt_rand" => implode(" ", [mt_rand(), mt_rand(), mt_rand(), mt_rand()]),
    "str_shuffle" => str_shuffle("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
    "engine" => bin2hex((new Random\Randomizer(new Random\Engine\Xoshiro256StarStar()))->getBytes(16)),
    "sqlite" => $db->querySingle("select hex(randomblob(16))"), "salt" => password_hash("a", PASSWORD_BCRYPT, ["cost" => 4]),
]);
session_destroy();
"""
# Their seed has 32 bits, so two of some thousands may be equal by chance. All would be, if the
# seed were in the image.
SEEDED_BY_32_BITS = ("mt_rand", "str_shuffle")

GIVEN = "given-5d2c81aa"
LITERAL = "literal-9be41d77"
COMMENT = "comment-0f3c9a52"

MANNERS = ["return", "exit", "fatal", "exception", "memory", "allocation", "session", "regenerate",
           "upload", "upload-fatal", "database", "lock", "destructor", "generator"]
BOUNDARY = "0123456789abcdef"
UPLOAD = (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="left.txt"\r\n'
          f'Content-Type: text/plain\r\n\r\n{"left " * 500}\r\n--{BOUNDARY}--\r\n')

SCRIPTS = {
    "state.php": STATE,
    "probe.php": '<?php include "/www/state.php"; echo state();',
    "leave.php": LEAVE,
    "end.php": END,
    "token.php": TOKEN,
    "session.php": '<?php session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; usleep(200); echo $_SESSION["n"];',
    "sqlite.php": '<?php $db = new PDO("sqlite:/data/count.db"); $db->setAttribute(PDO::ATTR_TIMEOUT, 300);'
                  '$db->exec("pragma synchronous=off"); $db->exec("begin immediate");'
                  '$n = $db->query("select n from t")->fetchColumn(); usleep(200);'
                  '$db->exec("update t set n = " . ($n + 1)); $db->exec("commit"); echo $n + 1;',
    "file.php": '<?php $f = fopen("/data/count", "c+"); flock($f, LOCK_EX); $n = (int) fgets($f); usleep(200);'
                'rewind($f); fwrite($f, $n + 1); fclose($f); echo $n + 1;',
    "locked.php": '<?php $f = fopen("/data/native", "c+"); $db = new SQLite3("/data/native.db");'
                  'echo flock($f, LOCK_EX | LOCK_NB) ? "free" : "locked", " ",'
                  '@$db->exec("begin immediate") ? "free" : $db->lastErrorMsg();',
    "hold.php": '<?php $f = fopen("/data/native", "c+"); flock($f, LOCK_EX); $db = new SQLite3("/data/native.db");'
                '$db->exec("begin exclusive"); $db->exec("update t set n = n + 1"); file_put_contents("/data/held", "1"); sleep(600);',
    "literal.php": f'<?php /* {COMMENT} */ echo "{LITERAL}";',
    # What a page of an application takes, from PHP's allocator and from malloc().
    "page.php": '<?php $text = str_repeat("x", 10 << 20); $db = new SQLite3(":memory:"); $db->exec("create table t(x)");'
                '$db->exec("insert into t values(zeroblob(2000000))"); echo strlen($text);',
    "modes.php": """<?php
        session_id("private"); session_start(); $_SESSION["a"] = 1; session_write_close();
        function mode($name) { clearstatcache(); return decoct(fileperms($name)); }
        $seen = ["session" => mode("/data/sess_private")];
        file_put_contents("/data/program", "#!/bin/sh\necho out\n");
        $seen["changed"] = [chmod("/data/program", 0755), mode("/data/program"), chmod("/data/program", 06711), mode("/data/program")];
        $seen["read-only"] = [chmod("/data/program", 0444), mode("/data/program"), is_writable("/data/program"), @fopen("/data/program", "a")];
        $seen["unreadable"] = [chmod("/data/program", 0), is_readable("/data/program"), @file_get_contents("/data/program")];
        chmod("/data/program", 0640);
        mkdir("/data/folder"); $seen["folder"] = [chmod("/data/folder", 0711), mode("/data/folder"), is_executable("/data/folder")];
        $seen["script"] = [@chmod("/www/page.php", 0666), error_get_last()["message"], @chmod("/data/none", 0600), @chown("/www/page.php", 1000)];
        umask(0); file_put_contents("/data/open", "1"); mkdir("/data/open.d", 0777); umask(027); touch("/data/closed");
        $seen["space"] = disk_free_space("/data") <= disk_total_space("/data") && disk_free_space("/data") > 0;
        $seen["exec"] = [touch("/bin/program"), chmod("/bin/program", 04711), mode("/bin/program"), is_executable("/bin/program")];
        $seen["old"] = [touch("/data/closed", -86400), filemtime("/data/closed")];
        echo json_encode($seen);""",
    "environment.php": '<?php echo json_encode(getenv());',
}


class App:
    """Scripts and data, the same for all servers, so that they have the same image."""

    def __init__(self, root):
        self.root = root
        for name in ("www", "edited", "etc", "data", "tmp", "bin"):
            os.makedirs(os.path.join(root, name))
        if os.geteuid() == 0:
            shutil.chown(self.path("data"), SERVER_USER)
            shutil.chown(self.path("tmp"), SERVER_USER)
            shutil.chown(self.path("bin"), SERVER_USER)
        self.write("etc/php.ini", INI)
        self.write("etc/warmup", "/www\n")
        for name, text in SCRIPTS.items():
            self.write(f"www/{name}", text)
        self.write("edited/page.php", '<?php include "/www/part.php"; echo "page 0";')
        self.write("edited/part.php", '<?php echo "part 0, ";')
        self.write("edited/token.php", TOKEN)

    def path(self, *names):
        return os.path.join(self.root, *names)

    def write(self, name, text):
        """As if written some time ago: OPcache leaves alone what has just changed."""
        with open(self.path(name), "w", encoding="ascii") as out:
            out.write(text)
        past = time.time() - 60
        os.utime(self.path(name), (past, past))

    def data(self, name):
        return self.path("data", name)

    def make_empty(self, name):
        with open(self.data(name), "w", encoding="ascii"):
            pass
        if os.geteuid() == 0:
            shutil.chown(self.data(name), SERVER_USER)

    def database(self, name):
        db = sqlite3.connect(self.data(name), isolation_level=None, timeout=300)
        db.execute("create table if not exists t(n)")
        db.execute("delete from t")
        db.execute("insert into t values(0)")
        if os.geteuid() == 0:
            shutil.chown(self.data(name), SERVER_USER)
        return db


@pytest.fixture(scope="module")
def app(work_dir, paths):
    if not os.path.exists(f"{paths.guests}/php.wasm"):
        pytest.skip("no php.wasm: make php-guest")
    shutil.rmtree(os.path.join(work_dir, "php"), ignore_errors=True)
    return App(os.path.join(work_dir, "php"))


@pytest.fixture(scope="module")
def images(work_dir):
    """A cache for these servers: its files are looked into."""
    return os.path.join(work_dir, "php-cache")


@pytest.fixture(scope="module")
def seen():
    """Tokens of all servers, routes and images, by kind."""
    return collections.defaultdict(list)


@pytest.fixture(scope="module")
def secret():
    return f"secret-{uuid.uuid4().hex}"


# Directories and images are shared, so there is one server after the other.
@pytest.fixture(scope="module")
def env(make_env, mpm, app, images, paths, secret):
    server = make_env(f"php-{mpm}", mpm=mpm, cache_dir=images)
    server.extra_environ["SECRET_OF_THE_SERVER"] = secret
    conf = HttpdConf(server)

    def route(folder):
        conf.add([f'Alias "/{folder}" "{app.path(folder)}"', f'<Directory "{app.path(folder)}">',
                  "    Require all granted", "    AddHandler wasm-handler .php",
                  f'    WasmModule "{paths.guests}/php.wasm"', "    WasmEnableCGI On", "    WasmMapCGIFileNames On",
                  f'    WasmMapDir /www "{app.path(folder)}" ro', f'    WasmMapDir /data "{app.path("data")}"',
                  f'    WasmMapDir /tmp "{app.path("tmp")}"', f'    WasmMapDir /etc/php "{app.path("etc")}" ro',
                  f'    WasmMapDir /bin "{app.path("bin")}" exec',
                  "    WasmEnv PHP_WARMUP /etc/php/warmup", f"    WasmEnv GIVEN {GIVEN}",
                  "    WasmSnapshot On", "    WasmMemoryLimit 96M", "</Directory>"])

    conf.add(['LogFormat "%U %{WASM_MEMORY}e" memory', f'CustomLog "{server.server_logs_dir}/memory" memory'])
    route("www")
    conf.add(['<Location "/www/hold.php">', "    WasmTimeout 3", "</Location>"])
    if mpm == "event":
        route("edited")
    conf.install()
    assert server.apache_restart(timeout=START_SECONDS) == 0, \
        server.stderr + "\n".join(server.httpd_error_log.recent())
    server.check_error_log()   # it says so when a route has no image
    yield server
    assert server.apache_stop() == 0
    server.check_error_log()


def ask(env, path, body=None, **headers):
    """(status, text) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", env.http_port, timeout=300)
    try:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST" if body else "GET", path, body, {"Connection": "close", **headers})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def get(env, path, **headers):
    status, text = ask(env, path, **headers)
    assert status == 200, (path, status, text)
    return text


def at_once(work, clients=CLIENTS):
    """Runs work(number) for that many clients at the same time; what each gave."""
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return list(pool.map(work, range(clients)))


def files_of(folder):
    """Content of each image, by name."""
    made = {}
    for entry in os.scandir(folder):
        if entry.is_file():
            with open(entry.path, "rb") as file:
                made[entry.name] = file.read()
    return made


def left_out(line, names):
    state = json.loads(line)
    return {name: value for name, value in state.items() if name not in names}


def take_tokens(env, path, count, seen):
    """Asks for tokens from many clients at once; adds them to what was seen."""
    for answers in at_once(lambda n: [get(env, path) for _ in range(n, count, CLIENTS)]):
        for answer in answers:
            for kind, token in json.loads(answer).items():
                seen[kind].append(token)


def assert_no_token_twice(seen):
    for kind, tokens in seen.items():
        twice = len(tokens) - len(set(tokens))
        assert twice <= (1 if kind in SEEDED_BY_32_BITS else 0), (kind, twice, len(tokens))


class TestPHP:

    def test_200_01_no_trace_of_another_request(self, env, app):
        pristine = get(env, "/www/probe.php")
        state = json.loads(pristine)
        assert state["calls"] == 1 and state["globals"] == [] and state["user constants"] == []
        assert state["functions"] == ["state", "kept"] and state["session"][:2] == [1, ""]
        assert state["precision"] == "14" and state["compiled"] == len(SCRIPTS)
        requests = REQUESTS[env.mpm]
        expected = left_out(pristine, ["request", "files"])   # of its own it has these two

        def work(number):
            wrong = []
            for i in range(number, requests, CLIENTS):
                how = MANNERS[i // CLIENTS % len(MANNERS)]
                upload = how.startswith("upload")
                _, text = ask(env, f"/www/leave.php?{how}", *([UPLOAD] if upload else []),
                              Content_Type=f"multipart/form-data; boundary={BOUNDARY}")
                try:
                    assert left_out(text.split("\n")[0], ["request", "files"]) == expected
                    assert json.loads(text.split("\n")[0])["files"] == ({"file": 0} if upload else [])
                except (AssertionError, ValueError):
                    wrong.append((how, text))
                if i // CLIENTS % 8 == 0 and (text := get(env, "/www/probe.php")) != pristine:
                    wrong.append(("probe", text))
            return wrong

        wrong = sum(at_once(work), [])
        assert not wrong, (len(wrong), wrong[0], pristine)
        assert os.listdir(app.path("tmp")) == []   # no upload stays where PHP received it
        assert get(env, "/www/probe.php") == pristine
        env.httpd_error_log.ignore_recent(["AH10934.*(: mmap.. failed|: $)"])   # of "allocation"

    def test_200_02_no_trace_of_a_guest_that_was_ended(self, env):
        pristine = get(env, "/www/probe.php")
        for _ in range(10):
            for how in ("memory", "stack"):
                with contextlib.suppress(http.client.IncompleteRead):   # what was sent before the end
                    ask(env, f"/www/end.php?{how}")
                assert at_once(lambda _: get(env, "/www/probe.php"), 4) == [pristine] * 4
        assert len([line for line in env.httpd_error_log.recent() if ":error]" in line]) >= 10
        env.httpd_error_log.ignore_recent([r"end\.php", "php.wasm"])

    def test_200_03_no_token_twice(self, env, seen):
        take_tokens(env, "/www/token.php", TOKENS[env.mpm], seen)
        if env.mpm == "event":   # another image, of another route
            take_tokens(env, "/edited/token.php", TOKENS[env.mpm], seen)
        assert_no_token_twice(seen)

    def test_200_04_edited_scripts_are_served_new(self, env, app, images, seen):
        if env.mpm != "event":
            pytest.skip("nothing in this depends on the MPM, and a new image takes long")
        assert get(env, "/edited/page.php") == "part 0, page 0"

        def write(name, text):
            with open(app.path("edited", name), "w", encoding="ascii") as out:
                out.write(text)

        for n in range(1, 20):
            # Some are as long as they were, and within a second of each other.
            write("part.php", f'<?php echo "part {n}, ";')
            assert at_once(lambda _: get(env, "/edited/page.php")) == [f"part {n}, page {n - 1}"] * CLIENTS
            write("page.php", f'<?php include "/www/part.php"; echo "page {n}";')
            assert at_once(lambda _: get(env, "/edited/page.php")) == [f"part {n}, page {n}"] * CLIENTS
        write("new.php", '<?php echo "new";')
        assert get(env, "/edited/new.php") == "new"

        before = files_of(images)
        time.sleep(3)   # OPcache leaves alone what has changed in the last two seconds
        assert env.apache_reload(timeout=START_SECONDS) == 0
        env.check_error_log()
        assert get(env, "/edited/page.php") == "part 19, page 19"
        assert files_of(images) != before
        # Another image of the same route.
        take_tokens(env, "/edited/token.php", TOKENS[env.mpm], seen)
        assert_no_token_twice(seen)

    def test_200_05_sessions_count(self, env, app):
        cookie = f"PHPSESSID=counted{env.mpm}"
        answers = at_once(lambda _: [get(env, "/www/session.php", Cookie=cookie) for _ in range(INCREMENTS)])
        assert sorted(int(n) for one in answers for n in one) == list(range(1, CLIENTS * INCREMENTS + 1))
        with open(app.data(f"sess_counted{env.mpm}"), encoding="ascii") as file:
            assert file.read() == f"n|i:{CLIENTS * INCREMENTS};"

    def test_200_06_sqlite_counts_with_a_native_program(self, env, app):
        db = app.database("count.db")

        def work(number):
            if number < CLIENTS:
                return [int(get(env, "/www/sqlite.php")) for _ in range(INCREMENTS)]
            native = sqlite3.connect(app.data("count.db"), isolation_level=None, timeout=300)
            numbers = []
            for _ in range(5 * INCREMENTS):
                native.execute("begin immediate")
                (n,) = native.execute("select n from t").fetchone()
                native.execute("update t set n = ?", (n + 1,))
                native.execute("commit")
                numbers.append(n + 1)
            return numbers

        numbers = sorted(sum(at_once(work, CLIENTS + 1), []))
        assert numbers == list(range(1, (CLIENTS + 5) * INCREMENTS + 1))
        assert db.execute("select n from t").fetchone() == (len(numbers),)
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)

    def test_200_07_flock_counts_with_a_native_program(self, env, app):
        app.make_empty("count")

        def work(number):
            if number < CLIENTS:
                return [int(get(env, "/www/file.php")) for _ in range(INCREMENTS)]
            numbers = []
            for _ in range(5 * INCREMENTS):
                with open(app.data("count"), "r+", encoding="ascii") as file:
                    fcntl.flock(file, fcntl.LOCK_EX)
                    numbers.append(int(file.read()) + 1 if os.fstat(file.fileno()).st_size else 1)
                    file.seek(0)
                    file.write(str(numbers[-1]))
            return numbers

        numbers = sorted(sum(at_once(work, CLIENTS + 1), []))
        assert numbers == list(range(1, (CLIENTS + 5) * INCREMENTS + 1))

    def test_200_08_locks_of_native_programs(self, env, app):
        app.make_empty("native")
        db = app.database("native.db")
        assert get(env, "/www/locked.php") == "free free"
        with open(app.data("native"), "r+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            db.execute("begin exclusive")
            assert get(env, "/www/locked.php") == "locked database is locked"
            db.execute("rollback")
        assert get(env, "/www/locked.php") == "free free"

    def test_200_09_locks_end_with_a_run_that_dies(self, env, app):
        app.make_empty("native")
        if os.path.exists(app.data("held")):
            os.unlink(app.data("held"))
        db = app.database("native.db")
        db.execute("pragma busy_timeout = 0")
        request = threading.Thread(target=ask, args=(env, "/www/hold.php"))
        request.start()
        while not os.path.exists(app.data("held")):
            assert request.is_alive()
            time.sleep(0.01)
        with open(app.data("native"), "r+", encoding="ascii") as file:
            with pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                db.execute("begin immediate")
            request.join()
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        db.execute("begin immediate")
        assert db.execute("select n from t").fetchone() == (0,)
        db.execute("rollback")
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        env.httpd_error_log.scan_recent("hold.php|php.wasm.*time")
        env.httpd_error_log.ignore_recent([r"hold\.php", "php.wasm"])

    def test_200_10_what_is_in_an_image(self, env, images, secret):
        before = files_of(images)
        asked = f"asked-{uuid.uuid4().hex}"
        for _ in range(20):
            ask(env, f"/www/leave.php?{asked}", Cookie=f"PHPSESSID={asked}", X_Secret=asked)
        environment = json.loads(get(env, "/www/environment.php"))
        assert environment["GIVEN"] == GIVEN and "SECRET_OF_THE_SERVER" not in environment
        made = files_of(images)
        assert made == before
        # What is compiled and given is found in an image, so the search is one.
        for text in (LITERAL, GIVEN):
            assert any(text.encode() in content for content in made.values()), text
        for text in (secret, "SECRET_OF_THE_SERVER", asked, COMMENT):
            assert not any(text.encode() in content for content in made.values()), text
        for entry in os.scandir(images):
            assert not entry.stat().st_mode & 0o022, entry.name

    def test_200_11_a_page_has_room_in_the_image(self, env):
        """An instance whose memory has grown cannot be used again."""
        assert get(env, "/www/environment.php")
        assert get(env, "/www/page.php") == str(10 << 20)
        memory = {}
        end = time.monotonic() + 10
        while len(memory) < 2 and time.monotonic() < end:
            with open(os.path.join(env.server_logs_dir, "memory"), encoding="ascii") as log:
                memory = {path: used for path, used in (line.split() for line in log.read().splitlines())
                          if path in ("/www/page.php", "/www/environment.php")}
        assert len(set(memory.values())) == 1 and len(memory) == 2, memory

    def test_200_12_permissions(self, env, app):
        def mode(name):
            return os.stat(app.path(name)).st_mode & 0o7777

        for name in ("open", "closed", "program", "sess_private"):
            if os.path.exists(app.data(name)):
                os.unlink(app.data(name))
        for name in ("folder", "open.d"):
            shutil.rmtree(app.data(name), ignore_errors=True)
        script = mode("www/page.php")
        seen = json.loads(get(env, "/www/modes.php"))
        assert seen == {
            "session": "100600", "changed": [True, "100644", True, "100600"], "read-only": [True, "100444", False, False],
            "unreadable": [True, False, False], "folder": [True, "40711", True],
            "script": [False, "chmod(): Operation not permitted", False, False], "space": True,
            "exec": [True, True, "104711", True], "old": [True, -86400]}
        assert mode("www/page.php") == script
        assert {name: mode(f"data/{name}") for name in ("sess_private", "program", "folder", "open", "open.d", "closed")} == {
            "sess_private": 0o600, "program": 0o640, "folder": 0o711, "open": 0o666, "open.d": 0o777, "closed": 0o640}
        assert os.stat(app.data("closed")).st_mtime == -86400
        assert mode("bin/program") == 0o4711
