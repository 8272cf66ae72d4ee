# SPDX-License-Identifier: Apache-2.0
"""Guests and the rest of the server: sections, rewriting, negotiation, includes,
errors. A request runs one guest, once, whatever the server looks up besides."""

import os
import re
from urllib.parse import quote

import pytest

# Pages with includes.
PAGES = {
    "twice": '1 <!--#include virtual="/raw?%0aone" --> 2 <!--#include virtual="/raw?%0atwo" --> 3\n',
    "looks": '<!--#fsize file="script.run" --> <!--#flastmod virtual="/pages/script.run" -->\n',
    "bad": 'before <!--#include virtual="/broken?unreachable" --> after\n',
}


@pytest.fixture(scope="module")
def mpm():
    return "event"


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        env = conf.env
        docs = os.path.join(env.server_dir, "pages")
        os.makedirs(f"{docs}/front", exist_ok=True)
        os.makedirs(f"{docs}/index", exist_ok=True)
        os.makedirs(f"{docs}/views", exist_ok=True)
        for name in ("x.txt", "y.txt", "script.run", "index/start.run", "views/page.run", "views/both.run",
                     "views/both.html"):
            with open(f"{docs}/{name}", "w", encoding="utf-8") as out:
                out.write("the file itself\n")
        with open(f"{docs}/page.shtml", "w", encoding="utf-8") as out:
            out.write('before <!--#include virtual="/hello" --> after\n')
        for name, text in PAGES.items():
            with open(f"{docs}/{name}.shtml", "w", encoding="utf-8") as out:
                out.write(text)
        for name in ("include", "negotiation", "autoindex"):
            conf.add(f'LoadModule {name}_module "{env.libexec_dir}/mod_{name}.so"')
        conf.add(f'''
Define env_module "{paths.test_guests}/env.wasm"
LogFormat "%U %{{WASM_OUTCOME}}e %{{WASM_RUN_US}}e %{{WASM_MEMORY}}e %{{SERVER_PROTOCOL}}e" wasm
CustomLog "{env.server_logs_dir}/wasm_log" wasm
Alias "/pages" "{docs}"
<Directory "{docs}">
    Require all granted
    AddHandler wasm-handler .run
    WasmModule "${{env_module}}"
    WasmEnableCGI On
    WasmEnv WHERE directory
    <Files "x.txt">
        SetHandler wasm-handler
        WasmEnv WHERE files
    </Files>
    <If "%{{QUERY_STRING}} == 'if'">
        SetHandler wasm-handler
        WasmEnv WHERE if
    </If>
</Directory>
<Directory "{docs}/index">
    DirectoryIndex missing.run start.run
</Directory>
<Directory "{docs}/views">
    Options +MultiViews +Indexes
    MultiviewsMatch Handlers
    IndexOptions FancyIndexing ScanHTMLTitles
</Directory>
<Directory "{docs}/front">
    RewriteEngine On
    RewriteRule "^(.*)$" "/pages/script.run/$1" [QSA,L]
</Directory>
<Files "*.shtml">
    Options +Includes
    SetHandler none
    SetOutputFilter INCLUDES
</Files>
<LocationMatch "^/match/[0-9]+$">
    SetHandler wasm-handler
    WasmModule "${{env_module}}"
    WasmEnableCGI On
    WasmEnv WHERE match
</LocationMatch>
<Location "/sorry">
    SetHandler wasm-handler
    WasmModule "${{env_module}}"
    WasmEnableCGI On
    WasmEnv WHERE sorry
</Location>
<Location "/broken">
    SetHandler wasm-handler
    WasmModule "{paths.test_guests}/fault.wasm"
    WasmEnableCGI On
    ErrorDocument 500 /sorry
</Location>
<Location "/raw">
    SetHandler wasm-handler
    WasmModule "{paths.test_guests}/raw.wasm"
    WasmEnableCGI On
</Location>
<Location "/including">
    SetHandler wasm-handler
    WasmModule "{paths.test_guests}/answer.wasm"
    WasmEnableCGI On
    WasmArg 'Content-Type: text/html%0a%0a<!--#include virtual="/included" -->'
    Options +Includes
    SetOutputFilter INCLUDES
</Location>
<Location "/included">
    SetHandler wasm-handler
    WasmModule "{paths.test_guests}/hostile/output_flood.wasm"
    WasmEnableCGI On
    WasmOutputLimit 100K
    Options +Includes
    SetOutputFilter INCLUDES
</Location>
<Location "/guarded">
    Require all denied
    ErrorDocument 403 /sorry
</Location>
''')
        conf.add_wasm("/hello", f"{paths.guests}/hello.wasm")
    return add


@pytest.fixture
def ask(env):
    """Gives the status and the variables that the guest saw."""
    def get(path):
        r = env.curl_get(env.mkurl(path))
        pairs = [line[4:].split(b"=", 1) for line in r.outraw.split(b"\0") if line.startswith(b"env ")]
        return r.response["status"], {name.decode(): value.decode() for name, value in pairs}, r.outraw
    return get


@pytest.fixture
def runs(env):
    """Counts the runs since the test began."""
    return lambda: sum(" exited with status " in line for line in env.httpd_error_log.recent())


class TestSections:

    @pytest.mark.parametrize("path, where", [
        ("/pages/script.run", "directory"), ("/pages/x.txt", "files"), ("/pages/y.txt?if", "if"),
        ("/pages/x.txt?if", "if"), ("/match/17", "match")])
    def test_067_01_sections(self, ask, path, where):
        status, variables, _ = ask(path)
        assert (status, variables.get("WHERE")) == (200, where)

    def test_067_02_others_are_files(self, ask):
        assert ask("/pages/y.txt")[2] == b"the file itself\n"

    def test_067_03_no_match(self, env):
        assert env.curl_get(env.mkurl("/match/x")).response["status"] == 404

    def test_067_04_directory_index(self, ask, runs):
        status, variables, _ = ask("/pages/index/")
        assert status == 200
        assert runs() == 1
        assert variables["SCRIPT_NAME"] == "/pages/index/start.run"

    def test_067_05_path_info_behind_an_alias(self, ask):
        status, variables, _ = ask("/pages/script.run/more/path?q=1")
        assert status == 200
        assert variables["SCRIPT_NAME"] == "/pages/script.run"
        assert variables["PATH_INFO"] == "/more/path"
        assert variables["SCRIPT_FILENAME"].endswith("/pages/script.run")


class TestRedirects:

    def test_067_10_front_controller(self, ask, runs):
        status, variables, _ = ask("/pages/front/basket/7?page=2")
        assert status == 200
        assert runs() == 1
        assert variables["SCRIPT_NAME"] == "/pages/script.run"
        assert variables["PATH_INFO"] == "/basket/7"
        assert variables["REQUEST_URI"] == "/pages/front/basket/7?page=2"
        assert variables["REDIRECT_URL"] == "/pages/front/basket/7"
        assert variables["QUERY_STRING"] == "page=2"

    def test_067_11_error_document(self, env, ask, runs):
        status, variables, _ = ask("/guarded/x")
        assert status == 403
        assert runs() == 1
        assert variables["WHERE"] == "sorry"
        assert variables["REDIRECT_STATUS"] == "403"
        assert variables["REDIRECT_URL"] == "/guarded/x"
        env.httpd_error_log.ignore_recent(["AH01630"])

    def test_067_12_include(self, env):
        r = env.curl_get(env.mkurl("/pages/page.shtml"))
        assert r.outraw == b"before Hello from C\n after\n"

    def test_067_13_error_document_of_a_guest_that_failed(self, env, ask, runs):
        status, variables, _ = ask("/broken?unreachable")
        assert status == 500
        assert variables["WHERE"] == "sorry"
        assert variables["REDIRECT_STATUS"] == "500"
        assert variables["REDIRECT_URL"] == "/broken"
        assert variables["REDIRECT_QUERY_STRING"] == "unreachable"
        assert runs() == 1
        env.httpd_error_log.ignore_recent(["AH10937"])

    def test_067_14_local_redirect(self, env, ask, runs):
        """The target gets no body, however the first guest got one."""
        answer = "Location: /pages/script.run?next\n\n"
        for query, options in (("", []), (f"?{quote(answer)}", ["-H", "Transfer-Encoding: chunked"])):
            r = env.curl_post_data(env.mkurl(f"/raw{query}"), answer, options=options)
            variables = [line for line in r.outraw.split(b"\0") if line.startswith(b"env ")]
            assert b"env QUERY_STRING=next" in variables
            assert b"env REQUEST_METHOD=GET" in variables
            assert b"env REDIRECT_URL=/raw" in variables
            assert not [each for each in variables
                        if each.startswith((b"env CONTENT_LENGTH", b"env HTTP_TRANSFER_ENCODING"))]
        assert runs() == 4


class TestSubrequests:

    def test_067_30_multiviews(self, env, ask, runs):
        status, variables, _ = ask("/pages/views/page")
        assert status == 200
        assert variables["SCRIPT_NAME"] == "/pages/views/page.run"
        assert runs() == 1

    def test_067_31_multiviews_choose_a_file(self, env, runs):
        """What is only looked at is not run."""
        r = env.curl_get(env.mkurl("/pages/views/both"), options=["-H", "Accept: text/html"])
        assert r.outraw == b"the file itself\n"
        assert runs() == 0

    def test_067_32_directory_listing(self, env, runs):
        r = env.curl_get(env.mkurl("/pages/views/"))
        assert b"page.run" in r.outraw
        assert runs() == 0

    def test_067_33_sizes_and_dates(self, env, runs):
        r = env.curl_get(env.mkurl("/pages/looks.shtml"))
        assert r.outraw.split()[0] == b"16"   # what lies there, not what it would say
        assert b"error" not in r.outraw
        assert runs() == 0

    def test_067_34_included_twice(self, env, runs):
        assert env.curl_get(env.mkurl("/pages/twice.shtml?zero")).outraw == b"1 one 2 two 3\n"
        assert runs() == 2

    def test_067_35_included_one_fails(self, env):
        r = env.curl_get(env.mkurl("/pages/bad.shtml"))
        assert r.response["status"] == 200
        assert re.fullmatch(rb"before .*error occurred.* after\n", r.outraw)
        assert env.curl_get(env.mkurl("/hello")).outraw == b"Hello from C\n"
        env.httpd_error_log.ignore_recent(["AH10937", "unable to include"])


class TestAccessLog:

    @pytest.fixture
    def logged(self, env):
        def last(path):
            assert env.curl_get(env.mkurl(path)).response["status"] == 200
            with open(os.path.join(env.server_logs_dir, "wasm_log"), encoding="utf-8") as log:
                return [line.split() for line in log if line.startswith(f"{path} ")][-1]
        return last

    def test_067_20_what_a_run_took(self, logged):
        line = logged("/match/18")
        assert line[1] == "exited"
        assert line[2].isdigit()
        assert int(line[3]) >= 65536

    @pytest.mark.parametrize("path, logs", [("/match/19", "HTTP/1.1"), ("/hello", "-")])
    def test_067_21_variables_if_the_guest_asks(self, logged, path, logs):
        assert logged(path)[4] == logs

    def test_067_22_an_included_run_does_not_count_as_the_one_around_it(self, env, logged):
        assert logged("/including")[1] == "exited"
        env.httpd_error_log.scan_recent("output_flood.wasm wrote too much")
        env.httpd_error_log.ignore_recent(["AH10940"])
