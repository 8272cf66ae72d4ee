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
