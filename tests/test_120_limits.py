# SPDX-License-Identifier: Apache-2.0
"""Each limit has a directive, and protects without one as well."""

import os
import re
import threading
from urllib.parse import quote

import pytest
from pyhttpd.conf import HttpdConf
from reliability import GOOD_BODY, Load, record, wait_for


@pytest.fixture
def serve(make_env, request):
    """Starts a server with a configuration made by `add(conf)`."""
    made = []

    def start(add, mpm="event", processes=1, before=""):
        """before: a shell command, such as ulimit, for the server's process."""
        env = make_env(re.sub(r"\W+", "-", request.node.name), mpm=mpm, processes=processes)
        if before:
            env.start_behind(before)
        conf = HttpdConf(env)
        conf.add(["LogLevel warn wasm:info",
                  "MinSpareServers 1" if mpm == "prefork" else "MinSpareThreads 1"])
        add(conf)
        conf.install()
        assert env.apache_restart() == 0, env.stderr + "\n".join(env.httpd_error_log.recent())
        made.append(env)
        return env

    yield start
    for env in made:
        assert env.apache_stop() == 0
        env.check_error_log()


def expect(env, path, status, pattern):
    r = env.curl_get(env.mkurl(path))
    assert r.response["status"] == status, r
    line = env.httpd_error_log.scan_recent(pattern)
    env.httpd_error_log.ignore_recent([pattern])
    return r, line


class TestDefaults:

    def test_120_01_without_any_limit_configured(self, serve, paths):
        def add(conf):
            conf.add("Timeout 2")
            data = os.path.join(conf.env.server_dir, "data")
            with open(os.path.join(data, "file"), "w"):
                pass
            for name in ("endless_loop", "sleep_forever"):
                conf.add_wasm(f"/{name}", f"{paths.test_guests}/hostile/{name}.wasm")
            # These come to other limits, on a slow machine not within 2 s.
            for name in ("memory_grow", "stack_overflow", "header_flood", "many_opens", "recursion", "output_flood"):
                conf.add_wasm(f"/{name}", f"{paths.test_guests}/hostile/{name}.wasm",
                              f'WasmMapDir /data "{data}"', "WasmTimeout 240")

        env = serve(add)
        expect(env, "/endless_loop", 504, "time limit of 2 s.*see WasmTimeout")
        expect(env, "/sleep_forever", 504, "time limit of 2 s.*see WasmTimeout")
        expect(env, "/memory_grow", 500, "limit is 1024 MiB.*see WasmMemoryLimit")
        expect(env, "/stack_overflow", 500, "limit of 1024 KiB.*see WasmStackLimit")
        expect(env, "/header_flood", 502, "65536 bytes of headers.*see WasmHeaderLimit")
        expect(env, "/many_opens", 500, "more than the 256 descriptors.*see WasmMaxDescriptors")
        env.httpd_error_log.ignore_recent(["the highest descriptor is 255", "many_opens.wasm was stopped"])
        r = env.curl_get(env.mkurl("/recursion?20000"))
        assert r.outraw == b"20000 calls deep\n"
        # Counted, though of an answer to HEAD nothing is sent.
        assert env.curl_head(env.mkurl("/output_flood")).response["status"] == 200
        env.httpd_error_log.scan_recent("wrote too much: .* limit of 1024 MiB .see WasmOutputLimit", timeout=60)
        env.httpd_error_log.ignore_recent(["output_flood.wasm wrote too much"])


class TestInstances:

    @pytest.fixture
    def full(self, serve, paths):
        """A server with two places, both taken by guests that wait for a
        file. Gives it with what the two answered, in the end."""
        def add(conf):
            conf.add("WasmMaxInstances 2")
            conf.add_wasm("/gate", f"{paths.test_guests}/gate.wasm",
                          f'WasmMapDir /gate "{conf.env.server_dir}/data"', "WasmTimeout 120")
            conf.add_wasm("/good", f"{paths.guests}/hello.wasm")

        env = serve(add)
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(env.curl_get(env.mkurl("/gate?bytes=10"))))
                   for _ in range(2)]
        for thread in threads:
            thread.start()
        env.open_gate = lambda: open(os.path.join(env.server_dir, "data/open"), "w").close()
        # That both have begun shows in that a third finds no place.
        wait_for(lambda: env.curl_get(env.mkurl("/good")).response["status"] == 503)
        yield env
        env.open_gate()
        for thread in threads:
            thread.join()
        assert [r.outraw for r in answers] == [b">" + b"x" * 9] * 2
        assert env.curl_get(env.mkurl("/good")).outraw == GOOD_BODY
        env.httpd_error_log.ignore_recent(["no place became free"])

    def test_120_10_no_place(self, full):
        r, _ = expect(full, "/good", 503, "no place became free.*see WasmMaxInstances")
        assert r.response["header"]["retry-after"] == "1"
        assert full.curl_get(full.mkurl("/index.html")).response["status"] == 200

    def test_120_11_place_in_time(self, full):
        """A request that waits for a place is not refused if one comes."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(full.curl_get(full.mkurl("/good"))))
        thread.start()
        full.open_gate()
        thread.join()
        assert answers[0].outraw == GOOD_BODY


class TestDirectives:

    def test_120_20_stack(self, serve, paths):
        def add(conf):
            conf.add("WasmStackLimit 128K")
            conf.add_wasm("/recursion", f"{paths.test_guests}/hostile/recursion.wasm")

        env = serve(add)
        assert env.curl_get(env.mkurl("/recursion?500")).outraw == b"500 calls deep\n"
        expect(env, "/recursion?20000", 500, "limit of 128 KiB.*see WasmStackLimit")

    def test_120_21_headers(self, serve, paths):
        def add(conf):
            conf.add("WasmHeaderLimit 1K")
            conf.add_wasm("/raw", f"{paths.test_guests}/raw.wasm")
            conf.add(['<Location "/raw/more">', "WasmHeaderLimit 4K", "</Location>"])

        env = serve(add)
        for path, limit in (("/raw", 1024), ("/raw/more", 4096)):
            start = "Content-Type: text/plain\nX: "
            fits = start + "x" * (limit - len(start) - 2) + "\n\n"
            r = env.curl_get(env.mkurl(f"{path}?" + quote(fits + "body")))
            assert (r.response["status"], r.outraw) == (200, b"body"), r
            expect(env, f"{path}?" + quote("Y" + fits + "body"), 502,
                   f"more than {limit} bytes of headers.*WasmHeaderLimit")

    @pytest.mark.parametrize("directive, problem", [
        ("WasmMaxDescriptors 3", "is not a number from 8 to 65536"), ("WasmMaxDescriptors many", "not a number"),
        ("WasmHeaderLimit 10", "out of range"), ("WasmCompilerTimeout never", "is not a duration"),
        ("WasmCompilerMemory 1M", "out of range")])
    def test_120_22_values_that_make_no_sense(self, make_env, directive, problem):
        env = make_env("directive")
        HttpdConf(env).add(directive).install()
        r = env.check_config()
        assert r.exit_code != 0
        assert f"{directive.split()[0]} {directive.split()[1]}: " in r.stderr and problem in r.stderr


class TestDescriptorsOfTheProcess:

    FLOOD = 40

    @pytest.mark.parametrize("mpm", ["event", "prefork"])
    @pytest.mark.parametrize("before", ["ulimit -Sn 200; ulimit -Hn 400", "ulimit -Sn 200"],
                             ids=["few", "raised"])
    def test_120_30_guests_leave_the_server_its_own(self, serve, paths, mpm, before):
        """As many greedy guests at once as there are threads, in a server with
        few descriptors: connections are taken all the time."""
        def add(conf):
            data = os.path.join(conf.env.server_dir, "data")
            with open(os.path.join(data, "file"), "w"):
                pass
            conf.add_wasm("/good", f"{paths.guests}/hello.wasm")
            conf.add_wasm("/greedy", f"{paths.test_guests}/hostile/many_opens.wasm",
                          f'WasmMapDir /data "{data}"')

        env = serve(add, mpm=mpm, processes=12 if mpm == "prefork" else 2, before=before)
        pids = sorted(env.child_pids())
        with Load(env.mkurl("/good")) as load:
            r = env.run(["ab", "-q", "-n", str(10 * self.FLOOD), "-c", "16", env.mkurl("/greedy")])
            result = load.stop()
        assert r.exit_code == 0 and f"Non-2xx responses:      {10 * self.FLOOD}" in r.stdout, r
        assert result.lost == 0, result.output
        assert sorted(env.child_pids()) == pids
        log = env.httpd_error_log.recent()
        assert not [line for line in log if "Too many open files" in line]
        highest = {int(n) for line in log for n in re.findall(r"highest descriptor is (\d+)", line)}
        assert highest == {255} or ("-Hn" in before and len(highest) == 1 and max(highest) < 255), highest
        env.httpd_error_log.ignore_recent([r"many_opens\.wasm", "each guest may have"])
        record(env.mpm, "greedy for descriptors", 10 * self.FLOOD, result.requests, result.lost)
