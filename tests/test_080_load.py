# SPDX-License-Identifier: Apache-2.0
"""Many requests at once: none fails, and the log stays silent."""

import http.client
import re
import threading

import pytest
from pyhttpd.conf import HttpdConf


@pytest.fixture(scope="module", params=["event", "worker"])
def mpm(request):
    return request.param


@pytest.fixture(scope="module")
def server_options():
    # A process whose threads are all busy closes idle keep-alive connections,
    # which ab counts as failures: no process may get more than it has threads.
    return {"threads": 32}


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        conf.add_wasm("/slow", f"{paths.test_guests}/slow.wasm")
        conf.add_wasm("/hello", f"{paths.guests}/hello.wasm")
        conf.add([f'Alias "/php" "{paths.site}/php"', f'<Directory "{paths.site}/php">',
                  "    Require all granted", "    AddHandler wasm-handler .php",
                  f'    WasmModule "{paths.guests}/php-cgi.wasm"',
                  f'    WasmMapDir /app "{paths.site}/php" ro', "    WasmEnableCGI On",
                  "    WasmMapCGIFileNames On", "</Directory>"])
        # So that the server has nothing to say of its spare threads.
        conf.add(["MinSpareThreads 1"])
        # Nor of descriptors, which so many threads with guests might run out of.
        conf.add(["WasmMaxInstances 32"])
    return add


@pytest.mark.parametrize("path, length", [("/hello", 13), ("/php/hello.php", 21)])
@pytest.mark.parametrize("options", [[], ["-k"]], ids=["close", "keep-alive"])
def test_080_01_ab(env, path, length, options):
    before = sorted(env.child_pids())
    r = env.run(["ab", "-q", "-n", "2000", "-c", "20"] + options + [env.mkurl(path)], timeout=300)
    assert r.exit_code == 0, r
    found = dict(re.findall(r"^([A-Z][^:\n]*):\s+(\S+)", r.stdout, re.M))
    assert found["Complete requests"] == "2000"
    assert found["Failed requests"] == "0", r.stdout
    assert "Non-2xx responses" not in found
    assert found["HTML transferred"] == str(2000 * length)
    assert sorted(env.child_pids()) == before
    loud = [line for line in env.httpd_error_log.recent()
            if not re.search(r"\[[^]:]*:(info|debug|trace\d)\]", line)
            # What a server says when it has started comes a moment after it answers.
            and not re.search("AH00094|resuming normal operations", line)]
    assert loud == []


def test_080_02_length_of_a_short_response(env):
    """A response is not cut into chunks because its guest waits for a processor."""
    lengths = []

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", env.http_port, timeout=120)
        connection.request("GET", "/slow?busy")
        response = connection.getresponse()
        lengths.append((response.getheader("Content-Length"), response.read()))

    threads = [threading.Thread(target=ask) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == [("5", b"busy\n")] * 60
