# SPDX-License-Identifier: Apache-2.0
"""Everything at once for a while: good guests, bad guests and bad clients, in a
server of each MPM. What the processes hold does not grow.

SOAK is for how many seconds; `make soak` takes ten minutes."""

import os
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from pyhttpd.conf import HttpdConf
from reliability import GOOD_BODY, Load, holdings, record, record_soak

SECONDS = int(os.environ.get("SOAK", "60"))
PHASES = 6   # after each the load pauses and processes are looked at
MPMS = ["event", "worker", "prefork"]

HOSTILE = {"unreachable": 500, "out_of_bounds": 500, "stack_overflow": 500, "bad_calls": 500, "table_grow": 500,
           "memory_grow": 500, "endless_loop": 504, "sleep_forever": 504, "many_opens": 500, "exit_1": 502,
           "header_flood": 502, "split_response": 502, "stderr_rubbish": 502, "output_flood": 200,
           "start_trap": 500, "calls_at_the_end": 200}

# A place that a module had not used yet takes three mappings for its memory and one for
# its table. How many of one module run and wait at once is left to chance: two more of
# each may come. One mapping lost with each bad request would be more in ten minutes.
MODULES = len(HOSTILE) + 4
MORE_MAPPINGS = MODULES * 2 * 4


@pytest.fixture(scope="module")
def servers(make_env, paths):
    made = []
    for mpm in MPMS:
        env = make_env(f"soak-{mpm}", mpm=mpm, processes=8 if mpm == "prefork" else 2)
        data = os.path.join(env.server_dir, "data")
        with open(os.path.join(data, "file"), "w"):
            pass
        conf = HttpdConf(env)
        conf.add(["LogLevel warn wasm:info", "MinSpareThreads 1" if mpm != "prefork" else "MinSpareServers 1"])
        conf.add_wasm("/good", f"{paths.guests}/hello.wasm")
        conf.add_wasm("/echo", f"{paths.test_guests}/echo.wasm")
        conf.add([f'Alias "/php" "{paths.site}/php"', f'<Directory "{paths.site}/php">',
                  "    Require all granted", "    AddHandler wasm-handler .php",
                  f'    WasmModule "{paths.guests}/php-cgi.wasm"',
                  f'    WasmMapDir /app "{paths.site}/php" ro', "    WasmEnableCGI On",
                  "    WasmMapCGIFileNames On", "</Directory>"])
        conf.add_wasm("/endless", f"{paths.test_guests}/hostile/endless_answer.wasm", "WasmTimeout 120")
        for name, status in HOSTILE.items():
            conf.add_wasm(f"/{name}", f"{paths.test_guests}/hostile/{name}.wasm", f'WasmMapDir /data "{data}"',
                          f"WasmTimeout {1 if status == 504 else 60}", "WasmMemoryLimit 64M", "WasmOutputLimit 10M", "WasmMaxDescriptors 64")
        conf.install()
        made.append(env)
    for env in made:
        assert env.apache_restart() == 0, env.stderr + "\n".join(env.httpd_error_log.recent())
    yield made
    for env in made:
        assert env.apache_stop() == 0
        env.check_error_log()


class Mixture:
    """Goes through good guests, bad guests and bad clients until it is told to pause."""

    BODY = b"x" * 1_000_000

    def __init__(self, env):
        self.env = env
        self.counts = SimpleNamespace(good=0, guests=0, clients=0)
        self.wrong = []

    def sound(self):
        r = self.env.curl_post_data(self.env.mkurl("/echo?body"), self.BODY)
        self.expect(r.outraw == self.BODY, r)
        r = self.env.curl_get(self.env.mkurl("/php/hello.php"))
        self.expect(r.response and r.response["status"] == 200, r)
        self.counts.good += 2

    def guests(self):
        for name, status in HOSTILE.items():
            r = self.env.curl_get(self.env.mkurl(f"/{name}"))
            self.expect(r.response and r.response["status"] == status, r)
            self.counts.guests += 1

    def clients(self):
        head = "HTTP/1.1\r\nHost: a\r\n"
        for request, wait in [(f"POST /echo {head}Content-Length: 100000\r\n\r\nx", False),
                              (f"POST /echo {head}Transfer-Encoding: chunked\r\n\r\nzz\r\n", True),
                              (f"GET /endless?compute {head}\r\n", True),
                              (f"GET /endless?write {head}\r\n", True),
                              (f"GET /endless/silent?sleep {head}\r\n", False),
                              (f"GET /endless/silent?compute {head}\r\n", "half"),
                              (f"GET /good {head}X: {'x' * 65536}\r\n\r\n", True),
                              (f"GET /good {head}\r\n" * 20, False)]:
            try:
                with socket.create_connection(("127.0.0.1", self.env.http_port), timeout=60) as connection:
                    connection.sendall(request.encode())
                    if wait == "half":
                        connection.shutdown(socket.SHUT_WR)
                    if wait:
                        connection.recv(100)
            except ConnectionError:
                pass
            self.counts.clients += 1

    def expect(self, condition, what):
        if not condition:
            self.wrong.append(str(what)[:1000])

    def run(self, until):
        def repeat(step):
            while time.monotonic() < until and not self.wrong:
                step()
                time.sleep(0.05)   # the load is to have its share

        threads = [threading.Thread(target=repeat, args=[step]) for step in (self.sound, self.guests, self.clients)]
        for thread in threads:
            thread.start()
        return threads


def warm_up(env):
    """What is kept is filled: what modules are rewound to, each thread's stack to its limit
    once, the instances that wait, and beside these as many places as there are threads.
    Left to chance it takes longer than ten minutes."""
    threads = env.children * (1 if env.mpm == "prefork" else env.threads)
    quick = [f"/{name}" for name, status in HOSTILE.items() if status != 504]
    loads = [(path, env.children, 4) for path in quick]
    loads += [(path, threads, 20) for path in ("/stack_overflow", "/table_grow", "/good", "/php/hello.php")]
    for path, clients, times in loads:
        r = env.run(["ab", "-q", "-r", "-n", str(times * clients), "-c", str(clients), env.mkurl(path)])
        assert r.exit_code == 0, r


def test_150_01_flat(servers):
    for env in servers:
        warm_up(env)
    mixtures = {env: Mixture(env) for env in servers}
    requests, lost = dict.fromkeys(servers, 0), dict.fromkeys(servers, 0)
    held = {env: [] for env in servers}
    pids = {env: sorted(env.child_pids()) for env in servers}
    for _ in range(PHASES):
        end = time.monotonic() + SECONDS / PHASES
        loads = {env: Load(env.mkurl("/good")) for env in servers}
        for thread in [thread for env in servers for thread in mixtures[env].run(end)]:
            thread.join()
        for env, load in loads.items():
            result = load.stop()
            requests[env] += result.requests
            lost[env] += result.lost
            assert result.lost == 0, result.output
        time.sleep(1.5)   # guests whose clients are gone end
        for env in servers:
            assert sorted(env.child_pids()) == pids[env]
            held[env].append({pid: holdings(pid) for pid in pids[env]})
    for env in servers:
        mixture = mixtures[env]
        assert not mixture.wrong
        assert env.curl_get(env.mkurl("/good")).outraw == GOOD_BODY
        env.httpd_error_log.ignore_recent(["AH00286", r"hostile/\w+\.wasm", r"\[core:error\]", r"\[http:error\]", r"echo\.wasm"])
        counts = mixture.counts
        record(env.mpm, f"soak of {SECONDS} s: bad guests and bad clients", counts.guests + counts.clients,
               requests[env] + counts.good, lost[env])
        record_soak(env.mpm, SECONDS, held[env])
    # The first phases fill the rest of what is kept, such as heaps of threads.
    for env in servers:
        before, after = held[env][1], held[env][-1]
        for pid in pids[env]:
            was, now = before[pid], after[pid]
            assert now.threads == was.threads
            assert now.descriptors <= was.descriptors + 8      # connections that are kept alive
            assert now.mappings <= was.mappings + MORE_MAPPINGS
            assert now.address_kib <= was.address_kib + 65536
            assert now.memory_kib <= was.memory_kib + 8192
