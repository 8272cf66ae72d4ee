# SPDX-License-Identifier: Apache-2.0
"""Guests and the rest of the server: sections, rewriting, includes, errors."""

import os

import pytest


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
        for name in ("x.txt", "y.txt", "script.run", "index/start.run"):
            with open(f"{docs}/{name}", "w", encoding="utf-8") as out:
                out.write("the file itself\n")
        with open(f"{docs}/page.shtml", "w", encoding="utf-8") as out:
            out.write('before <!--#include virtual="/hello" --> after\n')
        conf.add(f'LoadModule include_module "{env.libexec_dir}/mod_include.so"')
        conf.add(f'''
Define env_module "{paths.test_guests}/env.wasm"
LogFormat "%U %{{WASM_OUTCOME}}e %{{WASM_RUN_US}}e %{{WASM_MEMORY}}e" wasm
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
    DirectoryIndex start.run
</Directory>
<Directory "{docs}/front">
    RewriteEngine On
    RewriteRule "^(.*)$" "/pages/script.run/$1" [QSA,L]
</Directory>
<Files "page.shtml">
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

    def test_067_04_directory_index(self, ask):
        status, variables, _ = ask("/pages/index/")
        assert status == 200
        assert variables["SCRIPT_NAME"] == "/pages/index/start.run"

    def test_067_05_path_info_behind_an_alias(self, ask):
        status, variables, _ = ask("/pages/script.run/more/path?q=1")
        assert status == 200
        assert variables["SCRIPT_NAME"] == "/pages/script.run"
        assert variables["PATH_INFO"] == "/more/path"
        assert variables["SCRIPT_FILENAME"].endswith("/pages/script.run")


class TestRedirects:

    def test_067_10_front_controller(self, ask):
        status, variables, _ = ask("/pages/front/basket/7?page=2")
        assert status == 200
        assert variables["SCRIPT_NAME"] == "/pages/script.run"
        assert variables["PATH_INFO"] == "/basket/7"
        assert variables["REQUEST_URI"] == "/pages/front/basket/7?page=2"
        assert variables["REDIRECT_URL"] == "/pages/front/basket/7"
        assert variables["QUERY_STRING"] == "page=2"

    def test_067_11_error_document(self, env, ask):
        status, variables, _ = ask("/guarded/x")
        assert status == 403
        assert variables["WHERE"] == "sorry"
        assert variables["REDIRECT_STATUS"] == "403"
        assert variables["REDIRECT_URL"] == "/guarded/x"
        env.httpd_error_log.ignore_recent(["AH01630"])

    def test_067_12_include(self, env):
        r = env.curl_get(env.mkurl("/pages/page.shtml"))
        assert r.outraw == b"before Hello from C\n after\n"


class TestAccessLog:

    def test_067_20_what_a_run_took(self, env):
        assert env.curl_get(env.mkurl("/match/18")).response["status"] == 200
        with open(os.path.join(env.server_logs_dir, "wasm_log"), encoding="utf-8") as log:
            (line,) = [line.split() for line in log if line.startswith("/match/18 ")]
        assert line[1] == "exited"
        assert line[2].isdigit()
        assert int(line[3]) >= 65536
