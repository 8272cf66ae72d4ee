# SPDX-License-Identifier: Apache-2.0
"""Compiled code where something is wrong with its cache, its machine or its
module: a slower way and one line that says so, or a clear end."""

import ctypes
import os
import pwd
import re
import shutil
import subprocess
import threading

import pytest
from pyhttpd.conf import HttpdConf
from pyhttpd.env import SERVER_USER
from reliability import GOOD_BODY, Load, wait_for

WARNING = re.compile(r"\[wasm:warn\]")


def warnings(env):
    return [line for line in env.httpd_error_log.recent() if WARNING.search(line)]


def count(env, text):
    return sum(text in line for line in env.httpd_error_log.recent())


@pytest.fixture
def make(make_env, request):
    """Makes servers with a cache of their own, not yet started."""
    made = []

    def make(add, cache=None, mpm="event", processes=2, before=""):
        env = make_env(re.sub(r"\W+", "-", request.node.name)[:60], mpm=mpm, processes=processes)
        env.cache_dir = cache or os.path.join(env.server_dir, "own-cache")
        if before:
            env.start_behind(before)
        conf = HttpdConf(env)
        conf.add("MinSpareServers 1" if mpm == "prefork" else "MinSpareThreads 1")
        add(conf)
        conf.install()
        made.append(env)
        return env

    yield make
    for env in made:
        env.apache_stop()
        env.check_error_log()


def start(env):
    assert env.apache_restart() == 0, env.stderr + "\n".join(env.httpd_error_log.recent())


@pytest.fixture
def good(paths):
    """Two modules, so that what is to be said once can be said twice."""
    def add(conf):
        conf.add_wasm("/good", f"{paths.guests}/hello.wasm")
        conf.add_wasm("/echo", f"{paths.test_guests}/echo.wasm")
    return add


def check_served(env):
    assert env.curl_get(env.mkurl("/good")).outraw == GOOD_BODY
    assert env.curl_post_data(env.mkurl("/echo?body"), b"abc").outraw == b"abc"


@pytest.fixture
def mount(tmp_path_factory):
    """Mounts small file systems in memory; removes them."""
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = []

    def mount(options, flags=0):
        path = tmp_path_factory.mktemp("mount")
        for each in (path, *path.parents):   # pytest's own are closed to others
            if each.owner() == "root" and str(each).startswith("/tmp/"):
                os.chmod(each, 0o755)
        if os.geteuid() != 0 or libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags,
                                           options.encode()) != 0:
            pytest.skip("this user may not mount file systems")
        mounted.append(path)
        return str(path)

    yield mount
    for path in mounted:
        libc.umount2(os.fsencode(path), 2)   # MNT_DETACH: a server may still look at it


MS_NOEXEC = 8


class TestColdStarts:

    def test_130_01_two_servers_at_once(self, make, paths):
        """What both need is compiled by one of them."""
        def add(conf):
            conf.add_wasm("/qjs", f"{paths.guests}/qjs.wasm")

        first = make(add)
        second = make(add, cache=first.cache_dir)
        threads = [threading.Thread(target=start, args=(env,)) for env in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert count(first, "compiled ") + count(second, "compiled ") == 1
        assert warnings(first) == warnings(second) == []

    @pytest.mark.parametrize("mpm, processes", [("prefork", 20), ("event", 3)])
    def test_130_02_forty_children_at_once(self, make, paths, mpm, processes):
        """A module that is a requested file is compiled by whoever comes
        first; all others wait for it."""
        def add(conf):
            conf.add(["AddHandler wasm-handler .wasm",
                      f'Alias "/files" "{paths.guests}"', f'<Directory "{paths.guests}">',
                      "    Require all granted", "    WasmEnableCGI On", "</Directory>"])

        env = make(add, mpm=mpm, processes=processes)
        start(env)
        url = env.mkurl("/files/form.wasm")
        clients = [subprocess.Popen(["curl", "-s", "-o", "/dev/null", "-m", "120", "-w", "%{http_code}", url],
                                    stdout=subprocess.PIPE) for _ in range(40)]
        assert [client.communicate()[0] for client in clients] == [b"200"] * 40
        assert count(env, "compiled ") == 1
        assert warnings(env) == []


class TestBadDirectory:

    def expect_memory(self, env, reason):
        """Everything is served, and the reason said once, however many
        modules there are and whether they are restarted."""
        start(env)
        check_served(env)
        said = warnings(env)
        assert len(said) == 1 and re.search(reason, said[0]), said
        assert env.apache_reload() == 0
        check_served(env)
        env.httpd_error_log.ignore_recent([reason])

    def test_130_10_writable_by_others(self, make, good):
        env = make(good)
        os.makedirs(env.cache_dir)
        os.chmod(env.cache_dir, 0o777)
        self.expect_memory(env, "can be written by other users")
        assert not [name for name in os.listdir(env.cache_dir) if name.endswith(".cwasm")]

    def test_130_11_of_another_user(self, make, good):
        if os.geteuid() != 0:
            pytest.skip("needs root")
        env = make(good)
        os.makedirs(env.cache_dir)
        subprocess.run(["chown", SERVER_USER, env.cache_dir], check=True)
        self.expect_memory(env, "belongs to user")

    def test_130_12_cannot_be_made(self, make, good):
        env = make(good)
        with open(os.path.join(env.server_dir, "file"), "w"):
            pass
        env.cache_dir = os.path.join(env.server_dir, "file/cache")
        good(conf := HttpdConf(env))
        conf.install()
        start(env)
        check_served(env)
        said = warnings(env)
        assert said and all(env.cache_dir in line for line in said), said
        env.httpd_error_log.ignore_recent([env.cache_dir])

    def test_130_13_disk_full(self, make, good, mount):
        path = mount("size=64k,mode=755")
        with open(f"{path}/other", "wb") as other:
            other.write(bytes(56 * 1024))
        env = make(good, cache=f"{path}/cache")
        start(env)
        check_served(env)
        said = warnings(env)
        assert len(said) == 1 and "No space left" in said[0], said
        assert not [name for name in os.listdir(env.cache_dir) if name.endswith((".cwasm", ".tmp"))]
        env.httpd_error_log.ignore_recent(["No space left"])

    def test_130_14_mounted_noexec(self, make, good, mount):
        path = mount("mode=755", MS_NOEXEC)
        env = make(good, cache=f"{path}/cache", processes=1)
        for compiled in (2, 0):   # what is kept there is found again
            start(env)
            check_served(env)
            said = warnings(env)
            assert len(said) == 1 and f"{path}/cache is on a file system mounted noexec" in said[0], said
            assert count(env, "AH10910: compiled ") == compiled
            assert env.apache_reload() == 0
            check_served(env)
            assert warnings(env) == said
            env.httpd_error_log.ignore_recent(["mounted noexec"])
            env.httpd_error_log.mark()


class TestBadFile:

    @pytest.mark.parametrize("who", ["others", "another user", "a link"])
    def test_130_20_not_only_ours(self, make, good, who):
        """What someone else could have written is not run, even if it is
        right at the moment."""
        env = make(good)
        start(env)
        env.apache_stop()
        name = sorted(name for name in os.listdir(env.cache_dir) if name.endswith(".cwasm"))[0]
        path = os.path.join(env.cache_dir, name)
        if who == "others":
            os.chmod(path, 0o646)
        elif who == "another user":
            if os.geteuid() != 0:
                pytest.skip("needs root")
            subprocess.run(["chown", SERVER_USER, path], check=True)
        else:
            os.rename(path, f"{path}.real")
            os.symlink(f"{path}.real", path)
        env.httpd_error_log.mark()
        start(env)
        check_served(env)
        said = warnings(env)
        assert len(said) == 1 and name in said[0] and "made anew" in said[0], said
        assert not os.path.islink(path) and os.stat(path).st_mode & 0o022 == 0
        assert os.stat(path).st_uid == os.geteuid()
        env.httpd_error_log.ignore_recent(["made anew"])
        env.httpd_error_log.mark()
        start(env)
        assert warnings(env) == []

    def test_130_21_of_another_version(self, make, good, paths):
        """The image of one module under the name of another, whole as it is:
        names and contents belong together."""
        env = make(good)
        start(env)
        env.apache_stop()
        one, two = (os.path.join(env.cache_dir, name) for name in sorted(os.listdir(env.cache_dir))
                    if name.endswith(".cwasm"))
        os.rename(one, two)
        env.httpd_error_log.mark()
        start(env)
        check_served(env)
        said = warnings(env)
        assert len(said) == 1 and os.path.basename(two) in said[0], said
        env.httpd_error_log.ignore_recent(["made anew"])


class TestLittleAddressSpace:

    def test_130_30_slower_and_said(self, make, good, paths):
        """With bounds checks instead of reservations; hostile guests fare as
        they do elsewhere."""
        def add(conf):
            good(conf)
            for name, directive in (("table_grow", "WasmTimeout 60"), ("memory_grow", "WasmMemoryLimit 16M"),
                                    ("out_of_bounds", ""), ("stack_overflow", ""),
                                    ("endless_loop", "WasmTimeout 1")):
                conf.add_wasm(f"/{name}", f"{paths.test_guests}/hostile/{name}.wasm", directive)

        env = make(add, before="ulimit -v 8000000")
        start(env)
        said = warnings(env)
        assert len(said) == 1 and "ulimit -v" in said[0], said
        pids = sorted(env.child_pids())
        with Load(env.mkurl("/good")) as load:
            for name, status in (("table_grow", 500), ("memory_grow", 500), ("out_of_bounds", 500),
                                 ("stack_overflow", 500), ("endless_loop", 504)):
                for _ in range(3):
                    r = env.curl_get(env.mkurl(f"/{name}"))
                    assert r.response["status"] == status, r
            result = load.stop()
        assert result.lost == 0, result.output
        check_served(env)
        assert sorted(env.child_pids()) == pids
        env.httpd_error_log.ignore_recent(["ulimit -v", r"hostile/\w+\.wasm"])


class TestOldKernel:

    def test_130_31_slower_and_said(self, make, good, paths):
        """Paths are looked up without the kernel's help, and what is kept in stays in."""
        def add(conf):
            good(conf)
            data = os.path.join(conf.env.server_dir, "data")
            with open(f"{data}/inside", "w", encoding="utf-8") as out:
                out.write("inside\n")
            os.symlink("inside", f"{data}/link")
            os.symlink("/etc/passwd", f"{data}/out")
            conf.add_wasm("/files", f"{paths.test_guests}/files.wasm", f'WasmMapDir /data "{data}"')
            conf.add(["LogLevel wasm:info", "<Location /info>", "SetHandler wasm-info", "</Location>"])

        helper = os.path.join(paths.root, "tests/old_kernel.py")
        env = make(add, before=f'exec /usr/bin/python3 "{helper}" "$(apxs -q SBINDIR)/$(apxs -q PROGNAME)" "$@"')
        start(env)
        check_served(env)
        assert count(env, "AH10957: the kernel does not tell which memory a run has written") == 1
        assert count(env, "AH10957: the kernel, or the filter of a container, does not offer openat2") == 1
        assert warnings(env) == []
        for query, answer in (("read:/data/link", b"inside\n"), ("read:/data/out", b"read: Operation not permitted\n"),
                              ("read:/data/../conf/httpd.conf", b"read: Operation not permitted\n")):
            assert env.curl_get(env.mkurl(f"/files?{query}")).outraw == answer, query
        assert env.curl_get(env.mkurl("/info")).outraw.count(b"<th>A slower way</th>") == 2


def leb(number):
    out = b""
    while True:
        byte, number = number & 0x7f, number >> 7
        if not number:
            return out + bytes([byte])
        out += bytes([byte | 0x80])


def bomb(loops, variables):
    """A small module with one function that is a burden on any compiler:
    loops in loops, whose variables depend on each other."""
    code = b"".join(b"\x03\x40\x20" + leb(i * 7 % variables) + b"\x41\x01\x6a\x21" + leb(i % variables)
                    for i in range(loops))
    code += b"".join(b"\x20" + leb(i * 13 % variables) + b"\x0d\x00\x0b" for i in range(loops))
    body = b"\x01" + leb(variables) + b"\x7f" + code + b"\x0b"
    sections = [(1, b"\x01\x60\x00\x00"), (3, b"\x01\x00"), (5, b"\x01\x00\x01"),
                (7, b"\x02\x06_start\x00\x00\x06memory\x02\x00"), (10, b"\x01" + leb(len(body)) + body)]
    return b"\x00asm\x01\x00\x00\x00" + b"".join(bytes([i]) + leb(len(b)) + b for i, b in sections)


class TestCompilerBombs:

    @pytest.fixture
    def module(self, tmp_path_factory, make_env):
        env = make_env("bomb")
        path = os.path.join(env.server_dir, "bomb.wasm")
        with open(path, "wb") as out:
            out.write(bomb(5000, 1000))
        return path

    @pytest.mark.skipif(os.geteuid() != 0, reason="a server that root does not start has no other user")
    def test_130_43_has_few_rights(self, make, paths, module):
        """Looked at while it compiles for a server that root starts."""
        def add(conf):
            for name in ("wasmctl", "libwasm_runtime.so.1"):
                shutil.copy(os.path.join(paths.lib, name), conf.env.server_dir)
            conf.add([f'WasmCompiler "{conf.env.server_dir}/wasmctl"', "WasmCompilerTimeout 5", "WasmCompilerMemory 1G"])
            conf.add_wasm("/bomb", module)

        env = make(add)
        thread = threading.Thread(target=env.apache_restart)
        thread.start()
        try:
            status = wait_for(lambda: self.find_compiler(f"{env.server_dir}/wasmctl"))
            (pid,) = status["Pid"]
            with open(f"/proc/{pid}/limits", encoding="utf-8") as file:
                limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
            descriptors = os.listdir(f"/proc/{pid}/fd")
        finally:
            thread.join()
        user = pwd.getpwnam(SERVER_USER)
        assert status["Uid"] == [str(user.pw_uid)] * 4 and status["Gid"] == [str(user.pw_gid)] * 4
        assert set(status["Groups"]) <= {str(user.pw_gid)} and status["NoNewPrivs"] == ["1"]
        assert set(status["CapEff"] + status["CapPrm"]) == {"0" * 16}
        assert limits["Max address space"] == [str(1 << 30)] * 2
        assert limits["Max core file size"] == ["0", "0"]
        assert set(descriptors) <= {"0", "1", "2"}
        env.httpd_error_log.scan_recent("bomb.wasm: the compiler took longer than the 5 s")
        env.httpd_error_log.ignore_recent([r"bomb\.wasm", "AH00020|AH00016"])

    @staticmethod
    def find_compiler(program):
        """A process that has become the compiler and somebody else: its /proc/PID/status."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/exe") == program:
                    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                        status = {name: text.split() for name, text in (line.split(":", 1) for line in file)}
                    if status["Uid"][0] != "0":
                        return status
            except OSError:
                pass
        return None

    LIMITS = [("WasmCompilerTimeout 1", r"took longer than the 1 s it may take.*WasmCompilerTimeout"),
              ("WasmCompilerMemory 128M", r"more than the 128\.0 MiB of memory.*WasmCompilerMemory")]

    @pytest.mark.parametrize("directive, reason", LIMITS, ids=["time", "memory"])
    def test_130_40_first_start_fails(self, make, module, directive, reason):
        env = make(lambda conf: conf.add(directive).add_wasm("/bomb", module))
        assert env.apache_restart() not in (0, None)
        line = env.httpd_error_log.scan_recent(r"WasmModule .*bomb\.wasm")
        assert re.search(reason, line), line
        env.httpd_error_log.ignore_recent([r"bomb\.wasm", "AH00020|AH00016"])

    @pytest.mark.parametrize("directive, reason", LIMITS, ids=["time", "memory"])
    def test_130_41_restart_goes_on_without(self, make, good, module, directive, reason):
        """Put in place of a good module of a running server, it costs its own
        routes only."""
        app = os.path.join(os.path.dirname(module), "app.wasm")
        with open(app, "wb") as out:
            out.write(bomb(1, 1))

        def add(conf):
            good(conf)
            conf.add(directive)
            conf.add_wasm("/app", app)

        env = make(add)
        start(env)
        with Load(env.mkurl("/good")) as load:
            os.rename(module, app)
            assert env.apache_reload(timeout=180) == 0
            result = load.stop()
        assert result.lost == 0, result.output
        line = env.httpd_error_log.scan_recent(r"WasmModule .*app\.wasm")
        assert re.search(reason, line), line
        check_served(env)
        assert env.curl_get(env.mkurl("/app")).response["status"] == 500
        env.httpd_error_log.ignore_recent([r"app\.wasm"])

    def test_130_42_as_a_requested_file(self, make, good, module):
        """Others who ask for it meanwhile do not use up the threads."""
        def add(conf):
            good(conf)
            conf.add(["WasmCompilerTimeout 15", "AddHandler wasm-handler .wasm",
                      f'Alias "/bomb.wasm" "{module}"', f'<Files "bomb.wasm">', "    Require all granted",
                      "</Files>"])

        env = make(add, processes=1)
        start(env)
        clients = [subprocess.Popen(["curl", "-s", "-o", "/dev/null", "-m", "120", "-w", "%{http_code}",
                                     env.mkurl("/bomb.wasm")], stdout=subprocess.PIPE) for _ in range(32)]
        with Load(env.mkurl("/good")) as load:
            assert env.curl_get(env.mkurl("/good")).outraw == GOOD_BODY
            assert [client.poll() for client in clients].count(None) > 0   # it still compiles
            statuses = [client.communicate()[0] for client in clients]
            result = load.stop()
        assert result.lost == 0, result.output
        assert set(statuses) <= {b"500", b"503"} and b"500" in statuses, statuses
        env.httpd_error_log.scan_recent("took longer than the 15 s it may take")
        env.httpd_error_log.ignore_recent([r"bomb\.wasm"])
        assert count(env, "took longer than") == statuses.count(b"500")
