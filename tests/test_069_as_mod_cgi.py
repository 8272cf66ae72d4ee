# SPDX-License-Identifier: Apache-2.0
"""The same programs, compiled for this machine under mod_cgi and to WebAssembly
under mod_wasm: what clients and programs see of each other must not differ."""

import os
import re
import shutil
import subprocess
from urllib.parse import quote

import pytest

PROGRAMS = ["env", "raw", "echo"]

# What the manual names as differences, also as what a redirect makes of it; and
# ports, which differ by request.
RE_OWN_VARIABLES = re.compile(r"REDIRECT_STATUS|(REDIRECT_)?(REMOTE_PORT|WASM_OUTCOME|WASM_RUN_US|WASM_MEMORY)")


@pytest.fixture(scope="module")
def mpm():
    return "event"


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        env = conf.env
        for name in ("cgi", "include", "negotiation"):
            conf.add(f'LoadModule {name}_module "{env.libexec_dir}/mod_{name}.so"')
        for kind, handler in (("cgi", "cgi-script"), ("wasm", "wasm-handler")):
            folder = os.path.join(env.server_dir, kind)
            os.makedirs(folder)
            for name in PROGRAMS:
                program = f"{folder}/{name}.run"
                if kind == "cgi":
                    subprocess.run(["gcc", "-O1", "-w", "-o", program,
                                    os.path.join(paths.root, f"tests/guests/{name}.c")], check=True)
                else:
                    shutil.copy(f"{paths.test_guests}/{name}.wasm", program)
            with open(f"{folder}/page.shtml", "w", encoding="utf-8") as out:
                out.write('<!--#include virtual="raw.run?%0aincluded" --> <!--#include file="missing" -->')
            conf.add(f"""
Alias "/{kind}" "{folder}"
<Directory "{folder}">
    Require all granted
    Options +ExecCGI +MultiViews +Includes
    MultiviewsMatch Handlers
    DirectoryIndex env.run
    AddHandler {handler} .run
    WasmEnableCGI On
    SetEnv FROM_SERVER "a value"
    Header always set X-Own server
    Header always add Set-Cookie server=1
    <Files "page.shtml">
        SetOutputFilter INCLUDES
    </Files>
</Directory>
<Location "/{kind}/denied">
    Require all denied
    ErrorDocument 403 /{kind}/env.run
</Location>
<Location "/{kind}/strict.run">
    AcceptPathInfo Off
</Location>
RewriteEngine On
RewriteRule "^/{kind}/front/(.*)$" "/{kind}/env.run/$1" [PT,QSA]
""")
    return add


@pytest.fixture
def both(env):
    """Asks both; gives the two answers, with one name for each kind's directory."""
    def ask(path, *options, body=None):
        answers = []
        for kind in ("cgi", "wasm"):
            args = list(options) + (["--data-binary", "@-"] if body is not None else [])
            r = env.curl_raw(env.mkurl(f"/{kind}{path}"), options=args, inbytes=body)
            assert r.response, r
            # With -I curl prints the headers once more.
            text = b"" if "-I" in options else r.outraw.replace(f"/{kind}".encode(), b"/KIND")
            # Here a short body always has its length. Of a process's it depends on how fast that writes.
            headers = sorted((name, value.replace(f"/{kind}", "/KIND")) for name, value in r.response["headers"]
                             if name not in ("date", "content-length", "transfer-encoding"))
            answers.append((r.response["status"], headers, text))
        return answers
    return ask


def variables(text):
    pairs = (line[4:].split(b"=", 1) for line in text.split(b"\0") if line.startswith(b"env "))
    return {name: value for name, value in ((name.decode(), value) for name, value in pairs)
            if not RE_OWN_VARIABLES.fullmatch(name)}


class TestRequests:

    @pytest.mark.parametrize("path", [
        "/env.run", "/env.run?a=b&c=%20d+e", "/env.run?", "/env.run/more/pa%20th?x", "/", "/env", "/denied?why",
        "/front/basket/7?page=2", "//env.run", "/./env.run/../env.run", "/env.run/%80%ff?%80"])
    def test_069_01_variables(self, env, both, path):
        (status, _, cgi), (status2, _, wasm) = both(path, "-H", "Accept: */*")
        assert (status, variables(cgi)) == (status2, variables(wasm))
        assert variables(cgi)["FROM_SERVER"] == b"a value"
        env.httpd_error_log.ignore_recent(["AH01630"])

    @pytest.mark.parametrize("options", [
        ["-X", "PUT"], ["-X", "DELETE"], ["-X", "PROPFIND"], ["-X", "OPTIONS"], ["-0"], ["-u", "a:b"],
        ["-H", "X_Under: 1", "-H", "X-Dash: 2"], ["-H", "Proxy: evil"], ["-H", "X.Dot: 1"],
        ["-H", "Cookie: a=b", "-H", "Cookie: c=d"], ["-H", "Content-Type: text/x", "-d", "body"],
        ["-H", "Host: other.test:99"], ["-H", "Expect:", "-d", ""]],
        ids=lambda options: "".join(options))
    def test_069_02_methods_and_headers(self, env, both, options):
        (status, _, cgi), (status2, _, wasm) = both("/env.run", *options)
        assert (status, variables(cgi)) == (status2, variables(wasm))
        # mod_cgi, if the program has ended before its body could be written.
        env.httpd_error_log.ignore_recent(["AH02651"])

    # mod_cgi writes all of a body before it reads: no more than fits into pipes.
    # (An id that is made of the body would be in curl's environment, where it does not fit.)
    @pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 200], ids=["empty", "one byte", "large"])
    def test_069_03_bodies(self, both, body):
        cgi, wasm = both("/echo.run?body", body=body)
        assert cgi == wasm
        assert cgi[2] == body

    def test_069_04_path_info_refused(self, env, both):
        shutil.copy(f"{env.server_dir}/cgi/env.run", f"{env.server_dir}/cgi/strict.run")
        shutil.copy(f"{env.server_dir}/wasm/env.run", f"{env.server_dir}/wasm/strict.run")
        for path, expected in (("/strict.run", 200), ("/strict.run/more", 404), ("/missing.run", 404)):
            cgi, wasm = both(path)
            assert cgi[0] == wasm[0] == expected
        env.httpd_error_log.ignore_recent(["AcceptPathInfo|AH02811|AH10924|AH10945|AH02813"])


class TestResponses:

    HEADERS = 'Content-Type: text/plain\nETag: "v1"\nLast-Modified: Tue, 01 Jan 2019 00:00:00 GMT\n'

    @pytest.mark.parametrize("answer", [
        "Content-Type: text/plain\n\nbody", "Content-Type: text/plain\r\n\r\nbody", "\nno headers at all",
        "Content-Type: text/plain\n\n", "Status: 404 Not Here\n\ngone", "Status: 500\n\nown page",
        "Status: 204\n\n", "Status: 299 Odd\nContent-Type: a/b\n\nx", "X-A: 1\nX-A: 2\nSet-Cookie: a=1\nSet-Cookie: b=2\n\n",
        "Location: http://elsewhere.test/\n\n", "Location: http://elsewhere.test/\nContent-Type: a/b\n\nbody",
        "Status: 301\nLocation: /x\n\nown body", "Status: 303 See\nLocation: http://elsewhere.test/\n\n",
        "Status: 401\nWWW-Authenticate: Basic realm=x\n\nno", "Content-Language: de\nVary: Cookie\n\nx",
        "Cache-Control: no-store\nExpires: 0\n\nx", HEADERS + "\nbody", "Date: then\nServer: mine\n\nx",
        "X-Empty:\nX-Space:    a  b   \n\nx", "Content-Type: Text/HTML; Charset=UTF-8\nX-Own: guest\n\nx",
        "Set-Cookie: a=1\nx-own: guest\nSet-Cookie: b=2\nX-OWN: again\n\nx", "Content-Type:\n\nx",
        "Content-Type: a/b\nContent-Type: c/d\n\nx", "Last-Modified: yesterday\nContent-Type: a/b\n\nx",
        'ETag: "v0"\nETag: "v1"\nContent-Type: a/b\n\nx', "Content-Range: bytes 0-0/9\nStatus: 206\n\nx",
        "Location: /nowhere\nLocation: http://elsewhere.test/\n\nx"], ids=lambda answer: re.sub(r"\W+", "-", answer)[:40])
    @pytest.mark.parametrize("options", [
        [], ["-I"], ["-H", 'If-None-Match: "v1"'], ["-H", "If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT"],
        ["-H", 'If-Match: "v2"'], ["-0"]],
        ids=["get", "head", "none-match", "modified", "match", "http10"])
    def test_069_10_headers(self, both, answer, options):
        cgi, wasm = both("/raw.run?" + quote(answer), *options)
        assert cgi == wasm

    def test_069_11_local_redirect(self, both):
        (status, _, cgi), (status2, _, wasm) = both("/raw.run?" + quote("Location: /cgi/env.run/info?q\n\n"))
        (status3, _, own) = both("/raw.run?" + quote("Location: /wasm/env.run/info?q\n\n"))[1]
        assert status == status2 == status3 == 200

        def alike(text):
            """Without what names the kind."""
            return {name: re.sub(rb"/(cgi|wasm)|%2F(cgi|wasm)", b"/KIND", value)
                    for name, value in variables(text).items()}

        assert alike(cgi) == alike(own)

    def test_069_12_include(self, env, both):
        cgi, wasm = both("/page.shtml")
        assert cgi == wasm
        assert cgi[2].startswith(b"included")
        env.httpd_error_log.ignore_recent(["missing"])
