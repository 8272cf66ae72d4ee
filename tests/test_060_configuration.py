# SPDX-License-Identifier: Apache-2.0
"""Configurations: old ones that must run, and what is refused where."""

import os
import re
import shutil
import subprocess

import pytest
from pyhttpd.conf import HttpdConf


@pytest.fixture(scope="module")
def server(make_env):
    """A server that each test configures for itself."""
    return make_env("configuration", processes=1)


def start(server, conf):
    conf.install()
    server.httpd_error_log.clear_log()
    assert server.apache_restart() == 0, server.stderr + "\n".join(server.httpd_error_log.recent())


class TestLoading:

    def test_060_01_no_library_path(self, server, paths):
        """The module finds its library by itself, and only where it lies."""
        assert "LD_LIBRARY_PATH" not in server._environ()
        HttpdConf(server).install()
        r = server.check_config()
        assert r.exit_code == 0, r
        out = subprocess.run(["readelf", "-d", f"{paths.lib}/mod_wasm.so"], check=True,
                             capture_output=True, text=True).stdout
        assert "libwasm_runtime.so." in out
        (search,) = re.findall(r"R(?:UN)?PATH.*\[(.*)\]", out)
        # An empty entry would mean the directory the server was started in.
        assert [entry for entry in search.split(":") if not entry.startswith(("$ORIGIN", "/"))] == []

    def test_060_02_from_another_directory(self, server, paths, tmp_path):
        """Module, library and wasmctl work wherever they lie together."""
        lib = tmp_path / "anywhere"
        lib.mkdir()
        for name in ("mod_wasm.so", "libwasm_runtime.so.1", "wasmctl"):
            shutil.copy(os.path.join(paths.lib, name), lib)
        os.environ.pop("LD_LIBRARY_PATH", None)
        r = server.run([server.httpd, "-d", server.server_dir, "-t", "-f", "/dev/null",
                        "-C", f"LoadModule wasm_module {lib}/mod_wasm.so",
                        "-C", f"LoadModule {server.mpm_module}_module "
                              f"{server.libexec_dir}/mod_{server.mpm_module}.so",
                        "-C", "ServerName localhost", "-C", "Listen 127.0.0.1:9"])
        assert "cannot open shared object" not in r.stderr, r
        assert "Syntax OK" in r.stderr, r


class TestOldConfigurations:
    """Written from what mod_wasm 0.12.2 documents of its directives."""

    def test_060_10_runs_unchanged(self, server, paths):
        scripts = os.path.join(server.server_docs_dir, "scripts")
        shutil.copytree(f"{paths.site}/php", os.path.join(server.server_docs_dir, "php"),
                        dirs_exist_ok=True)
        os.makedirs(scripts, exist_ok=True)
        with open(os.path.join(scripts, "hello.py"), "w") as out:
            out.write("import os, sys\nprint('hello', sys.argv[1:], os.environ.get('FROM_CONFIG'))\n")
        with open(os.path.join(scripts, "cgi.py"), "w") as out:
            out.write("import os\nprint('Content-Type: text/plain\\n')\n"
                      "print(os.environ['QUERY_STRING'], os.listdir('.'), os.environ['SCRIPT_FILENAME'])\n")
        conf = HttpdConf(server).add(f"""
<IfModule wasm_module>
    <Location /hello-wasm>
        SetHandler wasm-handler
        WasmModule {paths.guests}/hello.wasm
        WasmEntryPoint _start
    </Location>

    <Location /hello-python>
        SetHandler wasm-handler
        WasmModule {paths.guests}/python.wasm
        WasmArg    /opt/scripts/hello.py
        WasmArg    --flag
        WasmEnv    PYTHONHOME /usr/local
        WasmEnv    FROM_CONFIG yes
        WasmMapDir /usr {paths.guests}/python/usr
        WasmMapDir /opt {server.server_docs_dir}
    </Location>

    <Location /python-cgi>
        SetHandler wasm-handler
        WasmModule {paths.guests}/python.wasm
        WasmArg    /opt/scripts/cgi.py
        WasmMapDir /usr {paths.guests}/python/usr
        WasmMapDir /opt {server.server_docs_dir}
        WasmMapDir ./ {scripts}
        WasmEnableCGI On
        WasmMapCGIFileNames On
    </Location>

    <IfModule dir_module>
        DirectoryIndex index.php
    </IfModule>

    <Location /php>
        AddHandler wasm-handler .php
        WasmModule {paths.guests}/php-cgi.wasm
        WasmDir    {server.server_dir}/tmp
        WasmEnv TMPDIR {server.server_dir}/tmp
        WasmMapDir / /
        WasmEnableCGI On
    </Location>
</IfModule>
""")
        start(server, conf)
        hello = server.curl_get(server.mkurl("/hello-wasm"))
        # Without WasmEnableCGI standard output is the body, as it always was.
        assert hello.response["status"] == 200
        assert hello.outraw == b"Content-Type: text/plain\n\nHello from C\n"
        python = server.curl_get(server.mkurl("/hello-python"))
        assert python.stdout == "hello ['--flag'] yes\n"
        cgi = server.curl_get(server.mkurl("/python-cgi?a=b"))
        assert cgi.response["header"]["content-type"] == "text/plain"
        assert cgi.stdout.startswith("a=b [") and "'cgi.py'" in cgi.stdout
        php = server.curl_post_data(server.mkurl("/php/"), "name=Ada")
        assert php.response["status"] == 200
        assert "Hello, Ada!" in php.stdout
        server.check_error_log()

    def test_060_11_two_hosts_with_one_location(self, server, paths):
        conf = HttpdConf(server)
        for name, guest in (("one.test", "hello"), ("two.test", "request")):
            conf.start_vhost(name, doc_root=server.server_docs_dir)
            conf.add_wasm("/app", f"{paths.guests}/{guest}.wasm")
            conf.end_vhost()
        start(server, conf)
        one = server.curl_get(server.mkurl("/app"), options=["-H", "Host: one.test"])
        two = server.curl_get(server.mkurl("/app"), options=["-H", "Host: two.test"])
        assert one.outraw == b"Hello from C\n"
        assert "The request, in C++" in two.stdout
        server.check_error_log()

    def test_060_12_entry_point(self, server, paths):
        entry = f"{paths.test_guests}/entry.wasm"
        conf = HttpdConf(server)
        conf.add_wasm("/start", entry, cgi=False)
        conf.add_wasm("/other", entry, "WasmEntryPoint other_entry", cgi=False)
        start(server, conf)
        assert server.curl_get(server.mkurl("/start")).stdout == "_start was called\n"
        assert server.curl_get(server.mkurl("/other")).stdout == "other_entry was called\n"
        server.check_error_log()

    def test_060_13_the_file_is_the_module(self, server, paths):
        files = os.path.join(server.server_docs_dir, "bin")
        os.makedirs(files, exist_ok=True)
        shutil.copy(f"{paths.guests}/hello.wasm", files)
        conf = HttpdConf(server).add([
            f'<Directory "{files}">', "    AddHandler wasm-handler .wasm", "    WasmEnableCGI On",
            "</Directory>"])
        start(server, conf)
        for _ in range(3):
            r = server.curl_get(server.mkurl("/bin/hello.wasm"))
            assert r.outraw == b"Hello from C\n"
        assert server.curl_get(server.mkurl("/bin/none.wasm")).response["status"] == 404
        server.httpd_error_log.ignore_recent(["none.wasm"])
        server.check_error_log()


class TestRequestedFiles:
    """Files that are modules may change while the server runs."""

    @pytest.fixture
    def folder(self, make_env, paths):
        env = make_env("files", processes=2)
        env.files = os.path.join(env.server_docs_dir, "bin")
        os.makedirs(env.files)
        conf = HttpdConf(env).add([f'<Directory "{env.files}">', "    AddHandler wasm-handler .wasm",
                                   "    WasmEnableCGI On", "</Directory>"])
        conf.add_wasm("/good", f"{paths.guests}/hello.wasm")
        conf.install()
        with env.running():
            yield env

    def put(self, env, content, in_place=False):
        file = os.path.join(env.files, "app.wasm")
        with open(file if in_place else file + ".new", "wb") as out:
            out.write(content)
        if not in_place:
            os.rename(file + ".new", file)

    def ask(self, env):
        """Several times, so that each child has its turn."""
        answers = [env.curl_get(env.mkurl("/bin/app.wasm")) for _ in range(12)]
        # Ports of clients differ.
        assert len({(r.response["status"], re.sub(rb"\d+", b"0", r.outraw)) for r in answers}) == 1, answers
        return answers[0].response["status"], answers[0].outraw

    @pytest.mark.parametrize("in_place", [False, True], ids=["renamed", "rewritten"])
    def test_060_20_replaced(self, folder, paths, in_place):
        hello, other = (open(f"{paths.guests}/{name}.wasm", "rb").read() for name in ("hello", "request"))
        self.put(folder, hello, in_place)
        assert self.ask(folder) == (200, b"Hello from C\n")
        self.put(folder, other, in_place)
        status, page = self.ask(folder)
        assert status == 200 and b"The request, in C++" in page
        self.put(folder, hello, in_place)
        assert self.ask(folder) == (200, b"Hello from C\n")

    @pytest.mark.parametrize("damage, reason", [
        (lambda module: module[:len(module) // 2], r"cannot run .*/app\.wasm: (?!.*not a WebAssembly)"),
        (lambda module: b"#!/bin/sh\necho secret\n", r"cannot run .*/app\.wasm: the file cannot be read or is not a"),
        (lambda module: b"", r"cannot run .*/app\.wasm: the file cannot be read or is not a")],
        ids=["truncated", "text", "empty"])
    def test_060_21_broken_replacement(self, folder, paths, damage, reason):
        with open(f"{paths.guests}/hello.wasm", "rb") as file:
            hello = file.read()
        children = sorted(folder.child_pids())
        self.put(folder, hello)
        assert self.ask(folder) == (200, b"Hello from C\n")
        self.put(folder, damage(hello))
        status, page = self.ask(folder)
        assert status == 500 and b"secret" not in page
        folder.httpd_error_log.scan_recent(reason)
        assert folder.curl_get(folder.mkurl("/good")).outraw == b"Hello from C\n"
        self.put(folder, hello)
        assert self.ask(folder) == (200, b"Hello from C\n")
        os.remove(os.path.join(folder.files, "app.wasm"))
        assert self.ask(folder)[0] == 404
        assert sorted(folder.child_pids()) == children
        folder.httpd_error_log.ignore_recent([r"app\.wasm"])
        folder.check_error_log()


class TestRestart:
    """A server that runs has other routes: what is wrong with a file when it is
    restarted costs those that need it. `httpd -t` refuses the same."""

    # What is done to a module, or to the directory beside it; and what the log says.
    HARM = {
        "missing": (os.remove, r"AH10918: WasmModule .*/missing\.wasm: No such file"),
        "truncated": (lambda module: os.truncate(module, 100), r"AH10918: WasmModule .*/truncated\.wasm: is cut off"),
        "fifo": (lambda module: (os.remove(module), os.mkfifo(module)), r"AH10918: .*/fifo\.wasm is not a regular"),
        # A run opens a directory when it uses it; this one does not.
        "directory": (lambda module: os.rmdir(module + ".data"), ""),
        "entry": (lambda module: shutil.copy(module.replace("entry.", "plain."), module),
                  r"AH10922: .*/entry\.wasm .*other_entry"),
        "start": (lambda module: shutil.copy(module.replace("start.", "plain."), module),
                  r"AH10951: .*/start\.wasm has no start image"),
    }

    def test_060_50_damaged_files(self, make_env, paths):
        server = make_env("damaged", processes=1)
        conf = HttpdConf(server)
        sources = {"entry": "test_guests/entry", "start": "test_guests/given"}

        def put(name):
            module = os.path.join(server.server_dir, f"{name}.wasm")
            os.makedirs(module + ".data", exist_ok=True)
            folder, guest = sources.get(name, "guests/hello").split("/")
            if os.path.lexists(module):
                os.remove(module)
            shutil.copy(os.path.join(getattr(paths, folder), f"{guest}.wasm"), module)
            return module

        modules = {name: put(name) for name in [*self.HARM, "plain"]}
        for name, module in modules.items():
            more = {"entry": "WasmEntryPoint other_entry", "start": "WasmSnapshot On"}.get(name)
            conf.add_wasm(f"/{name}", module, f'WasmMapDir /data "{module}.data"', *([more] if more else []),
                          cgi=name != "entry")
        conf.install()

        def statuses():
            return {name: server.curl_get(server.mkurl(f"/{name}")).response["status"] for name in modules}

        with server.running():
            assert set(statuses().values()) == {200}
            for name, (harm, _) in self.HARM.items():
                harm(modules[name])
            assert server.check_config().exit_code != 0
            assert server.apache_reload() == 0
            assert statuses() == {**{name: 500 for name in self.HARM}, "plain": 200, "start": 200,
                                  "directory": 200}
            for _, message in self.HARM.values():
                server.httpd_error_log.scan_recent(message)
            server.httpd_error_log.ignore_recent([rf"/{name}\.wasm" for name in self.HARM])
            server.check_error_log()
            for name in self.HARM:
                put(name)
            assert server.apache_reload() == 0
            assert set(statuses().values()) == {200}

    def test_060_51_compiler_that_is_gone(self, make_env, paths):
        """It is needed for what is not in the cache."""
        server = make_env("compiler", processes=1)
        compiler = shutil.copy(os.path.join(paths.lib, "wasmctl"), server.server_dir)
        HttpdConf(server).add(f'WasmCompiler "{compiler}"').add_wasm("/x", f"{paths.guests}/hello.wasm").install()
        with server.running():
            os.remove(compiler)
            assert server.check_config().exit_code != 0
            assert server.apache_reload() == 0
            assert server.curl_get(server.mkurl("/x")).outraw == b"Hello from C\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="root reads everything, and only root can be somebody else")
def test_060_60_unreadable(make_env, paths):
    """Somebody who may not read a module is told so."""
    server = make_env("unreadable", processes=1)
    module = shutil.copy(f"{paths.guests}/hello.wasm", server.server_dir)
    os.chmod(module, 0o600)
    HttpdConf(server).add_wasm("/x", module).install()
    r = server.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", server.httpd, "-d",
                    server.server_dir, "-f", os.path.join(server.server_dir, "conf/httpd.conf"), "-t"])
    assert r.exit_code != 0
    assert re.search(r"on line \d+ of .*/httpd\.conf", r.stderr), r
    assert re.search(rf"WasmModule {re.escape(module)}: .*Permission denied", r.stderr), r


def make(*arguments, **environ):
    environ = {name: value for name, value in {**os.environ, **environ}.items()
               if name not in ("MAKEFLAGS", "MFLAGS", "DESTDIR", "PREFIX")}
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    p = subprocess.run(["make", "--no-print-directory", "-C", root, *arguments], env=environ, check=False,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, p.stdout


@pytest.fixture(scope="module")
def build_for_another_prefix():
    """The build goes back to the usual prefix in the end."""
    yield
    make("build-for-prefix")


@pytest.mark.skipif("BUILD" in os.environ, reason="installs build/release")
class TestInstalled:
    """`make install` and `make install-apxs`, into directories of their own."""

    FILES = {"bin/wasmctl", "include/wasm_runtime.h", "lib/libwasm_runtime.so", "lib/libwasm_runtime.so.1",
             "lib/libwasm_runtime.so.1.0.0", "lib/pkgconfig/wasm-runtime.pc", "share/man/man1/wasmctl.1"}

    def files(self, folder):
        return {os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder)
                for name in names}

    def serve(self, env, paths, load):
        """Starts httpd with the installed module and an empty cache: a page needs
        the module, its library and wasmctl."""
        with open(os.path.join(env.server_dir, "conf/modules.conf"), encoding="utf-8") as file:
            lines = [line for line in file if "wasm_module" not in line]
        with open(os.path.join(env.server_dir, "conf/modules.conf"), "w", encoding="utf-8") as out:
            out.writelines(lines + [load + "\n"])
        conf = HttpdConf(env)
        conf.add_wasm("/hello", f"{paths.guests}/hello.wasm")
        conf.install()
        with env.running():
            assert env.curl_get(env.mkurl("/hello")).outraw == b"Hello from C\n"
            with open(f"/proc/{env.child_pids()[0]}/maps", encoding="utf-8") as maps:
                return {line.split()[-1] for line in maps if line.rstrip().endswith((".so", ".so.1.0.0"))}

    @pytest.fixture
    def env(self, make_env, build_for_another_prefix):
        server = make_env("installed", processes=1, cache_dir=None)
        server.cache_dir = os.path.join(server.server_dir, "cache")
        return server

    def test_060_40_prefix(self, env, paths):
        prefix, modules = f"{env.server_dir}/opt/wasm", f"{env.server_dir}/modules"
        make("install", f"PREFIX={prefix}", f"MODULE_DIR={modules}")
        assert self.files(prefix) == self.FILES
        assert self.files(modules) == {"mod_wasm.so"}
        mapped = self.serve(env, paths, f'LoadModule wasm_module "{modules}/mod_wasm.so"')
        assert {f"{modules}/mod_wasm.so", f"{prefix}/lib/libwasm_runtime.so.1.0.0"} <= mapped
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "wasm-runtime"], check=True, text=True,
                               env={**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"},
                               stdout=subprocess.PIPE).stdout
        assert f"-I{prefix}/include" in flags and f"-L{prefix}/lib" in flags

    def test_060_41_apxs(self, env, paths):
        prefix, modules, etc = (f"{env.server_dir}/{name}" for name in ("opt/apxs", "apxs-modules", "etc"))
        os.makedirs(f"{etc}/mods-available")
        os.makedirs(f"{etc}/mods-enabled")
        # Debian's apxs calls a2enmod, which is in a package that no other test needs.
        path = os.environ["PATH"]
        if not shutil.which("a2enmod"):
            with open(f"{etc}/a2enmod", "w", encoding="utf-8") as out:
                out.write('#!/bin/sh\nln -s "../mods-available/$1.load" "$APACHE_CONFDIR/mods-enabled/"\n')
            os.chmod(f"{etc}/a2enmod", 0o755)
            path = f"{etc}:{path}"
        make("install-apxs", f"PREFIX={prefix}", f"MODULE_DIR={modules}",
                  f"APXSFLAGS=-S SYSCONFDIR={etc}", APACHE_CONFDIR=etc, PATH=path)
        assert self.files(prefix) == self.FILES
        assert self.files(modules) == {"mod_wasm.so"}
        mapped = self.serve(env, paths, f'Include "{etc}/mods-enabled/*.load"')
        assert {f"{modules}/mod_wasm.so", f"{prefix}/lib/libwasm_runtime.so.1.0.0"} <= mapped

    @pytest.mark.parametrize("target", ["install-apxs", "install"])
    def test_060_42_staged(self, env, target):
        stage, modules = f"{env.server_dir}/stage", env.libexec_dir.lstrip("/")
        make(target, f"DESTDIR={stage}")
        assert self.files(stage) == {f"usr/local/{name}" for name in self.FILES} | {f"{modules}/mod_wasm.so"}
        dynamic = subprocess.run(["readelf", "-d", f"{stage}/{modules}/mod_wasm.so"], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
        assert "[$ORIGIN:/usr/local/lib]" in dynamic
        with open(f"{stage}/usr/local/lib/pkgconfig/wasm-runtime.pc", encoding="utf-8") as file:
            assert "prefix=/usr/local\n" in file.read()


class TestRefused:
    """What is refused where; test_065 has the wrong configurations."""

    def test_060_32_start_is_refused_too(self, server):
        HttpdConf(server).add_wasm("/x", "/nowhere/x.wasm").install()
        server.apache_stop()
        assert server.apache_restart() not in (0, None)
        assert "/nowhere/x.wasm" in server.stderr

    def test_060_33_no_capabilities_in_htaccess(self, server, paths):
        folder = os.path.join(server.server_docs_dir, "user")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "x.html"), "w") as out:
            out.write("x\n")
        conf = HttpdConf(server).add([f'<Directory "{folder}">', "    AllowOverride All",
                                      "    SetHandler wasm-handler",
                                      f"    WasmModule {paths.test_guests}/env.wasm",
                                      "    WasmEnableCGI On", "</Directory>"])
        start(server, conf)
        url = server.mkurl("/user/x.html")
        access = os.path.join(folder, ".htaccess")
        with open(access, "w") as out:
            out.write("WasmArg from-htaccess\nWasmEnv FROM htaccess\n")
        r = server.curl_get(url)
        assert b"arg from-htaccess\0" in r.outraw and b"env FROM=htaccess\0" in r.outraw
        server.check_error_log()
        for line in (f"WasmModule {paths.guests}/hello.wasm", "WasmMapDir / /", "WasmDir /",
                     "WasmEntryPoint x", "WasmTimeout 1000", "WasmMemoryLimit 4G"):
            with open(access, "w") as out:
                out.write(line + "\n")
            assert server.curl_get(url).response["status"] == 500, line
            server.httpd_error_log.scan_recent(f"{line.split()[0]} not allowed here")
            server.httpd_error_log.ignore_recent(["not allowed here"])
        server.check_error_log()
