# SPDX-License-Identifier: Apache-2.0
"""Bodies in both directions: whole, in order, and streamed."""

import os
import socket
import zlib

import pytest

MB = 1024 * 1024


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        guests = paths.test_guests
        conf.add_wasm("/echo", f"{guests}/echo.wasm")
        conf.add_wasm("/gate", f"{guests}/gate.wasm", f'WasmMapDir /gate "{conf.env.server_dir}/data"')
        conf.add_wasm("/hello", f"{paths.guests}/hello.wasm")
    return add


@pytest.fixture(scope="module")
def ten_megabytes():
    block = bytes((i * 7 + i // 251) % 256 for i in range(64 * 1024))
    return b"".join(i.to_bytes(4, "big") + block[4:] for i in range(160))


def answer(body, length):
    return f"bytes {len(body)} crc {zlib.crc32(body):08x} length {length}\n"


class TestRequestBody:

    def test_020_01_by_length(self, env, ten_megabytes):
        r = env.curl_post_data(env.mkurl("/echo"), ten_megabytes)
        assert r.stdout == answer(ten_megabytes, len(ten_megabytes))

    def test_020_02_chunked(self, env, ten_megabytes):
        r = env.curl_post_data(env.mkurl("/echo"), ten_megabytes,
                               options=["-H", "Transfer-Encoding: chunked"])
        assert r.stdout == answer(ten_megabytes, "unset")

    def test_020_03_no_expect(self, env, ten_megabytes):
        r = env.curl_post_data(env.mkurl("/echo"), ten_megabytes, options=["-H", "Expect:"])
        assert r.stdout == answer(ten_megabytes, len(ten_megabytes))

    def test_020_04_none(self, env):
        assert env.curl_get(env.mkurl("/echo")).stdout == answer(b"", "unset")

    def test_020_05_empty(self, env):
        r = env.curl_post_data(env.mkurl("/echo"), b"")
        assert r.stdout == answer(b"", 0)

    def test_020_06_put(self, env):
        r = env.curl_post_data(env.mkurl("/echo"), b"abc", options=["-X", "PUT"])
        assert r.stdout == answer(b"abc", 3)

    def test_020_07_chunks_of_one_byte(self, env):
        body = bytes(range(256))
        chunks = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in body) + b"0\r\n\r\n"
        got = env.raw_request(b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                              b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert got.endswith(answer(body, "unset").encode())

    def test_020_08_unread_body_leaves_the_connection_usable(self, env, ten_megabytes):
        body = ten_megabytes[:MB]
        r = env.run(["curl", "-sS", "--data-binary", "@-", env.mkurl("/hello"),
                     "--next", "-sS", env.mkurl("/hello")], inbytes=body)
        assert r.exit_code == 0, r
        assert r.outraw == b"Hello from C\n" * 2

    def test_020_09_pipelined(self, env):
        one = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        last = b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd"
        got = env.raw_request(one + last)
        assert got.count(b"HTTP/1.1 200 OK") == 2
        assert got.index(answer(b"abc", 3).encode()) < got.index(answer(b"abcd", 4).encode())


class TestResponseBody:

    def test_020_20_back_again(self, env, ten_megabytes):
        r = env.curl_post_data(env.mkurl("/echo?body"), ten_megabytes)
        assert r.outraw == ten_megabytes

    def test_020_21_short_one_has_its_length(self, env):
        r = env.curl_get(env.mkurl("/hello"))
        assert r.response["header"]["content-length"] == "13"
        assert "transfer-encoding" not in r.response["header"]

    def test_020_22_http_1_0(self, env, ten_megabytes):
        r = env.curl_post_data(env.mkurl("/echo?body"), ten_megabytes, options=["--http1.0"])
        assert r.outraw == ten_megabytes
        assert "transfer-encoding" not in r.response["header"]

    def test_020_23_first_byte_before_the_guest_ends(self, env):
        """The guest sends one byte, then waits for a file. The test makes the
        file only when it has seen that byte."""
        gate = os.path.join(env.server_dir, "data/open")
        size = 20 * MB
        try:
            with socket.create_connection(("127.0.0.1", env.http_port), timeout=60) as s:
                s.sendall(f"GET /gate?bytes={size} HTTP/1.0\r\n\r\n".encode())
                received = b""
                while not received.endswith(b"\r\n\r\n>"):
                    chunk = s.recv(65536)
                    assert chunk, received
                    received += chunk
                start = len(received) - 1
                with open(gate, "w"):
                    pass
                while chunk := s.recv(1 << 20):
                    received += chunk
            assert received[start:] == b">" + b"x" * (size - 1)
        finally:
            if os.path.exists(gate):
                os.remove(gate)

    def test_020_24_head_of_a_long_one(self, env):
        with open(os.path.join(env.server_dir, "data/open"), "w"):
            pass
        try:
            got = env.raw_request(b"HEAD /gate?bytes=20971520 HTTP/1.1\r\nHost: a\r\n"
                                  b"Connection: close\r\n\r\n")
            assert got.startswith(b"HTTP/1.1 200 OK")
            assert got.endswith(b"\r\n\r\n")
            assert b">" not in got.split(b"\r\n\r\n", 1)[1]
        finally:
            os.remove(os.path.join(env.server_dir, "data/open"))
