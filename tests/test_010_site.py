# SPDX-License-Identifier: Apache-2.0
"""The demo site, by its own configuration: every demo answers right."""

import hashlib
import os
import re
import struct
import zlib
from html import unescape

import pytest


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        env = conf.env
        conf.add([
            f'Define SITE "{paths.site}"',
            f'Define GUESTS "{paths.guests}"',
            f'Define SOURCES "{paths.sources}"',
            f'Define STATE "{env.server_dir}"',
            f"Define MPM {env.mpm}",
            f"Define PORT {env.http_port}",
            f"Define PORT2 {env.http_port2}",
            f'Include "{paths.site}/site.conf"',
        ])
    return add


def page(r, status=200):
    """The text of an HTML answer."""
    assert r.exit_code == 0, r
    assert r.response["status"] == status, r
    assert r.response["header"]["content-type"].lower() == "text/html; charset=utf-8"
    text = r.outraw.decode()
    assert text.rstrip().endswith("</html>")
    return text


class TestIndex:

    def test_010_01_lists_every_demo(self, env, paths):
        text = page(env.curl_get(env.mkurl("/")))
        assert f"{env.mpm} MPM" in text
        assert "not built" not in text
        demos = []
        for name in ["catalogue.txt"] + ["cpython.txt"] * os.path.exists(f"{paths.guests}/cpython"):
            with open(f"{paths.site}/{name}") as file:
                demos += [[field.strip() for field in line.split("|")]
                          for line in file if line.strip() and line[0] != "#"]
        assert f"{len(demos)} demos" in text
        for _, title, url, module, source, description in demos:
            for shown in (title, url, module, f"/source?{source}", description):
                assert shown in unescape(text)

    def test_010_02_every_link_answers(self, env):
        links = re.findall(r'href="([^"]+)"', page(env.curl_get(env.mkurl("/"))))
        assert len(links) > 30
        for link in sorted({unescape(link) for link in links}):
            r = env.curl_get(env.mkurl(link))
            assert r.response["status"] == 200, f"{link}: {r}"
        env.httpd_error_log.ignore_recent([])

    def test_010_03_source_viewer(self, env):
        text = page(env.curl_get(env.mkurl("/source?guests/c/hello.c")))
        assert "puts(&quot;Content-Type: text/plain" in text

    @pytest.mark.parametrize("name", [
        "guests/../../etc/passwd", "/etc/passwd", "etc/passwd", "guests", "", "modules/hello.wasm"])
    def test_010_04_source_viewer_shows_nothing_else(self, env, name):
        text = page(env.curl_get(env.mkurl(f"/source?{name}")), 404)
        assert "root:" not in text

    def test_010_05_style(self, env):
        r = env.curl_get(env.mkurl("/style.css"))
        assert r.response["status"] == 200
        assert r.response["header"]["content-type"] == "text/css"


class TestC:

    def test_010_10_hello(self, env):
        r = env.curl_get(env.mkurl("/c/hello"))
        assert r.response["status"] == 200
        assert r.response["header"]["content-type"] == "text/plain"
        assert r.outraw == b"Hello from C\n"

    def test_010_11_head(self, env):
        got = env.curl_get(env.mkurl("/c/hello"))
        head = env.curl_head(env.mkurl("/c/hello"))
        assert head.response["status"] == 200
        assert head.response["header"]["content-type"] == got.response["header"]["content-type"]
        answer = env.raw_request(b"HEAD /c/hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert answer.endswith(b"\r\n\r\n")
        assert b"Hello from C" not in answer

    def test_010_12_form_get(self, env):
        text = page(env.curl_get(env.mkurl("/c/form?name=%C3%85sa&message=1%3C2+%26+3")))
        assert "<td>Åsa</td>" in text
        assert "<td>1&lt;2 &amp; 3</td>" in text

    def test_010_13_form_post(self, env):
        r = env.curl_post_data(env.mkurl("/c/form"), "name=Ada&message=a%2Bb")
        text = page(r)
        assert "What came by POST" in text
        assert "<td>a+b</td>" in text

    def test_010_14_cookies_and_headers(self, env):
        r = env.curl_get(env.mkurl("/c/form"), options=[
            "-H", "Cookie: other=x; visits=41", "-H", "X-Some-Header: some <value>"])
        assert '<b id="visits">42</b>' in page(r)
        cookies = [value for name, value in r.response["headers"] if name == "set-cookie"]
        assert [cookie.split(";")[0] for cookie in cookies] == ["visits=42", "last=c-form"]
        assert "<td>X_SOME_HEADER</td><td>some &lt;value&gt;</td>" in r.stdout

    def test_010_15_stream(self, env):
        text = page(env.curl_get(env.mkurl("/c/stream")))
        assert [f"part {n} of 5" in text for n in range(1, 6)] == [True] * 5

    def test_010_16_plain(self, env):
        text = page(env.curl_get(env.mkurl("/c/plain")))
        assert "argument 0: <code>plain.wasm</code>" in text
        assert "argument 1: <code>first</code>" in text
        assert "argument 2: <code>second argument</code>" in text
        assert "argument 3" not in text
        assert "GREETING: <code>Hello from the configuration</code>" in text


class TestCpp:

    def test_010_20_environment(self, env):
        r = env.curl_get(env.mkurl("/cpp/request?a=b&c"), options=["-H", "X-Guest-Test: yes"])
        text = page(r)
        assert r.response["header"]["x-guest"] == "C++"
        shown = dict(re.findall(r"<tr><td>(\w+)</td><td>(.*?)</td></tr>", text))
        assert shown["REQUEST_METHOD"] == "GET"
        assert unescape(shown["QUERY_STRING"]) == "a=b&c"
        assert shown["HTTP_X_GUEST_TEST"] == "yes"
        assert shown["GATEWAY_INTERFACE"] == "CGI/1.1"
        assert shown["SERVER_PROTOCOL"] == "HTTP/1.1"
        assert shown["SERVER_PORT"] == str(env.http_port)
        assert shown["REMOTE_ADDR"] == "127.0.0.1"
        assert unescape(shown["REQUEST_URI"]) == "/cpp/request?a=b&c"

    def test_010_21_words(self, env):
        text = page(env.curl_post_data(env.mkurl("/cpp/request"), "to be or not to be"))
        assert "18 bytes of body" in text
        assert "<td>be</td><td>2</td>" in text


class TestGo:

    def test_010_30_page(self, env):
        text = page(env.curl_post_data(env.mkurl("/go/"), "name=%3CAda%3E"))
        assert "wasip1/wasm" in text
        assert "Hello, &lt;Ada&gt;!" in text

    def test_010_31_json(self, env):
        body = bytes(range(256)) * 40
        r = env.curl_post_data(env.mkurl("/go/json?city=Oslo&city=Lima"), body,
                               options=["-A", "tester", "-H", "Content-Type: application/x"])
        assert r.response["status"] == 200
        assert r.response["header"]["content-type"] == "application/json"
        assert [value for name, value in r.response["headers"] if name == "set-cookie"] == [
            "first=1", "second=2"]
        assert r.json == {"method": "POST", "path": "/go/json", "query": {"city": ["Oslo", "Lima"]},
                          "agent": "tester", "length": len(body),
                          "sha256": hashlib.sha256(body).hexdigest()}

    def test_010_32_status(self, env):
        r = env.curl_get(env.mkurl("/go/teapot"))
        assert r.response["status"] == 418
        assert r.stdout == "I am a teapot, written in Go.\n"


class TestRust:

    def test_010_40_page(self, env):
        assert "/rust/julia.png?re=0.3&amp;im=-0.01" in page(env.curl_get(env.mkurl("/rust/?re=0.3&im=-0.01")))

    def test_010_41_png(self, env):
        r = env.curl_get(env.mkurl("/rust/julia.png?re=-0.8&im=0.156"))
        png = r.outraw
        assert r.response["header"]["content-type"] == "image/png"
        assert r.response["header"]["content-length"] == str(len(png))
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
        chunks, at = {}, 8
        while at < len(png):
            length, kind = struct.unpack(">I4s", png[at:at + 8])
            data = png[at + 8:at + 8 + length]
            assert struct.unpack(">I", png[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + data)
            chunks[kind] = data
            at += 12 + length
        assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (480, 320)
        assert len(zlib.decompress(chunks[b"IDAT"])) == (480 * 3 + 1) * 320

    def test_010_42_echo(self, env):
        body = bytes(range(256)) * 1000
        assert env.curl_post_data(env.mkurl("/rust/echo"), body).outraw == body

    def test_010_43_not_found(self, env):
        assert env.curl_get(env.mkurl("/rust/nowhere")).response["status"] == 404


class TestPhp:

    def test_010_50_form(self, env):
        text = page(env.curl_post_data(env.mkurl("/php/"), "name=%3CAda%3E"))
        assert "Hello, &lt;Ada&gt;!" in text
        assert "PHP 8.2.0" in text

    def test_010_51_phpinfo(self, env):
        r = env.curl_get(env.mkurl("/php/info.php?x=1"))
        assert r.response["status"] == 200
        for found in ("PHP Version 8.2.0", "/app/info.php", "/etc/php/php.ini", "sqlite3", "mbstring"):
            assert found in r.stdout

    def test_010_52_upload(self, env):
        content = bytes(range(256)) * 8192   # 2 MB
        path = f"{env.server_dir}/upload.bin"
        with open(path, "wb") as file:
            file.write(content)
        text = page(env.curl_upload(env.mkurl("/php/upload.php"), path))
        assert f"<td>{len(content)}</td>" in text
        assert f"<td>{hashlib.sha256(content).hexdigest()}</td>" in text

    def test_010_53_guestbook(self, env):
        url = env.mkurl("/php/guestbook.php")
        before = int(re.search(r'id="count">(\d+) ', page(env.curl_get(url))).group(1))
        r = env.curl_post_data(url, "name=Eve&message=%3Cscript%3E+%C3%A9")
        assert r.response["status"] == 303
        assert r.response["header"]["location"].endswith("/php/guestbook.php")
        text = page(env.curl_get(url))
        assert f'id="count">{before + 1} ' in text
        assert "<td>Eve</td><td>&lt;script&gt; é</td>" in text

    def test_010_54_headers(self, env):
        assert env.curl_get(env.mkurl("/php/headers.php?show=teapot")).response["status"] == 418
        r = env.curl_get(env.mkurl("/php/headers.php?show=cookies"))
        assert [v for n, v in r.response["headers"] if n == "set-cookie"] == ["first=1", "second=2"]

    def test_010_55_redirect(self, env):
        # php-cgi gives its own status, so it is the client that goes there.
        url = env.mkurl("/php/headers.php?show=redirect")
        r = env.curl_get(url)
        assert r.response["status"] == 302
        assert r.response["header"]["location"].endswith("/php/?name=redirected")
        r = env.curl_get(url, options=["-L"])
        assert "Hello, redirected!" in page(r)
        assert r.response["previous"]["status"] == 302

    def test_010_56_scripts_see_guest_paths(self, env):
        shown = dict(re.findall(r"<tr><td>(\w+)</td><td>(.*?)</td></tr>",
                                page(env.curl_get(env.mkurl("/php/headers.php?a=b")))))
        assert shown["SCRIPT_FILENAME"] == "/app/headers.php"
        assert shown["SCRIPT_NAME"] == "/php/headers.php"
        assert shown["REDIRECT_STATUS"] == "200"

    def test_010_57_only_scripts_are_run(self, env):
        assert env.curl_get(env.mkurl("/php/page.inc")).response["status"] == 403
        env.httpd_error_log.ignore_recent([r"AH01630: client denied by server configuration"])
        assert env.curl_get(env.mkurl("/php/none.php")).response["status"] == 404
        env.httpd_error_log.ignore_recent(["AH01630", "No input file specified"])


class TestPython:

    def test_010_60_cgi(self, env):
        text = page(env.curl_post_data(env.mkurl("/python"), "name=%3CAda%3E&empty="))
        assert "name is <b>&lt;Ada&gt;</b>" in text
        assert "empty is <b></b>" in text
        assert "Python 3.11.3 on wasi" in text

    @pytest.fixture(params=["/wsgi", "/warm-wsgi"])
    def wsgi(self, request, env, paths):
        if request.param == "/warm-wsgi" and not os.path.exists(f"{paths.guests}/cpython"):
            pytest.skip("no CPython: make python-guest")
        return lambda path: env.curl_get(env.mkurl(request.param + path))

    def test_010_61_wsgi(self, wsgi):
        r = wsgi("?name=Grace")
        assert "Hello, <b>Grace</b>" in page(r)
        assert r.response["header"]["x-framework"] == "WSGI"

    def test_010_62_wsgi_json(self, wsgi):
        r = wsgi("/sum?n=1&n=2&n=39.5")
        assert r.response["header"]["content-type"] == "application/json"
        assert r.json == {"sum": 42.5}

    def test_010_63_wsgi_statuses(self, wsgi):
        assert wsgi("/sum?n=x").response["status"] == 400
        r = wsgi("/nowhere")
        assert r.response["status"] == 404
        assert r.stdout == "The application has no such page.\n"

    def test_010_64_shared_module(self, env):
        # One module and one script; arguments and variables tell the routes apart.
        orders = env.curl_get(env.mkurl("/orders/17?size=2")).json
        stock = env.curl_post_data(env.mkurl("/stock"), "a body").json
        assert orders == {"service": "orders", "greeting": "Orders are open", "method": "GET",
                          "path_info": "/17", "query": {"size": ["2"]}, "body": ""}
        assert stock == {"service": "stock", "greeting": "Stock is counted", "method": "POST",
                         "path_info": "", "query": {}, "body": "a body"}


class TestRubyAndJavaScript:

    def test_010_70_ruby(self, env):
        text = page(env.curl_post_data(env.mkurl("/ruby"), "words=pear+Apple+%3Cfig%3E"))
        assert '<p id="sorted">&lt;fig&gt; Apple pear</p>' in text
        assert "Ruby 3.2.0" in text

    def test_010_71_quickjs(self, env):
        text = page(env.curl_post_data(env.mkurl("/js"), "text=Never+odd+or+even"))
        assert "Yes, it reads the same backwards." in text

    def test_010_72_quickjs_json(self, env):
        r = env.curl_get(env.mkurl("/js?text=a%20%22b%22"), options=["-H", "Accept: application/json"])
        assert r.response["header"]["content-type"] == "application/json"
        assert r.json == {"text": 'a "b"', "palindrome": False}


class TestTogether:

    def test_010_80_same_location_in_two_hosts(self, env):
        one = env.curl_get(env.mkurl("/twin"))
        two = env.curl_get(env.mkurl("/twin", port=env.http_port2))
        assert one.outraw == b"Hello from C\n"
        assert "The request, in C++" in page(two)

    def test_010_81_php_and_python_at_once(self, env):
        urls = [env.mkurl("/php/hello.php"), env.mkurl("/wsgi/sum?n=1")] * 8
        r = env.run(["curl", "-sS", "--parallel", "--parallel-immediate", "--parallel-max", "8",
                     "-w", "%{http_code}\\n"] + urls)
        assert r.exit_code == 0, r
        assert r.stdout.count("200\n") == 16
        assert r.stdout.count("Hello from PHP 8.2.0\n") == 8
        assert r.stdout.count('{"sum": 1.0}') == 8
