# SPDX-License-Identifier: Apache-2.0
"""What the module shows of itself."""

import os
import re
import subprocess

import pytest


@pytest.fixture(scope="module")
def mpm():
    return "event"


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        conf.add(f'LoadModule status_module "{conf.env.libexec_dir}/mod_status.so"')
        conf.add_wasm("/env", f"{paths.test_guests}/env.wasm", "WasmEnv SECRET hidden",
                      "WasmMemoryLimit 64M", "WasmHeaderLimit 300", "WasmMaxDescriptors 33")
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
        answer = env.curl_get(env.mkurl("/wasm-status"))
        assert answer.response["header"]["content-type"].startswith("text/plain; version=0.0.4")
        for line in answer.outraw.decode().splitlines():
            assert re.fullmatch(r'# (HELP|TYPE) .+|[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} [0-9.]+',
                                line), line

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

    def test_090_08_dump(self, env):
        dump = subprocess.run([env.httpd, "-f", os.path.join(env.server_dir, "conf/httpd.conf"), "-t",
                               "-D", "DUMP_WASM"], capture_output=True, text=True, check=True).stdout
        assert re.search(r"module +/.*/env\.wasm\n", dump)
        assert re.search(r"memory +67108864 bytes\n", dump)
        assert "header lines   300 bytes\n" in dump and "descriptors    33 at once\n" in dump
        assert "variable       SECRET\n" in dump and "hidden" not in dump
        assert re.search(r"^  cached +/.*/env\.wasm$", dump, re.MULTILINE)
