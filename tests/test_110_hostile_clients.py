# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, lie, talk rubbish or go away cost nobody else
anything, and what their requests held is free again.

The server has few places for guests, so that one that stays taken shows."""

import http.client
import os
import re
import socket
import struct
import subprocess
import time
import zlib

import pytest
from pyhttpd.conf import HttpdConf
from pyhttpd.env import HttpdTestSetup
from reliability import GOOD_BODY, Load, record, wait_for

PLACES = 8      # in a process
ATTACKERS = 6   # at once; the load finds room beside them
ROUNDS = 3      # altogether more than there are places in two processes


@pytest.fixture(scope="module")
def env(make_env, mpm, paths):
    server = make_env(f"clients-{mpm}", mpm=mpm, processes=16 if mpm == "prefork" else 2)
    conf = HttpdConf(server)
    with open(os.path.join(server.server_dir, "conf/modules.conf"), "a") as modules:
        http2 = os.path.join(server.libexec_dir, "mod_http2.so")
        if os.path.isfile(http2) and mpm != "prefork":
            modules.write(f'LoadModule http2_module "{http2}"\n')
            conf.add(["Protocols h2c http/1.1", "H2StreamTimeout 5"])
    conf.add(["LogLevel warn wasm:info reqtimeout:error", "RequestReadTimeout header=60 body=60",
              f"WasmMaxInstances {1 if mpm == 'prefork' else PLACES}"])
    # How runs ended, without those of the load, which are many.
    conf.add(['SetEnvIf Request_URI "^/good" quiet',
              f'CustomLog "{server.server_logs_dir}/outcomes" "%{{WASM_OUTCOME}}e %U" env=!quiet'])
    conf.add("MinSpareThreads 1" if mpm != "prefork" else "MinSpareServers 1")
    hostile = f"{paths.test_guests}/hostile"
    conf.add_wasm("/good", f"{paths.guests}/hello.wasm")
    conf.add_wasm("/echo", f"{paths.test_guests}/echo.wasm", "WasmTimeout 3")
    conf.add_wasm("/endless", f"{hostile}/endless_answer.wasm", "WasmTimeout 120")
    conf.add_wasm("/short", f"{hostile}/endless_answer.wasm", "WasmTimeout 1", "WasmOutputLimit none")
    conf.add_wasm("/slow", f"{paths.test_guests}/slow.wasm")
    conf.add_wasm("/env", f"{paths.test_guests}/env.wasm")
    conf.add_wasm("/unreachable", f"{hostile}/unreachable.wasm")
    conf.add_wasm("/mute", f"{hostile}/exit_1.wasm")
    conf.add_wasm("/small", f"{paths.test_guests}/echo.wasm")
    conf.add(['<Location "/small">', "LimitRequestBody 1000", "</Location>"])
    conf.install()
    with server.running():
        yield server


@pytest.fixture(scope="module", autouse=True)
def load(env):
    """A steady load that runs beside all tests and loses nothing."""
    with Load(env.mkurl("/good")) as load:
        yield load
        result = load.stop()
    assert result.lost == 0, result.output
    record(env.mpm, "hostile clients", load.attacks, result.requests, result.lost)


@pytest.fixture(autouse=True)
def same_processes(env, load):
    before = sorted(env.child_pids())
    yield
    assert sorted(env.child_pids()) == before
    assert load.is_running(), load.stop().output
    load.attacks += 1
    env.httpd_error_log.ignore_recent(
        [r"hostile/\w+\.wasm (ran out of time|was stopped by a fault|exited with)"])


def connect(env, data):
    connection = socket.create_connection(("127.0.0.1", env.http_port), timeout=120)
    connection.sendall(data)
    return connection


def read_until(connection, end):
    received = b""
    while end not in received:
        chunk = connection.recv(65536)
        assert chunk, received
        received += chunk
    return received


def read_all(connection):
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    connection.close()
    return received


def outcomes(env, path):
    """How the runs of a route and of what is below it have ended, in order."""
    with open(os.path.join(env.server_logs_dir, "outcomes")) as log:
        entries = [line.split() for line in log]
    return [outcome for outcome, url in entries if f"{url}/".startswith(f"{path}/")]


def post(path, *headers):
    return ("\r\n".join([f"POST {path} HTTP/1.1", "Host: a", *headers]) + "\r\n\r\n").encode()


CHUNKED = "Transfer-Encoding: chunked"


class TestSlow:

    @pytest.mark.parametrize("header", ["Content-Length: 1000", CHUNKED])
    def test_110_01_body_that_stops(self, env, header):
        """The guest waits for more of its input than will ever come: it ends
        when its time is up."""
        start = len(outcomes(env, "/short"))
        some = b"x" if "Length" in header else b"1\r\nx\r\n"
        for _ in range(ROUNDS):
            connections = [connect(env, post("/short/silent?read", header) + some)
                           for _ in range(ATTACKERS)]
            for connection in connections:
                assert read_all(connection).split(b" ")[1] == b"504"
        wait_for(lambda: outcomes(env, "/short")[start:] == ["timed-out"] * ROUNDS * ATTACKERS)
        env.httpd_error_log.scan_recent("ran out of time.*WasmTimeout")

    def test_110_02_body_that_trickles(self, env):
        """Some byte always comes before anyone loses patience with a byte."""
        start = len(outcomes(env, "/short"))
        connection = connect(env, post("/short/silent?read", "Content-Length: 100000"))
        connection.settimeout(0.05)
        answer = b""
        while not answer:
            try:
                connection.sendall(b"x")
                answer = connection.recv(65536)
            except socket.timeout:
                pass
        assert answer.split(b" ")[1] == b"504"
        connection.close()
        # Logged when the connection has ended: not among what the next test counts.
        wait_for(lambda: outcomes(env, "/short")[start:] == ["timed-out"])

    @pytest.mark.parametrize("start, some", [
        (b"1;", b"x"), (b"1\r\nx\r\n0\r\n", b"X-Trailer: y\r\n"), (b"1\r\nx\r\n0\r\nX: ", b"y"),
        (b"", b"0")], ids=["extension", "trailers", "trailer", "size"])
    def test_110_05_chunks_that_trickle(self, env, start, some):
        """What comes is not the body, and is read in one go however long it takes."""
        before = len(outcomes(env, "/short"))
        connection = connect(env, post("/short/silent?read", CHUNKED) + start)
        connection.settimeout(0.05)
        answer = b""
        sent = 0
        while not answer and sent < 2000 and outcomes(env, "/short")[before:] == []:
            try:
                connection.sendall(some)
                sent += len(some)
                answer = connection.recv(65536)
            except socket.timeout:
                pass
        assert sent < 1000 and answer.split(b" ")[1] == b"504", (sent, answer)
        connection.close()
        wait_for(lambda: outcomes(env, "/short")[before:] == ["timed-out"])

    @pytest.mark.parametrize("how", ["write", "flush"])
    def test_110_03_reader_that_stops(self, env, how):
        """The guest cannot write on: it ends when its time is up, not when
        the server gives up the connection."""
        start = len(outcomes(env, "/short"))
        connections = [connect(env, f"GET /short?{how} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                       for _ in range(ATTACKERS)]
        # The server would wait for a minute; with what it has buffered by then
        # it still may, and writes its access log only after that.
        wait_for(lambda: sum("ran out of time" in line for line in env.httpd_error_log.recent()) == ATTACKERS,
                 timeout=40)
        for connection in connections:
            connection.close()
        wait_for(lambda: len(outcomes(env, "/short")) == start + ATTACKERS)
        assert outcomes(env, "/short")[start:] == ["timed-out"] * ATTACKERS
        env.httpd_error_log.scan_recent("ran out of time.*WasmTimeout")

    def test_110_04_reader_that_trickles(self, env):
        start = len(outcomes(env, "/short"))
        connection = connect(env, b"GET /short?write HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.settimeout(0.02)

        def ended():
            connection.recv(1000)
            return outcomes(env, "/short")[start:] == ["timed-out"]

        wait_for(ended)
        connection.close()


class TestGoneAway:

    @pytest.mark.parametrize("request_line", [
        "/endless?compute", "/endless?sleep", "/endless?write", "/endless/silent?compute",
        "/endless/silent?sleep"])
    def test_110_20_in_the_response(self, env, request_line):
        """A guest with two minutes to go ends because its client did."""
        start = len(outcomes(env, "/endless"))
        request = f"GET {request_line} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        for done in range(1, ROUNDS + 1):
            for connection in [connect(env, request) for _ in range(ATTACKERS)]:
                if "silent" not in request_line:
                    read_until(connection, b"begun")
                # With a reset, as of a program that was killed.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            wait_for(lambda: len(outcomes(env, "/endless")[start:]) == done * ATTACKERS)
        assert set(outcomes(env, "/endless")[start:]) == {"aborted"}

    def test_110_21_closed_in_order(self, env):
        start = len(outcomes(env, "/endless"))
        connection = connect(env, b"GET /endless?compute HTTP/1.1\r\nHost: a\r\n\r\n")
        read_until(connection, b"begun")
        connection.close()
        wait_for(lambda: outcomes(env, "/endless")[start:] == ["aborted"])

    @pytest.mark.parametrize("header", ["Content-Length: 1000", CHUNKED])
    def test_110_22_in_the_body(self, env, header):
        start = len(outcomes(env, "/endless"))
        some = b"x" if "Length" in header else b"1\r\nx\r\n"
        for done in range(1, ROUNDS + 1):
            for _ in range(ATTACKERS):
                connect(env, post("/endless?read", header) + some).close()
            wait_for(lambda: outcomes(env, "/endless")[start:] == ["aborted"] * ATTACKERS * done)


    @pytest.mark.parametrize("request_line", [
        "/endless/silent?compute HTTP/1.1", "/endless/silent?sleep HTTP/1.1", "/endless?sleep HTTP/1.1"])
    def test_110_23_closed_at_once(self, env, request_line):
        """Right behind its request, with a proper end of what it sends: only
        an answer tells whether it still listens."""
        start = len(outcomes(env, "/endless"))
        for done in range(1, ROUNDS + 1):
            for _ in range(ATTACKERS):
                connection = connect(env, f"GET {request_line}\r\nHost: a\r\n\r\n".encode())
                if "silent" not in request_line:
                    read_until(connection, b"begun\n\r\n")
                connection.close()
            wait_for(lambda: outcomes(env, "/endless")[start:] == ["aborted"] * ATTACKERS * done)

    @pytest.mark.parametrize("doing", ["compute", "sleep"])
    def test_110_24_closed_later(self, env, doing):
        """A client of HTTP/1.0 cannot be asked whether it is there. One that
        closes its side after a while has left."""
        start = len(outcomes(env, "/endless"))
        connections = [connect(env, f"GET /endless/silent?{doing} HTTP/1.0\r\n\r\n".encode())
                       for _ in range(ATTACKERS)]
        time.sleep(1)
        for connection in connections:
            connection.close()
        wait_for(lambda: outcomes(env, "/endless")[start:] == ["aborted"] * ATTACKERS)


class TestHalfClosed:
    """A client may close its sending side behind its request, and gets its
    answer, however long that takes."""

    @pytest.mark.parametrize("query", ["sleep", "compute", "silent%20sleep", "silent%20compute"])
    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    def test_110_25_gets_its_answer(self, env, version, query):
        start = len(outcomes(env, "/slow"))
        request = f"GET /slow?{query} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        connections = []
        for _ in range(ATTACKERS):
            connections.append(connect(env, request))
            connections[-1].shutdown(socket.SHUT_WR)
        for connection in connections:
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.status == 200
            assert response.read() == (b"ended\n" if "silent" in query else b"begun\nended\n")
            assert connection.recv(1) == b""
            connection.close()
        wait_for(lambda: outcomes(env, "/slow")[start:] == ["exited"] * ATTACKERS)

    @pytest.mark.parametrize("query", ["/endless/silent?compute", "/endless?sleep"])
    def test_110_27_goes_later(self, env, query):
        """It was there when it was asked first."""
        start = len(outcomes(env, "/endless"))
        connections = [connect(env, f"GET {query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                       for _ in range(ATTACKERS)]
        for connection in connections:
            connection.shutdown(socket.SHUT_WR)
        for connection in connections:
            read_until(connection, b"100 Continue" if "silent" in query else b"begun\n\r\n0")
            time.sleep(0.1)
            connection.close()
        wait_for(lambda: outcomes(env, "/endless")[start:] == ["aborted"] * ATTACKERS)

    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    def test_110_26_after_a_body(self, env, version):
        request = f"POST /slow/body?silent HTTP/{version}\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"
        connection = connect(env, request.encode())
        for _ in range(10):
            connection.sendall(b"x" * 20000)
            time.sleep(0.05)
        connection.shutdown(socket.SHUT_WR)
        got = read_all(connection)
        assert b"HTTP/1.1 200 OK" in got and b"ended\n" in got, got


class TestRubbish:

    @pytest.mark.parametrize("body", [
        b"zzz\r\nabc\r\n0\r\n\r\n", b"-1\r\nabc\r\n0\r\n\r\n", b"ffffffffffffffffff\r\nabc",
        b"3\r\nabcdef\r\n0\r\n\r\n", b"3 ; " + b"x" * 20000 + b"\r\nabc\r\n0\r\n\r\n", b"\0" * 1000,
        b"3\r\nabc\r\n0\r\nTrailer: " + b"x" * 100000 + b"\r\n\r\n",
    ], ids=["no number", "negative", "too large", "longer than it says", "extension", "zeros", "trailer"])
    def test_110_30_chunks(self, env, body):
        got = read_all(connect(env, post("/echo", CHUNKED, "Connection: close") + body))
        # What is not even a line may make the server wait for the rest of it.
        assert got.startswith(b"HTTP/1.1 504" if body[0] == 0 else b"HTTP/1.1 4"), got[:200]
        env.httpd_error_log.ignore_recent([r"\[http:error\]", r"\[core:error\]", "echo.wasm ran out"])

    @pytest.mark.parametrize("length", ["-1", "abc", "1e3", "99999999999999999999999", "5, 6"])
    def test_110_31_length_that_is_none(self, env, length):
        got = read_all(connect(env, post("/echo", f"Content-Length: {length}") + b"abcdef"))
        assert got.startswith(b"HTTP/1.1 400"), got[:200]
        env.httpd_error_log.ignore_recent([r"\[http:error\]", r"\[core:error\]"])

    def test_110_32_more_than_the_length_says(self, env):
        """The rest is not part of this request's body: nothing of it comes
        through, not in this answer and not as another request's."""
        got = read_all(connect(env, post("/echo?body", "Content-Length: 3") + b"abc" + b"\0" * 50000))
        first, _, rest = got.partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200") and rest.startswith(b"abc"), got[:300]
        assert b"\0" not in got
        env.httpd_error_log.ignore_recent([r"\[core:error\]"])

    def test_110_33_length_and_chunks(self, env):
        """Both at once: what a proxy and a server could read differently."""
        hidden = b"0\r\n\r\nGET /env HTTP/1.1\r\nHost: a\r\n\r\n"
        got = read_all(connect(env, post("/echo", CHUNKED, f"Content-Length: {len(hidden)}") + hidden))
        assert got.count(b"HTTP/1.1 ") == 1, got[:500]

    def test_110_34_too_much_header(self, env):
        for header in (b"X: " + b"x" * 65536, b"\r\n".join(b"X-%d: y" % i for i in range(5000))):
            got = read_all(connect(env, b"GET /env HTTP/1.1\r\nHost: a\r\n" + header + b"\r\n\r\n"))
            assert got.startswith(b"HTTP/1.1 400") or not got, got[:200]
        env.httpd_error_log.ignore_recent([r"\[core:error\]"])

    def test_110_35_as_much_header_as_is_allowed(self, env):
        """64 KB of headers, which all become variables of the guest."""
        headers = [f"X-{i}: {'v' * 720}{i}" for i in range(90)]
        got = read_all(connect(env, "\r\n".join(
            ["GET /env HTTP/1.0", "Host: a", *headers, "", ""]).encode()))
        assert got.startswith(b"HTTP/1.1 200")
        for i in range(90):
            assert b"env HTTP_X_%d=%s%d\0" % (i, b"v" * 720, i) in got

    def test_110_36_no_http(self, env):
        for data in (b"\0\1\2\3" * 5000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 500,
                     b"GET\r\n\r\n", b"\r\n" * 5000 + b"\r\n"):
            connection = connect(env, data)
            connection.shutdown(socket.SHUT_WR)
            got = read_all(connection)
            assert b" 200 " not in got.split(b"\r\n")[0]
        env.httpd_error_log.ignore_recent([r"\[core:error\]"])


class TestProtocol:

    def test_110_40_pipelined(self, env):
        """Fifty requests in one write, faults among them: each gets its own
        answer, in order."""
        paths = ["/good", "/mute", "/env?n=%d", "/echo"]
        requests = [f"GET {paths[i % 4] % i if '%' in paths[i % 4] else paths[i % 4]} HTTP/1.1\r\n"
                    f"Host: a\r\n{'Connection: close' if i == 49 else 'X: y'}\r\n\r\n" for i in range(50)]
        got = read_all(connect(env, "".join(requests).encode()))
        statuses = re.findall(rb"HTTP/1\.1 (\d{3}) ", got)
        assert statuses == [b"502" if i % 4 == 1 else b"200" for i in range(50)]
        asked = [int(n) for n in re.findall(rb"env QUERY_STRING=n=(\d+)", got)]
        assert asked == [i for i in range(50) if i % 4 == 2]

    def test_110_41_continue(self, env):
        connection = connect(env, post("/echo", "Content-Length: 3", "Connection: close",
                                       "Expect: 100-continue"))
        read_until(connection, b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"abc")
        assert f"bytes 3 crc {zlib.crc32(b'abc'):08x}".encode() in read_all(connection)

    def test_110_42_nothing_to_continue_with(self, env):
        """A guest that does not read does not ask for the body either."""
        connection = connect(env, post("/good", "Content-Length: 100000000", "Expect: 100-continue"))
        got = read_until(connection, GOOD_BODY)
        assert got.startswith(b"HTTP/1.1 200")
        connection.close()

    def test_110_43_http_1_0(self, env):
        got = read_all(connect(env, b"POST /echo?body HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"))
        head, body = got.split(b"\r\n\r\n", 1)
        assert b"chunked" not in head.lower() and body == b"hello"

    def test_110_44_other_expectation(self, env):
        got = read_all(connect(env, post("/echo", "Content-Length: 0", "Expect: the-unexpected",
                                         "Connection: close")))
        assert got.startswith(b"HTTP/1.1 417"), got[:200]
        env.httpd_error_log.ignore_recent([r"\[http:|\[core:"])

    def test_110_45_body_too_large(self, env):
        for options in ([], ["-H", CHUNKED]):
            r = env.curl_post_data(env.mkurl("/small"), b"x" * 1001, options=options)
            assert r.response["status"] == 413, r
            r = env.curl_post_data(env.mkurl("/small"), b"x" * 1000, options=options)
            assert r.stdout.startswith("bytes 1000 "), r
        env.httpd_error_log.ignore_recent([r"\[core:error\]", r"\[http:error\]"])


class TestHttp2:

    @pytest.fixture(autouse=True)
    def needs_http2(self, env):
        with open(os.path.join(env.server_dir, "conf/modules.conf")) as modules:
            if "http2_module" not in modules.read():
                pytest.skip("mod_http2 does not go with prefork, or is not installed")
        yield
        env.httpd_error_log.ignore_recent([r"\[http2:(warn|error|info)\]"])

    H2 = ["--http2-prior-knowledge"]

    def test_110_50_bodies(self, env):
        body = bytes(i % 251 for i in range(3_000_000))
        r = env.curl_post_data(env.mkurl("/echo?body"), body, options=self.H2)
        assert r.response["protocol"] == "HTTP/2" and r.outraw == body
        r = env.curl_get(env.mkurl("/env"), options=self.H2)
        assert b"env SERVER_PROTOCOL=HTTP/2.0\0" in r.outraw

    def test_110_51_faults_beside_good_streams(self, env):
        """Many streams of one connection at once, some of whose guests fail."""
        paths = ["/good", "/unreachable", "/echo", "/mute"]
        r = env.run(["nghttp", "-ns"] + [env.mkurl(f"{path}?{i}") for path in paths for i in range(8)])
        answers = re.findall(r"^ *\d+ +\S+ +\S+ +\S+ +(\d+) +\S+ (/\w+)\?", r.stdout, re.M)
        assert sorted(answers) == sorted(
            (status, path) for path, status in zip(paths, ("200", "500", "200", "502"))
            for _ in range(8)), r

    @pytest.mark.parametrize("doing", ["compute", "sleep", "write"])
    def test_110_52_gone_away(self, env, doing):
        start = len(outcomes(env, "/endless"))
        client = subprocess.Popen(["curl", "-sN"] + self.H2 + [env.mkurl(f"/endless?{doing}")],
                                  stdout=subprocess.PIPE)
        assert client.stdout.read(5) == b"begun"
        client.kill()
        client.wait()
        wait_for(lambda: outcomes(env, "/endless")[start:] == ["aborted"])

    def test_110_53_reader_that_stops(self, env):
        """With a full window the stream does not move; the guest's time runs."""
        start = len(outcomes(env, "/short"))
        client = subprocess.Popen(["curl", "-sN"] + self.H2 + [env.mkurl("/short?write")],
                                  stdout=subprocess.PIPE)
        assert client.stdout.read(5) == b"begun"
        wait_for(lambda: outcomes(env, "/short")[start:])
        client.kill()
        client.wait()
        assert outcomes(env, "/short")[start:] in (["timed-out"], ["aborted"])
