# SPDX-License-Identifier: Apache-2.0
"""What the module shows of itself."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
from pyhttpd.conf import HttpdConf
from reliability import wait_for


@pytest.fixture(scope="module")
def mpm():
    return "event"


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        conf.add(f'LoadModule status_module "{conf.env.libexec_dir}/mod_status.so"')
        conf.add_wasm("/env", f"{paths.test_guests}/env.wasm", "WasmEnv SECRET hidden",
                      "WasmMemoryLimit 64M", "WasmHeaderLimit 300", "WasmMaxDescriptors 33",
                      f'WasmMapDir /a "{paths.guests}"', f'WasmMapDir /b "{paths.guests}" ro',
                      f'WasmMapDir /c "{paths.guests}" exec')
        conf.add_wasm("/fault", f"{paths.test_guests}/fault.wasm")
        conf.add_wasm("/traced", f"{paths.test_guests}/env.wasm", "LogLevel wasm:trace4")
        for name in ("wasm-status", "wasm-info", "server-status"):
            conf.add([f"<Location /{name}>", f"    SetHandler {name}", "</Location>"])
    return add


def runs(env, guest, outcome):
    """A count of wasm-status."""
    text = env.curl_get(env.mkurl("/wasm-status")).outraw.decode()
    found = re.search(r'^wasm_runs_total\{module="[^"]*/%s",outcome="%s"\} (\d+)$' % (guest, outcome),
                      text, re.MULTILINE)
    return int(found.group(1))


class TestStatus:

    def test_090_01_runs_of_all_children_are_counted(self, env):
        before = runs(env, "env.wasm", "exited")
        for _ in range(20):
            assert env.curl_get(env.mkurl("/env")).response["status"] == 200
        assert runs(env, "env.wasm", "exited") == before + 20

    def test_090_02_failures_are_counted_by_outcome(self, env):
        before = runs(env, "fault.wasm", "trapped")
        assert env.curl_get(env.mkurl("/fault?unreachable")).response["status"] == 500
        assert runs(env, "fault.wasm", "trapped") == before + 1
        env.httpd_error_log.ignore_recent([r"AH10937"])

    def test_090_03_counts_survive_a_graceful_restart(self, env):
        env.curl_get(env.mkurl("/env"))
        before = runs(env, "env.wasm", "exited")
        assert before > 0
        assert env.apache_reload() == 0
        assert runs(env, "env.wasm", "exited") == before

    def test_090_04_prometheus_can_read_it(self, env):
        """By the parser of its own client for Python."""
        parser = pytest.importorskip("prometheus_client.parser")
        env.curl_get(env.mkurl("/env"))
        answer = env.curl_get(env.mkurl("/wasm-status"))
        assert answer.response["header"]["content-type"].startswith("text/plain; version=0.0.4")
        families = {each.name: each for each in parser.text_string_to_metric_families(answer.outraw.decode())}
        assert {name: each.type for name, each in families.items()} == {
            "wasm_runs": "counter", "wasm_images": "counter", "wasm_running": "gauge",
            "wasm_memory_max_bytes": "gauge", "wasm_image_bytes": "gauge", "wasm_instantiate_seconds": "gauge",
            "wasm_run_seconds": "gauge"}
        for each in families.values():
            assert each.documentation
            keys = [(sample.name, *sorted(sample.labels.items())) for sample in each.samples]
            assert len(keys) == len(set(keys)), each.name
        (most,) = [sample.value for sample in families["wasm_run_seconds"].samples
                   if sample.labels["module"].endswith("/env.wasm") and sample.labels["quantile"] == "0.99"]
        assert most > 0

    def test_090_10_odd_paths(self, make_env, paths):
        """Long ones are told apart, also over restarts; special characters are escaped."""
        parser = pytest.importorskip("prometheus_client.parser")
        server = make_env("odd", processes=1)
        folder = os.path.join(server.server_dir, *["x" * 100] * 3)
        os.makedirs(folder)
        modules = [f"{folder}/{name}.wasm" for name in ("one", "two", 'qu"ote')]
        conf = HttpdConf(server)
        for i, module in enumerate(modules):
            shutil.copy(f"{paths.guests}/hello.wasm", module)
            conf.add_wasm(f"/{i}", module.replace('"', '\\"'))
        conf.add(["<Location /wasm-status>", "    SetHandler wasm-status", "</Location>"])
        conf.install()
        with server.running():
            for i in range(3):
                assert server.curl_get(server.mkurl(f"/{i}")).response["status"] == 200
            assert server.apache_reload() == 0
            text = server.curl_get(server.mkurl("/wasm-status")).outraw.decode()
        (runs_,) = [each for each in parser.text_string_to_metric_families(text) if each.name == "wasm_runs"]
        ended = {sample.labels["module"]: sample.value for sample in runs_.samples
                 if sample.labels["outcome"] == "exited"}
        assert ended == {"(requested files)": 0, **{module: 1 for module in modules}}

    def test_090_11_rows_are_given_on(self, make_env, paths):
        """More modules than can be counted at once, but never that many in force."""
        server = make_env("rows", processes=1)

        def configure(first, count):
            conf = HttpdConf(server).add(["<Location /wasm-status>", "    SetHandler wasm-status", "</Location>"])
            for i in range(first, first + count):
                link = os.path.join(server.server_dir, f"{i}.wasm")
                if not os.path.lexists(link):
                    os.symlink(f"{paths.guests}/hello.wasm", link)
                conf.add_wasm(f"/{i}", link)
            conf.install()

        configure(0, 40)
        with server.running():
            assert server.curl_get(server.mkurl("/39")).response["status"] == 200
            configure(39, 40)
            assert server.apache_reload() == 0
            for path in ("/39", "/78"):
                assert server.curl_get(server.mkurl(path)).response["status"] == 200
            text = server.curl_get(server.mkurl("/wasm-status")).outraw.decode()
        ended = dict(re.findall(r'^wasm_runs_total\{module="[^"]*/(\d+)\.wasm",outcome="exited"\} (\d+)$', text,
                                re.MULTILINE))
        assert ended["39"] == "2" and ended["78"] == "1"

    def test_090_05_mod_status_has_a_section(self, env):
        assert "<h2>WebAssembly</h2>" in env.curl_get(env.mkurl("/server-status")).outraw.decode()
        auto = env.curl_get(env.mkurl("/server-status?auto")).outraw.decode()
        assert re.search(r"^WasmModule\d+: .*/env\.wasm$", auto, re.MULTILINE)

    def test_090_09_images_are_counted(self, env):
        """Those of the start, and of each restart, which compiles nothing."""
        def images(source):
            text = env.curl_get(env.mkurl("/wasm-status")).outraw.decode()
            return int(re.search(r'^wasm_images_total\{module="[^"]*/env\.wasm",source="%s"\} (\d+)$' % source,
                                 text, re.MULTILINE).group(1))
        before = {source: images(source) for source in ("cache", "compiler", "failed")}
        assert before["cache"] + before["compiler"] >= 1
        assert env.apache_reload() == 0
        assert {source: images(source) for source in before} == {**before, "cache": before["cache"] + 1}
        auto = env.curl_get(env.mkurl("/server-status?auto")).outraw.decode()
        number = re.search(r"^WasmModule(\d+): .*/env\.wasm$", auto, re.MULTILINE).group(1)
        assert f"WasmModule{number}Images-cache: {before['cache'] + 1}\n" in auto
        assert int(re.search(rf"WasmModule{number}ImageSize: (\d+)", auto).group(1)) > 1024
        html = env.curl_get(env.mkurl("/server-status")).outraw.decode()
        assert "<th>Images: from the cache</th>" in html

    def test_090_06_info_runs_a_guest(self, env):
        page = env.curl_get(env.mkurl("/wasm-info")).outraw.decode()
        assert "It works." in page and "Wasmtime" in page and "/env.wasm" in page
        assert "hidden" not in page

    def test_090_07_trace4_shows_host_calls(self, env):
        env.curl_get(env.mkurl("/traced"))
        with open(env.httpd_error_log.path) as log:
            assert re.search(r"\[wasm:trace4\].*fd_write\(1, \d+, \d+, \d+\) = 0", log.read())

    def test_090_08_dump(self, env, paths):
        dump = subprocess.run([env.httpd, "-f", os.path.join(env.server_dir, "conf/httpd.conf"), "-t",
                               "-D", "DUMP_WASM"], capture_output=True, text=True, check=True).stdout
        assert re.search(r"module +/.*/env\.wasm\n", dump)
        assert re.search(r"memory +67108864 bytes\n", dump)
        assert "header lines   300 bytes\n" in dump and "descriptors    33 at once\n" in dump
        assert "variable       SECRET\n" in dump and "hidden" not in dump
        directories = re.findall(r"directory +(/[abc]) is (.*)\n", dump)
        assert [(guest, host.replace(paths.guests, "HOST")) for guest, host in directories] == [
            ("/a", "HOST"), ("/b", "HOST, read-only"), ("/c", "HOST, files can be made executable")]
        assert re.search(r"^  cached +/.*/env\.wasm$", dump, re.MULTILINE)


def count(server, metric, guest, **labels):
    """A figure of wasm-status."""
    labels = "".join(f',{name}="{value}"' for name, value in labels.items())
    text = server.curl_get(server.mkurl("/wasm-status")).outraw.decode()
    (figure,) = re.findall(r'^%s\{module="[^"]*/%s\.wasm"%s\} (\S+)$' % (metric, guest, labels), text, re.MULTILINE)
    return float(figure)


@contextlib.contextmanager
def open_request(server, path):
    """A client that waits for its answer for a while, and then goes."""
    with socket.create_connection(("127.0.0.1", server.http_port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        yield


def add_handlers(conf):
    conf.add(f'LoadModule status_module "{conf.env.libexec_dir}/mod_status.so"')
    for name in ("wasm-status", "wasm-info", "server-status"):
        conf.add([f"<Location /{name}>", f"    SetHandler {name}", "</Location>"])


class TestOutcomes:

    # What a request for the path comes to, and what its run is counted as.
    FAILURES = [("/fault?unreachable", 500, "trapped"), ("/fault?loop", 504, "timed-out"),
                ("/fault?memory", 500, "out-of-memory"), ("/raw?" + "x" * 3000, 502, "output-limit"),
                ("/raw?no%20headers", 502, "bad-headers")]

    def test_090_20_each(self, make_env, paths):
        """Failures of each kind, everywhere they are shown."""
        server = make_env("outcomes", processes=1)
        conf = HttpdConf(server).add("WasmMaxInstances 1")
        conf.add_wasm("/fault", f"{paths.test_guests}/fault.wasm", "WasmTimeout 0.2", "WasmMemoryLimit 4M")
        conf.add_wasm("/raw", f"{paths.test_guests}/raw.wasm", "WasmOutputLimit 2K")
        conf.add_wasm("/gate", f"{paths.test_guests}/gate.wasm", f'WasmMapDir /gate "{server.server_dir}/data"')
        add_handlers(conf)
        conf.install()
        with server.running():
            for path, status, _ in self.FAILURES:
                assert server.curl_get(server.mkurl(path)).response["status"] == status, path
            with open_request(server, "/gate"):
                wait_for(lambda: count(server, "wasm_running", "gate") == 1)
                assert server.curl_get(server.mkurl("/raw")).response["status"] == 503
            wait_for(lambda: count(server, "wasm_runs_total", "gate", outcome="aborted") == 1)
            assert count(server, "wasm_running", "gate") == 0
            expected = [(path[1:].split("?")[0], outcome) for path, _, outcome in self.FAILURES]
            for guest, outcome in [*expected, ("raw", "busy")]:
                assert count(server, "wasm_runs_total", guest, outcome=outcome) == 1, outcome
            auto = server.curl_get(server.mkurl("/server-status?auto")).outraw.decode()
            page = server.curl_get(server.mkurl("/server-status")).outraw.decode()
            logged = [outcome for *_, outcome, _ in server.access_log()]
            server.httpd_error_log.ignore_recent([r"/(fault|raw|gate)\.wasm"])
        for guest, outcome in expected:
            number = re.search(rf"^WasmModule(\d+): .*/{guest}\.wasm$", auto, re.MULTILINE).group(1)
            assert f"WasmModule{number}Outcome-{outcome}: 1\n" in auto
            assert outcome in logged
        assert re.search(r"/fault\.wasm</td><td>0</td><td>0</td><td>1 trapped, 1 timed-out, 1 out-of-memory</td>", page)
        assert re.search(r"/raw\.wasm</td><td>0</td><td>0</td><td>1 output-limit, 1 bad-headers, 1 busy</td>", page)
        # Times to instantiate and to run, each at three points.
        (cells,) = re.findall(r"/fault\.wasm</td>(.*)</tr>", page)
        times = [float(cell) for cell in re.findall(r"<td>(\d+)</td>", cells)[2:8]]
        assert len(times) == 6 and 0 < times[0] <= times[1] <= times[2] and times[5] >= 200_000, cells

    def test_090_21_under_way(self, make_env, paths):
        """In all processes; a process that is killed takes its runs along."""
        server = make_env("running", mpm="prefork", processes=2)
        conf = HttpdConf(server)
        conf.add_wasm("/gate", f"{paths.test_guests}/gate.wasm", f'WasmMapDir /gate "{server.server_dir}/data"')
        add_handlers(conf)
        conf.install()
        with server.running():
            with open_request(server, "/gate"), open_request(server, "/gate"):
                wait_for(lambda: count(server, "wasm_running", "gate") == 2)
                # Whoever waits at the gate has the directory open.
                (victim, _) = [pid for pid in server.child_pids() if f"{server.server_dir}/data" in
                               {os.path.realpath(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}]
                os.kill(victim, signal.SIGKILL)
                wait_for(lambda: count(server, "wasm_running", "gate") == 1)
                with open(os.path.join(server.server_dir, "data/open"), "w", encoding="utf-8"):
                    pass
                wait_for(lambda: count(server, "wasm_runs_total", "gate", outcome="exited") == 1)
            assert count(server, "wasm_running", "gate") == 0


class TestInfo:

    def test_090_30_off_by_default(self, env):
        """Nobody sees these pages whose configuration does not name them."""
        for name in ("wasm-info", "wasm-status"):
            assert env.curl_get(env.mkurl(f"/elsewhere/{name}")).response["status"] == 404

    def test_090_31_what_support_asks_for(self, env):
        page = env.curl_get(env.mkurl("/wasm-info")).outraw.decode()
        rows = dict(re.findall(r"<tr><th>([^<]*)</th><td>([^<]*)</td></tr>", page))
        assert re.fullmatch(r"\d+\.\d+\.\d+", rows["libwasm_runtime"])
        assert re.fullmatch(r"Wasmtime \d+\.\d+\.\d+", rows["Engine"])
        assert rows["Server"].startswith("Apache/2.") and rows["MPM"] == "event"
        # ThreadSanitizer leaves no room for the other one.
        layout = "compact" if os.environ.get("SANITIZER") == "thread" else "reserved"
        assert rows["Memory layout"].startswith(layout)
        assert rows["Instances at once in a process"] == "28"   # 16 threads
        assert rows["Native stack of a guest"] == "1048576 bytes"
        assert rows["Cache"] == env.cache_dir and rows["Compiler"].endswith("/wasmctl")
        assert re.search(r"said: It works\. It took \d+\.\d &micro;s to instantiate and \d+\.\d &micro;s to run", page)

    def test_090_32_when_it_does_not_work(self, make_env):
        server = make_env("broken", processes=1, cache_dir=None)
        server.cache_dir = os.path.join(server.server_dir, "cache")
        conf = HttpdConf(server).add("WasmCompiler /bin/false")
        add_handlers(conf)
        conf.install()
        with server.running():
            page = server.curl_get(server.mkurl("/wasm-info")).outraw.decode()
        assert re.search(r"A guest did not run: .*the compiler /bin/false failed with exit status 1", page), page
        assert "It works" not in page


class TestDryRun:

    def test_090_40_compiles_nothing(self, make_env, paths):
        """It leaves no cache behind, calls no compiler, and says what a start would have to compile."""
        server = make_env("dry", processes=1, cache_dir=None)
        server.cache_dir = os.path.join(server.server_dir, "cache")
        compiler = os.path.join(server.server_dir, "compiler")
        with open(compiler, "w", encoding="utf-8") as out:
            out.write(f"#!/bin/sh\ntouch '{server.server_dir}/called'\n")
        os.chmod(compiler, 0o755)
        conf = HttpdConf(server).add(f'WasmCompiler "{compiler}"')
        conf.add_wasm("/php", f"{paths.guests}/php-cgi.wasm", "WasmSnapshot Off")
        conf.install()
        r = server.run([server.httpd, "-f", os.path.join(server.server_dir, "conf/httpd.conf"), "-t",
                        "-D", "DUMP_WASM"])
        assert r.exit_code == 0 and "Syntax OK" in r.stderr, r
        assert f"WebAssembly modules, cache {server.cache_dir}:\n" in r.stdout
        assert re.search(r"^  not cached  /.*/php-cgi\.wasm$", r.stdout, re.MULTILINE), r.stdout
        assert not os.path.exists(server.cache_dir)
        assert not os.path.exists(f"{server.server_dir}/called")
