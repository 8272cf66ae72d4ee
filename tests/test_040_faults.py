# SPDX-License-Identifier: Apache-2.0
"""A guest that fails costs its own request and nothing else."""

import pytest


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        guests = paths.test_guests
        fault = f"{guests}/fault.wasm"
        conf.add_wasm("/fault", fault)
        conf.add_wasm("/short", fault, "WasmTimeout 0.5")
        conf.add_wasm("/busy", fault, "WasmCPULimit 0.3")
        conf.add_wasm("/small", fault, "WasmMemoryLimit 4M")
        conf.add_wasm("/brief", fault, "WasmOutputLimit 100K")
        conf.add_wasm("/tiny", f"{guests}/raw.wasm", "WasmOutputLimit 100")
        conf.add_wasm("/gate", f"{guests}/gate.wasm", "WasmTimeout 0.5")
        conf.add_wasm("/stderr", f"{guests}/stderr.wasm")
        conf.add_wasm("/raw", f"{guests}/raw.wasm")
        conf.add_wasm("/hello", f"{paths.guests}/hello.wasm")
    return add


def expect(env, path, status, logno, *found):
    """Asks for a page that fails: the status, the log line, the same children."""
    before = sorted(env.child_pids())
    r = env.curl_get(env.mkurl(path))
    assert r.exit_code == 0, r
    assert r.response["status"] == status, r
    line = env.httpd_error_log.scan_recent(logno)
    env.httpd_error_log.ignore_recent([logno])
    for text in found:
        assert text in line
    assert env.curl_get(env.mkurl("/hello")).outraw == b"Hello from C\n"
    assert sorted(env.child_pids()) == before
    return line


class TestTraps:

    @pytest.mark.parametrize("fault, reason", [
        ("unreachable", "unreachable"), ("divide", "divide by zero"),
        ("overflow", "stack"), ("bounds", "out of bounds")])
    def test_040_01_trap(self, env, fault, reason):
        expect(env, f"/fault?{fault}", 500, "AH10937", reason, "fault.wasm")

    def test_040_02_backtrace_names_functions(self, env):
        line = expect(env, "/fault?unreachable", 500, "AH10937")
        assert "innermost_function" in line

    @pytest.mark.parametrize("fault", ["unreachable", "divide", "overflow", "bounds"])
    def test_040_03_same_child_serves_on(self, env, fault):
        """Twenty faults in a row, with good requests between: no child dies."""
        before = sorted(env.child_pids())
        bad, good = env.mkurl(f"/fault?{fault}"), env.mkurl("/hello")
        r = env.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} "] + [bad, good] * 20)
        assert r.stdout.split().count("500") == 20, r
        # -o takes the first body only: the others are the good answers and error pages.
        assert r.stdout.count("Hello from C") == 20
        assert sorted(env.child_pids()) == before
        env.httpd_error_log.ignore_recent(["AH10937"])
        pids = {pid for pid, *_ in env.access_log()}
        assert pids <= set(before)

    def test_040_04_after_the_headers(self, env):
        before = sorted(env.child_pids())
        got = env.raw_request(b"GET /fault?late%20unreachable HTTP/1.1\r\nHost: a\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 200 OK")
        assert b"before the fault" in got
        assert not got.endswith(b"\r\n0\r\n\r\n")   # the client can tell that it is cut off
        assert sorted(env.child_pids()) == before
        env.httpd_error_log.scan_recent("AH10937")
        env.httpd_error_log.ignore_recent(["AH10937"])


class TestLimits:

    def test_040_20_wall_time(self, env):
        expect(env, "/short?loop", 504, "AH10938", "WasmTimeout")

    def test_040_21_wall_time_while_waiting(self, env):
        got = env.raw_request(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
        assert not got.endswith(b"\r\n0\r\n\r\n")
        env.httpd_error_log.scan_recent("AH10938")
        env.httpd_error_log.ignore_recent(["AH10938"])

    def test_040_22_cpu_time(self, env):
        expect(env, "/busy?loop", 504, "AH10938", "WasmCPULimit")

    def test_040_23_memory(self, env):
        expect(env, "/small?memory", 500, "AH10939", "WasmMemoryLimit")

    def test_040_24_output(self, env):
        before = sorted(env.child_pids())
        got = env.raw_request(b"GET /brief?flood HTTP/1.0\r\n\r\n")
        assert len(got) < 200 * 1024
        assert sorted(env.child_pids()) == before
        env.httpd_error_log.scan_recent("AH10940.*WasmOutputLimit")
        env.httpd_error_log.ignore_recent(["AH10940"])


    def test_040_25_output_of_which_nothing_was_sent(self, env):
        r = env.curl_get(env.mkurl("/tiny?Content-Type:%20text/plain%0a%0a" + 50 * "x"))
        assert (r.response["status"], r.outraw) == (200, b"x" * 50)
        expect(env, "/tiny?Content-Type:%20text/plain%0a%0a" + 100 * "x", 502, "AH10940", "WasmOutputLimit")


class TestExitAndStderr:

    def test_040_40_exit_status_after_an_answer(self, env):
        r = env.curl_get(env.mkurl("/stderr?exit=3"))
        assert (r.response["status"], r.outraw) == (200, b"answered\n")
        env.httpd_error_log.scan_recent("exited with status 3")
        env.httpd_error_log.ignore_recent(["AH10934"])

    def test_040_41_stderr_line_by_line(self, env):
        env.curl_get(env.mkurl("/stderr?first%20line%0asecond%20line%0d%0alast"))
        lines = [line for line in env.httpd_error_log.recent() if "AH10934" in line]
        env.httpd_error_log.ignore_recent(["AH10934"])
        assert [line.rsplit("): ", 1)[1].split(", referer")[0] for line in lines] == [
            "first line", "second line", "last"]
        ids = {line.split("(request ")[1].split(")")[0] for line in lines}
        assert len(ids) == 1 and len(ids.pop()) > 5

    def test_040_42_rubbish_on_stderr(self, env):
        env.curl_get(env.mkurl("/stderr?%1b%5b31m%08%00%ff"))
        line = env.httpd_error_log.scan_recent("AH10934")
        env.httpd_error_log.ignore_recent(["AH10934"])
        assert "\x1b" not in line and "\b" not in line and "\\x1b[31m" in line

    def test_040_43_outcomes_in_the_access_log(self, env):
        env.curl_get(env.mkurl("/fault?unreachable"))
        env.httpd_error_log.ignore_recent(["AH10937"])
        env.curl_get(env.mkurl("/hello"))
        outcomes = [(status, outcome) for _, status, _, outcome, _ in env.access_log()]
        assert (500, "trapped") in outcomes
        assert (200, "exited") in outcomes
