# SPDX-License-Identifier: Apache-2.0
"""What a guest's headers become. The guest writes the decoded query as its
whole answer."""

from urllib.parse import quote

import pytest


@pytest.fixture(scope="module", params=["event"])
def mpm(request):
    return request.param


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        conf.add_wasm("/raw", f"{paths.test_guests}/raw.wasm")
        conf.add_wasm("/target", f"{paths.test_guests}/env.wasm")
    return add


@pytest.fixture(scope="module")
def raw(env):
    """Makes the guest answer `text` (str or bytes)."""
    def get(text, options=None):
        return env.curl_get(env.mkurl("/raw?" + quote(text, safe="")), options=options)
    return get


def values(r, name):
    return [value for key, value in r.response["headers"] if key == name]


class TestWellFormed:

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_030_01_line_ends(self, raw, end):
        r = raw(f"Content-Type: text/x-test{end}X-One: 1{end}{end}body{end}")
        assert r.response["status"] == 200
        assert r.response["header"]["content-type"] == "text/x-test"
        assert r.response["header"]["x-one"] == "1"
        assert r.outraw == f"body{end}".encode()

    def test_030_02_status(self, raw):
        r = raw("Status: 404 Not Here\nContent-Type: text/plain\n\ngone")
        assert (r.response["status"], r.outraw) == (404, b"gone")
        r = raw("Status: 503\nContent-Type: text/plain\n\nlater")
        assert (r.response["status"], r.outraw) == (503, b"later")

    def test_030_03_several_cookies(self, raw):
        r = raw("Set-Cookie: a=1\nContent-Type: text/plain\nSet-Cookie: b=2; Path=/\nSet-Cookie: a=3\n\n")
        assert values(r, "set-cookie") == ["a=1", "b=2; Path=/", "a=3"]

    def test_030_04_no_body(self, raw):
        r = raw("Content-Type: text/plain\n\n")
        assert (r.response["status"], r.outraw) == (200, b"")

    def test_030_05_no_content(self, raw):
        r = raw("Status: 204 No Content\n\nnot to be sent")
        assert (r.response["status"], r.outraw) == (204, b"")

    def test_030_06_content_length(self, raw):
        r = raw("Content-Type: text/plain\nContent-Length: 4\n\nbody")
        assert (r.response["header"]["content-length"], r.outraw) == ("4", b"body")

    def test_030_07_header_not_utf8(self, env):
        got = env.raw_request(b"GET /raw?X-Bytes:%20%80%ff%0a%0a HTTP/1.1\r\nHost: a\r\n"
                              b"Connection: close\r\n\r\n")
        assert b"\r\nX-Bytes: \x80\xff\r\n" in got


class TestRedirects:

    def test_030_20_absolute(self, raw):
        r = raw("Location: http://elsewhere.test/x?y\n\n")
        assert r.response["status"] == 302
        assert r.response["header"]["location"] == "http://elsewhere.test/x?y"

    def test_030_21_own_status(self, raw):
        r = raw("Status: 301 Moved Permanently\nLocation: /elsewhere\n\n")
        assert r.response["status"] == 301
        assert r.response["header"]["location"].endswith("/elsewhere")

    def test_030_22_local(self, raw):
        r = raw("Location: /target?from=raw\n\n")
        assert r.response["status"] == 200
        assert b"env QUERY_STRING=from=raw\0" in r.outraw
        assert b"env REQUEST_METHOD=GET\0" in r.outraw
        assert "location" not in r.response["header"]

    def test_030_23_local_after_post(self, env):
        r = env.curl_post_data(env.mkurl("/raw?" + quote("Location: /target\n\n", safe="")), "a body")
        assert r.response["status"] == 200
        assert b"env REQUEST_METHOD=GET\0" in r.outraw
        assert b"env CONTENT_LENGTH" not in r.outraw


class TestConditional:

    HEADERS = ('ETag: "v1"\nLast-Modified: Tue, 01 Jan 2030 00:00:00 GMT\n'
               "Content-Type: text/plain\n\nbody")

    def test_030_30_etag(self, raw):
        assert raw(self.HEADERS).response["header"]["etag"] == '"v1"'
        r = raw(self.HEADERS, options=["-H", 'If-None-Match: "v1"'])
        assert (r.response["status"], r.outraw) == (304, b"")
        assert raw(self.HEADERS, options=["-H", 'If-None-Match: "v2"']).outraw == b"body"

    def test_030_31_last_modified(self, raw):
        past = "Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT\nContent-Type: text/plain\n\nbody"
        r = raw(past, options=["-H", "If-Modified-Since: Sun, 02 Jan 2000 00:00:00 GMT"])
        assert (r.response["status"], r.outraw) == (304, b"")
        r = raw(past, options=["-H", "If-Modified-Since: Fri, 31 Dec 1999 00:00:00 GMT"])
        assert (r.response["status"], r.outraw) == (200, b"body")

    def test_030_32_guest_says_304(self, raw):
        r = raw('Status: 304 Not Modified\nETag: "v1"\n\n')
        assert (r.response["status"], r.outraw) == (304, b"")


class TestNotTheGuestsToSend:

    @pytest.mark.parametrize("header", [
        "Transfer-Encoding: chunked", "Connection: keep-alive, X-Secret", "Keep-Alive: timeout=1000",
        "Upgrade: websocket", "Trailer: X-Later"])
    def test_030_40_hop_by_hop(self, env, raw, header):
        r = raw(f"Content-Type: text/plain\n{header}\n\n5\r\nhello\r\n0\r\n\r\n")
        assert r.response["status"] == 200
        assert r.outraw == b"5\r\nhello\r\n0\r\n\r\n"
        name, value = header.lower().split(": ")
        assert value not in [v.lower() for v in values(r, name)]


class TestMalformed:

    @pytest.mark.parametrize("text", [
        "", "no header at all", "Content-Type: text/plain", "Content-Type: text/plain\n",
    ], ids=["nothing", "no colon", "no line end", "no empty line"])
    def test_030_50_incomplete(self, env, raw, text):
        r = raw(text)
        assert r.response["status"] == 502
        env.httpd_error_log.scan_recent("without a complete header block")
        env.httpd_error_log.ignore_recent(["AH10543"])

    @pytest.mark.parametrize("text", [
        b"no colon\n\nbody", b": no name\n\nbody", b"Bad Name: x\n\nbody", b"X: a\0b\n\nbody",
        b"X: a\rSet-Cookie: injected=1\n\nbody", b"Status: 1000\n\nbody", b"Status: abc\n\nbody",
        b"Content-Length: -1\n\nbody", b"Content-Length: 4\nContent-Length: 5\n\nbody",
        b"X: a\n folded\n\nbody", b"X: \x01\n\nbody",
    ])
    def test_030_51_malformed(self, env, raw, text):
        r = raw(text)
        assert r.response["status"] == 502
        assert b"injected" not in str(r.response["headers"]).encode()
        assert b"body" not in r.outraw
        env.httpd_error_log.scan_recent("AH10529.*malformed headers")
        env.httpd_error_log.ignore_recent(["AH10529"])

    def test_030_52_too_large(self, env):
        # 60 KB of query make more header bytes than the server passes on.
        r = env.curl_get(env.mkurl("/raw?" + "X:" + "a" * 7000 + "%0a" + "%0a"))
        assert r.response["status"] in (200, 502)
        env.httpd_error_log.ignore_recent(["AH10529"])

    def test_030_53_the_server_goes_on(self, env, raw):
        assert raw("Content-Type: text/plain\n\nfine").outraw == b"fine"
