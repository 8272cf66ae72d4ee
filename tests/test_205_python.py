# SPDX-License-Identifier: Apache-2.0
"""Python with a start image, in a real server: an application of WSGI that is imported once,
when the image is made."""

import concurrent.futures
import json
import os
import shutil
import urllib.error
import urllib.request

import pytest
from pyhttpd.conf import HttpdConf

START_SECONDS = 600   # a start compiles Python once, and once more for the image
CLIENTS = 16
REQUESTS = 800

APPLICATION = '''
import os, random, secrets
import start_image

count = 0
made_in = os.environ.get("REQUEST_METHOD", "the image")
begun = []
start_image.register(lambda: begun.append(os.environ["PATH_INFO"]))

class Endless:
    def __getattr__(self, name):
        return getattr(self, name + "a")

def application(environ, start_response):
    global count
    count += 1
    if environ["PATH_INFO"] == "/fails":
        raise RuntimeError("told to fail")
    if environ["PATH_INFO"] == "/deep":
        try:
            Endless().a
        except RecursionError as error:
            begun.append(str(error))
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "application/json")])
    import json
    yield json.dumps({"count": count, "made in": made_in, "begun": begun, "query": environ["QUERY_STRING"],
                      "environ": os.environ["QUERY_STRING"], "given": os.environ["GIVEN"], "body": body.decode(),
                      "tokens": [random.random(), secrets.token_hex()]}).encode()
'''

SCRIPT = '''
from wsgiref.handlers import CGIHandler
from application import application
CGIHandler().run(application)
'''


@pytest.fixture(scope="module")
def env(make_env, mpm, work_dir, paths):
    if not os.path.exists(f"{paths.guests}/cpython"):
        pytest.skip("no CPython: make python-guest")
    folder = os.path.join(work_dir, f"python-{mpm}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name, text in (("application.py", APPLICATION), ("cgi.py", SCRIPT)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    server = make_env(f"python-{mpm}", mpm=mpm)
    conf = HttpdConf(server)
    for route, snapshot in (("/app", "On"), ("/plain", "Off")):
        conf.add([f"<Location {route}>", "    SetHandler wasm-handler", f"    WasmModule {paths.guests}/cpython/python.wasm",
                  "    WasmArg /app/cgi.py", f"    WasmMapDir /python {paths.guests}/cpython ro", f"    WasmMapDir /app {folder} ro",
                  '    WasmEnv PYTHON_PRELOAD "application wsgiref.handlers"', "    WasmEnv GIVEN ä", "    WasmEnableCGI On",
                  f"    WasmSnapshot {snapshot}", "</Location>"])
    conf.install()
    assert server.apache_restart(timeout=START_SECONDS) == 0, \
        server.stderr + "\n".join(server.httpd_error_log.recent())
    server.check_error_log()   # it says so when a route has no image
    yield server
    assert server.apache_stop() == 0
    server.check_error_log()


def ask(env, path, body=None):
    with urllib.request.urlopen(env.http_base_url + path, body, timeout=300) as response:
        return json.load(response)


class TestPython:

    def test_205_01_the_application_is_in_the_image(self, env):
        answer = ask(env, "/app/one?a=b")
        assert answer.pop("tokens") and answer == {
            "count": 1, "made in": "the image", "begun": ["/one"], "query": "a=b", "environ": "a=b", "given": "ä", "body": ""}

    def test_205_02_the_same_without_an_image(self, env):
        answer = ask(env, "/plain/one?a=b", b"c" * 100000)
        assert answer.pop("tokens") and answer == {
            "count": 1, "made in": "POST", "begun": [], "query": "a=b", "environ": "a=b", "given": "ä", "body": "c" * 100000}

    def test_205_03_no_request_sees_another(self, env):
        def work(number):
            body = None if number % 3 else f"body {number} ".encode() * (number * 37 % 5000)
            return number, body, ask(env, f"/app/{number}?n={number}", body)

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(work, range(REQUESTS)))
        tokens = set()
        for number, body, answer in answers:
            tokens.update(answer.pop("tokens"))
            assert answer == {"count": 1, "made in": "the image", "begun": [f"/{number}"], "query": f"n={number}",
                              "environ": f"n={number}", "given": "ä", "body": (body or b"").decode()}
        assert len(tokens) == 2 * REQUESTS

    def test_205_04_recursion_ends_with_an_error(self, env):
        assert "maximum recursion depth exceeded" in ask(env, "/app/deep")["begun"][1]

    def test_205_05_a_failure_is_in_the_log(self, env):
        with pytest.raises(urllib.error.HTTPError) as failure:
            ask(env, "/app/fails")
        assert failure.value.code == 500
        env.httpd_error_log.scan_recent("RuntimeError: told to fail")
        env.httpd_error_log.ignore_recent([r"AH10\d+: .*", "RuntimeError"])
        assert ask(env, "/app/after")["count"] == 1
