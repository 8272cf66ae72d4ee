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
        conf.add_wasm("/loop", f"{paths.test_guests}/answer.wasm", "WasmArg 'Location: /loop%0a%0a'")
        conf.add_wasm("/away", f"{paths.test_guests}/answer.wasm", "WasmArg 'Location: /target%0a%0a'")
        conf.add_wasm("/away/absolute", f"{paths.test_guests}/answer.wasm", "WasmArg 'Location: http://a/%0a%0a'")
        conf.add(["RewriteEngine On", 'RewriteRule "^/chain$" - [CO=kept:1:127.0.0.1]',
                  '<Location "/chain">',
                  '    ErrorDocument 404 /broken?Set-Cookie:%20injected=1%0aX-One:%201%0ano%20colon%0a%0a',
                  "</Location>"])
        conf.add_wasm("/broken", f"{paths.test_guests}/raw.wasm", "ErrorDocument 502 /not-there")
        conf.add_wasm("/away/error", f"{paths.test_guests}/answer.wasm", "WasmArg 'no header'")
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

    def test_030_08_length_of_nothing(self, env):
        """No status without a body gets the length of one: the next answer would be taken for it."""
        for status in ("204 No Content", "304 Not Modified"):
            text = quote(f"Status: {status}\nContent-Length: 10\n\n0123456789", safe="")
            got = env.raw_request((f"GET /raw?{text} HTTP/1.1\r\nHost: a\r\n\r\n"
                                   "GET /target?next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").encode())
            first, rest = got.split(b"\r\n\r\n", 1)
            assert first.startswith(f"HTTP/1.1 {status[:3]}".encode()), got
            assert rest.startswith(b"HTTP/1.1 200 OK\r\n") and b"QUERY_STRING=next" in rest, got

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
        r = env.curl_post_data(env.mkurl("/raw"), "Location: /target\n\n")
        assert r.response["status"] == 200
        assert b"env REQUEST_METHOD=GET\0" in r.outraw
        assert b"env CONTENT_LENGTH" not in r.outraw


    def test_030_24_loop(self, env, raw):
        """A guest that sends each request back to itself."""
        r = env.curl_get(env.mkurl("/raw?" + quote("Location: /raw?", safe="")))   # to an answer without headers
        assert r.response["status"] == 502
        r = env.curl_get(env.mkurl("/loop"))
        assert r.response["status"] == 500
        env.httpd_error_log.scan_recent("AH00124")   # LimitInternalRecursion
        env.httpd_error_log.ignore_recent(["AH00124", "without a complete header block"])
        assert raw("Content-Type: text/plain\n\nfine").outraw == b"fine"

    def test_030_25_body_left_unread(self, env):
        """What the first guest has not read is not another request's, nor the second guest's."""
        hidden = b"GET /target?smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        for path in ("/away", "/away/absolute", "/away/error"):
            got = env.raw_request(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(hidden)}\r\n\r\n"
                                  .encode() + hidden)
            assert got.count(b"HTTP/1.1 ") == 1, got
            assert b"smuggled" not in got
        env.httpd_error_log.ignore_recent(["without a complete header block"])


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
        # RFC 9110, section 8.8.2.1: none from the future.
        assert "2199" not in raw(past.replace("2000", "2199")).response["header"]["last-modified"]

    def test_030_32_guest_says_304(self, raw):
        r = raw('Status: 304 Not Modified\nETag: "v1"\n\n')
        assert (r.response["status"], r.outraw) == (304, b"")


class TestNotTheGuestsToSend:

    @pytest.mark.parametrize("header", [
        "Transfer-Encoding: chunked", "Connection: keep-alive, X-Secret", "Keep-Alive: timeout=1000",
        "Upgrade: websocket", "Trailer: X-Later", "TE: trailers", "Proxy-Connection: keep-alive",
        'Proxy-Authenticate: Basic realm="x"', 'Proxy-Authentication-Info: nextnonce="x"'])
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
        env.httpd_error_log.ignore_recent(["AH10943"])

    @pytest.mark.parametrize("text", [
        b"no colon\n\nsecret", b": no name\n\nsecret", b"Bad Name: x\n\nsecret", b"X: a\0b\n\nsecret",
        b"X: a\rSet-Cookie: injected=1\n\nsecret", b"Status: 1000\n\nsecret", b"Status: abc\n\nsecret",
        b"Status: 100 Continue\n\nsecret", b"Status: 101 Switching Protocols\nUpgrade: x\n\nsecret",
        b"Status: 199\n\nsecret", b"Status: 999\n\nsecret", b"Status: 600\n\nsecret", b"Status: -1\n\nsecret",
        b"Status: 0\n\nsecret", b"Status: 200OK\n\nsecret", b"Status:\n\nsecret", b"Status: 2e2\n\nsecret",
        b"Name : x\n\nsecret", b" Name: x\n\nsecret", b"\tName: x\n\nsecret", b"Na\0me: x\n\nsecret",
        b"Na\xe9me: x\n\nsecret", b"X: a\x7fb\n\nsecret", b"HTTP/1.1 200 OK\nX: y\n\nsecret",
        b"Location: /target\0\n\nsecret", b"X: a\n\tfolded\n\nsecret",
        b"Content-Length: -1\n\nsecret", b"Content-Length: 5, 5\n\nsecret", b"Content-Length: +5\n\nsecret",
        b"Content-Length: 0x5\n\nsecret", b"Content-Length: 99999999999999999999\n\nsecret",
        b"Content-Length:\n\nsecret",
        b"X: a\n folded\n\nsecret", b"X: \x01\n\nsecret",
    ])
    def test_030_51_malformed(self, env, raw, text):
        r = raw(text)
        assert r.response["status"] == 502
        assert b"injected" not in str(r.response["headers"]).encode()
        assert b"secret" not in r.outraw
        env.httpd_error_log.scan_recent("AH10929.*malformed headers")
        env.httpd_error_log.ignore_recent(["AH10929"])

    def test_030_56_nothing_before_a_malformed_line_counts(self, env, raw):
        r = raw("Status: 201 Made\nContent-Type: text/x-test\nLocation: /target\nSet-Cookie: injected=1\n"
                "Last-Modified: Mon, 02 Nov 2026 10:00:00 GMT\nETag: \"x\"\nContent-Range: bytes 0-1/2\n"
                "X-One: 1\nContent-Length: 4\nno colon\n\nsecret")
        assert r.response["status"] == 502
        assert r.response["header"]["content-type"].startswith("text/html")
        for name in ("location", "set-cookie", "last-modified", "etag", "content-range", "x-one"):
            assert values(r, name) == [], name
        assert b"Bad Gateway" in r.outraw and b"secret" not in r.outraw
        env.httpd_error_log.scan_recent("AH10929.*no colon.*near .*no colon")
        env.httpd_error_log.ignore_recent(["AH10929"])

    def test_030_57_nor_where_another_request_answers(self, env):
        """The one that was redirected to the guest, since the page for the guest's error fails as well."""
        r = env.curl_get(env.mkurl("/chain"))
        assert r.response["status"] >= 400
        assert [value.split(";")[0] for value in values(r, "set-cookie")] == ["kept=1"]
        assert values(r, "x-one") == []
        env.httpd_error_log.scan_recent("AH10929.*no colon")
        env.httpd_error_log.ignore_recent(["AH10929"])

    def test_030_54_contradicting_lengths(self, env, raw):
        r = raw("Content-Length: 4\nContent-Length: 5\n\nbody")
        assert r.response["status"] == 502
        env.httpd_error_log.scan_recent("AH10929.*two Content-Length headers that differ")
        env.httpd_error_log.ignore_recent(["AH10929"])

    def test_030_55_length_said_twice(self, env, raw):
        r = raw("Content-Length: 4\ncontent-length: 4\n\nbody")
        assert (r.response["status"], r.outraw) == (200, b"body")
        assert [value for name, value in r.response["headers"] if name == "content-length"] == ["4"]

    @pytest.mark.parametrize("text, status", [
        ("X: " + "a" * 8000 + "\n\n", 200),
        ("X: " + "a" * 9000 + "\n\n", 502),
        ("X: y\n" * 4000 + "\n", 200),
        ("X: y\n" * 20000 + "\n", 502),
        ("X: y\n" * 20000, 502),
        ("a" * 100000, 502),
    ], ids=["long line", "longer line", "many", "too many", "endless", "no end"])
    def test_030_52_size(self, env, text, status):
        r = env.curl_post_data(env.mkurl("/raw"), text)
        assert r.response["status"] == status
        env.httpd_error_log.ignore_recent(["AH10929", "AH10932"] if status == 502 else [])

    def test_030_53_the_server_goes_on(self, env, raw):
        assert raw("Content-Type: text/plain\n\nfine").outraw == b"fine"
