# SPDX-License-Identifier: Apache-2.0
"""Compiled code: made once, shared, found again, not trusted blindly."""

import os
import subprocess

import pytest
from pyhttpd.conf import HttpdConf

# Its init function takes 48 MiB, and what it leaves tells of it.
NEEDS_48_MIB = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "fresh\\nimage\\n")
  (global $start (mut i32) (i32.const 16))
  (func (export "wizer-initialize")
    (if (i32.eq (memory.grow (i32.const 768)) (i32.const -1)) (then unreachable))
    (global.set $start (i32.const 22)))
  (func (export "_start")
    (i32.store (i32.const 0) (global.get $start))
    (i32.store (i32.const 4) (i32.const 6))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


@pytest.fixture
def server(make_env, tmp_path_factory, request):
    """A server with a cache of its own."""
    env = make_env(request.node.name.split("[")[0], processes=2)
    env.cache_dir = os.path.join(env.server_dir, "own-cache")
    return env


def start(env):
    env.httpd_error_log.clear_log()
    assert env.apache_restart() == 0, env.stderr + "\n".join(env.httpd_error_log.recent())


def images(env):
    """The files of the cache that hold code."""
    return sorted(entry.name for entry in os.scandir(env.cache_dir)
                  if entry.is_file() and entry.stat().st_size > 1024)


def mapped(env, pid):
    """The cache's files that a process has mapped, by inode."""
    inodes = {os.stat(os.path.join(env.cache_dir, name)).st_ino for name in images(env)}
    with open(f"/proc/{pid}/maps") as file:
        return {int(fields[4]) for fields in map(str.split, file) if int(fields[4]) in inodes}


class TestCache:

    def test_070_01_shared_module(self, server, paths):
        """Two routes and two hosts with one module: one file in the cache, one
        mapping in each child, however many routes use it."""
        conf = HttpdConf(server)
        env = f"{paths.test_guests}/env.wasm"
        conf.add_wasm("/one", env, "WasmArg first", "WasmEnv WHICH one")
        conf.add_wasm("/two", env, "WasmArg second", "WasmEnv WHICH two")
        conf.start_vhost("other.test", port=server.http_port2, doc_root=server.server_docs_dir)
        conf.add_wasm("/three", env)
        conf.end_vhost()
        conf.install()
        start(server)
        for _ in range(8):
            one = server.curl_get(server.mkurl("/one")).outraw
            two = server.curl_get(server.mkurl("/two")).outraw
            assert b"arg first\0" in one and b"env WHICH=one\0" in one and b"two" not in one
            assert b"arg second\0" in two and b"env WHICH=two\0" in two and b"one" not in two
        assert server.curl_get(server.mkurl("/three", port=server.http_port2)).response["status"] == 200
        assert len(images(server)) == 1
        for pid in server.child_pids():
            assert len(mapped(server, pid)) <= 1
        assert any(mapped(server, pid) for pid in server.child_pids())
        server.check_error_log()

    def test_070_02_warm_start_compiles_nothing(self, server, paths):
        conf = HttpdConf(server)
        conf.add_wasm("/hello", f"{paths.guests}/hello.wasm")
        conf.install()
        start(server)
        before = {name: os.stat(os.path.join(server.cache_dir, name)) for name in images(server)}
        assert len(before) == 1
        for compiler in ("/bin/false", None):
            # With a compiler that always fails, only the cache can serve.
            if compiler:
                HttpdConf(server).add(conf.lines + [f"WasmCompiler {compiler}"]).install()
            else:
                conf.install()
            start(server)
            assert server.curl_get(server.mkurl("/hello")).outraw == b"Hello from C\n"
            after = {name: os.stat(os.path.join(server.cache_dir, name)) for name in images(server)}
            assert {n: (s.st_ino, s.st_mtime_ns) for n, s in after.items()} == {
                n: (s.st_ino, s.st_mtime_ns) for n, s in before.items()}
        server.check_error_log()

    def test_070_03_compiler_that_fails(self, server, paths):
        conf = HttpdConf(server)
        conf.add_wasm("/hello", f"{paths.guests}/hello.wasm")
        conf.add("WasmCompiler /bin/false")
        conf.install()
        assert server.apache_restart() not in (0, None)
        server.httpd_error_log.scan_recent("AH10917.*hello.wasm")

    @pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "writable"])
    def test_070_04_damaged(self, server, paths, damage):
        conf = HttpdConf(server)
        conf.add_wasm("/hello", f"{paths.guests}/hello.wasm")
        conf.install()
        start(server)
        server.apache_stop()
        (name,) = images(server)
        path = os.path.join(server.cache_dir, name)
        if damage == "writable":
            os.chmod(path, 0o666)
        elif damage == "changed":
            os.chmod(path, 0o644)
            with open(path, "r+b") as file:
                file.seek(os.path.getsize(path) // 2)
                byte = file.read(1)[0]
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte ^ 0xff]))
        else:
            os.truncate(path, 0 if damage == "empty" else os.path.getsize(path) // 2)
        start(server)
        assert server.curl_get(server.mkurl("/hello")).outraw == b"Hello from C\n"
        said = [line for line in server.httpd_error_log.recent() if ":warn]" in line]
        assert len(said) == 1, said
        server.httpd_error_log.ignore_recent(["AH10910"])
        server.check_error_log()
        start(server)   # it was made anew
        server.check_error_log()

    def test_070_05_replaced_module_takes_effect_on_graceful_restart(self, server, paths):
        module = os.path.join(server.server_dir, "app.wasm")

        def put(name):
            with open(f"{paths.guests}/{name}.wasm", "rb") as file:
                content = file.read()
            with open(module + ".new", "wb") as file:
                file.write(content)
            os.rename(module + ".new", module)

        put("hello")
        conf = HttpdConf(server)
        conf.add_wasm("/app", module)
        conf.install()
        start(server)
        assert server.curl_get(server.mkurl("/app")).outraw == b"Hello from C\n"
        put("request")
        assert server.curl_get(server.mkurl("/app")).outraw == b"Hello from C\n"
        assert server.apache_reload() == 0
        assert "The request, in C++" in server.curl_get(server.mkurl("/app")).stdout
        server.check_error_log()

    def test_070_06_start_image_within_the_limit_of_its_route(self, server):
        module = os.path.join(server.server_dir, "grows.wasm")
        subprocess.run(["wat2wasm", "-", "-o", module], input=NEEDS_48_MIB, text=True, check=True)
        conf = HttpdConf(server)
        conf.add("WasmMemoryLimit 16M")
        conf.add_wasm("/host", module, "WasmSnapshot On", cgi=False)
        conf.add_wasm("/own", module, "WasmSnapshot On", "WasmMemoryLimit 64M", cgi=False)
        conf.start_vhost("large.test", port=server.http_port2, doc_root=server.server_docs_dir)
        conf.add("WasmMemoryLimit 64M")
        conf.add_wasm("/host", module, "WasmSnapshot On", cgi=False)
        conf.add_wasm("/own", module, "WasmSnapshot On", "WasmMemoryLimit 16M", cgi=False)
        conf.end_vhost()
        conf.install()
        start(server)
        # No image where its limit does not suffice: these begin at the beginning.
        said = [line for line in server.httpd_error_log.recent() if "AH10951" in line]
        assert len(said) == 2 and all("wizer-initialize failed" in line for line in said), said
        server.httpd_error_log.ignore_recent(["AH10951"])
        for port, path, body in ((server.http_port, "/host", "fresh"), (server.http_port, "/own", "image"),
                                 (server.http_port2, "/host", "image"), (server.http_port2, "/own", "fresh")):
            answer = server.curl_get(server.mkurl(path, port=port))
            assert (answer.response["status"], answer.stdout) == (200, f"{body}\n"), path
        server.check_error_log()
