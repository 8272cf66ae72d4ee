# SPDX-License-Identifier: Apache-2.0
"""Processes come and go; requests do not notice, and nothing is left behind.

RESTARTS is for how many seconds the server is restarted each second, CHILDREN how many
children are replaced: few in `make test`, many in `make test-restarts`."""

import os
import re
import signal
import socket
import threading
import time

import pytest
from pyhttpd.conf import HttpdConf
from reliability import GOOD_BODY, Load, holdings, record, wait_for

SECONDS = int(os.environ.get("RESTARTS", "10"))
CHILDREN = int(os.environ.get("CHILDREN", "60"))

# What the server itself says of signals and of processes that end.
SIGNALS = [r"AH0(0493|0492|0171|0170|0297|0296|0295|0294|0170|0052|0051|0045|0046|0489|0163|0094)",
           r"AH0(9|3)\d{3}.*(gracefully|restart)"]


@pytest.fixture
def serve(make_env, paths, mpm, request):
    made = []

    def start(*lines, processes=None):
        env = make_env(re.sub(r"\W+", "-", request.node.name), mpm=mpm,
                       processes=processes or (12 if mpm == "prefork" else 2))
        conf = HttpdConf(env)
        conf.add(["LogLevel warn wasm:info", "GracefulShutdownTimeout 60",
                  # Room for old processes beside their successors.
                  f"ServerLimit {20 * env.children}", *lines])
        conf.add_wasm("/good", f"{paths.guests}/hello.wasm")
        conf.add_wasm("/echo", f"{paths.test_guests}/echo.wasm")
        conf.add_wasm("/fault", f"{paths.test_guests}/fault.wasm")
        conf.add_wasm("/endless", f"{paths.test_guests}/hostile/endless_answer.wasm", "WasmTimeout 120")
        conf.add_wasm("/gate", f"{paths.test_guests}/gate.wasm",
                      f'WasmMapDir /gate "{env.server_dir}/data"', "WasmTimeout 120")
        conf.install()
        assert env.apache_restart() == 0, env.stderr + "\n".join(env.httpd_error_log.recent())
        made.append(env)
        return env

    yield start
    for env in made:
        if env._process is not None:
            assert env.apache_stop() == 0
        env.check_error_log()


def group(env):
    """The processes of a server's session, its parent among them."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == env._process.pid and fields[0] != "Z":
            found.append(int(pid))
    return found


def settle(env):
    """Waits until all processes but the parent are new ones, and no old one
    is left; gives the parent's holdings."""
    assert env.apache_reload(timeout=120) == 0
    wait_for(lambda: sorted(group(env)) == sorted(env.child_pids() + [env._process.pid]), timeout=120)
    return holdings(env._process.pid)


class TestRestarts:

    def test_140_01_graceful_every_second(self, serve, mpm):
        env = serve()
        before = settle(env)
        restarts = 0
        with Load(env.mkurl("/good")) as load:
            for _ in range(SECONDS):
                env._process.send_signal(signal.SIGUSR1)
                restarts += 1
                time.sleep(1)
                assert env._process.poll() is None
            result = load.stop()
        assert result.lost == 0, result.output
        after = settle(env)
        assert env.curl_get(env.mkurl("/good")).outraw == GOOD_BODY
        assert (after.threads, after.descriptors) == (before.threads, before.descriptors)
        assert after.mappings <= before.mappings + 3
        assert after.address_kib <= before.address_kib + 1024
        assert after.memory_kib <= before.memory_kib + 1024
        env.httpd_error_log.ignore_recent(SIGNALS)
        record(mpm, "graceful restart, each second", restarts, result.requests, result.lost)

    def test_140_02_requests_survive_a_graceful_restart(self, serve, mpm):
        """Guests that run when it comes run on, in the old processes."""
        env = serve()
        answers, threads = self.ask_at_the_gate(env)
        log = os.path.join(env.server_logs_dir, "access_log")
        env._process.send_signal(signal.SIGUSR1)
        wait_for(lambda: env.curl_get(env.mkurl("/good")).outraw == GOOD_BODY)
        assert "/gate" not in open(log).read()
        open(os.path.join(env.server_dir, "data/open"), "w").close()
        for thread in threads:
            thread.join()
        assert [len(r.outraw) for r in answers] == [100000] * 4
        settle(env)
        env.httpd_error_log.ignore_recent(SIGNALS)

    def test_140_03_graceful_stop(self, serve, mpm):
        env = serve()
        answers, threads = self.ask_at_the_gate(env)
        pids = group(env)
        process = env._process
        process.send_signal(signal.SIGWINCH)
        wait_for(lambda: not self.listens(env))
        open(os.path.join(env.server_dir, "data/open"), "w").close()
        for thread in threads:
            thread.join()
        assert [len(r.outraw) for r in answers] == [100000] * 4
        assert process.wait(timeout=90) == 0
        assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
        env._process = None
        env.httpd_error_log.ignore_recent(SIGNALS)

    def test_140_04_stop_at_once(self, serve, mpm):
        """A plain stop does not wait for guests that have two minutes to go."""
        env = serve()
        connections = []
        for doing in ("compute", "sleep"):
            connection = socket.create_connection(("127.0.0.1", env.http_port))
            connection.sendall(f"GET /endless?{doing} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert connection.recv(10)
            connections.append(connection)
        pids = group(env)
        assert env.apache_stop() == 0   # waits for half a minute at most
        assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
        env.httpd_error_log.ignore_recent(SIGNALS)

    @staticmethod
    def listens(env):
        try:
            socket.create_connection(("127.0.0.1", env.http_port), timeout=5).close()
            return True
        except OSError:
            return False

    @classmethod
    def ask_at_the_gate(cls, env):
        """Requests whose guests run until the file `open` appears."""
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            env.curl_get(env.mkurl("/gate?bytes=100000")))) for _ in range(4)]
        for thread in threads:
            thread.start()
        cls.wait_until_running(env, len(threads))
        return answers, threads

    @staticmethod
    def wait_until_running(env, count):
        """Waits until so many guests look for their gate: each of them opens
        the directory at its first look."""
        def running():
            found = 0
            for pid in env.child_pids():
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    try:
                        found += os.readlink(f"/proc/{pid}/fd/{fd}") == f"{env.server_dir}/data"
                    except FileNotFoundError:
                        pass
            return found >= count

        wait_for(running)


class TestChildren:

    def test_140_20_replaced_all_the_time(self, serve, mpm):
        """MaxConnectionsPerChild: each child serves a few requests and goes.
        No request is lost, and the parent holds nothing of them."""
        if mpm == "prefork":
            env = serve("MaxConnectionsPerChild 50")
        else:
            env = serve("MaxConnectionsPerChild 100", processes=8)
        before = settle(env)
        seen = set(env.child_pids())
        with Load(env.mkurl("/good")) as load:
            end = time.monotonic() + 600
            while len(seen) < CHILDREN and time.monotonic() < end:
                seen |= set(env.child_pids())
                env.curl_get(env.mkurl("/fault?unreachable"))
                time.sleep(0.02)
            result = load.stop()
        assert len(seen) >= CHILDREN
        assert result.lost == 0, result.output
        after = wait_for(lambda: holdings(env._process.pid))
        wait_for(lambda: len(group(env)) <= env.children + 1, timeout=120)
        assert after.threads == before.threads
        assert abs(after.descriptors - before.descriptors) <= 2
        assert after.mappings <= before.mappings + 3
        assert after.address_kib <= before.address_kib + 1024
        assert after.memory_kib <= before.memory_kib + 1024
        env.httpd_error_log.ignore_recent(SIGNALS + [r"fault\.wasm"])
        record(mpm, "child replaced", len(seen), result.requests, result.lost)

    def test_140_21_killed(self, serve, mpm):
        """What the kernel kills takes its own requests along, at most as many
        as it served at that moment."""
        env = serve()
        settle(env)
        kills = 5
        with Load(env.mkurl("/good")) as load:
            for _ in range(kills):
                victim = env.child_pids()[0]
                os.kill(victim, signal.SIGKILL)
                wait_for(lambda: len(env.child_pids()) == env.children and victim not in env.child_pids())
            result = load.stop()
        most = 1 if mpm == "prefork" else Load.CONNECTIONS
        assert result.lost <= kills * most, result.output
        assert result.requests > kills * most
        settle(env)
        env.httpd_error_log.ignore_recent(SIGNALS)
        record(mpm, "child killed by SIGKILL", kills, result.requests, result.lost)

    def test_140_22_flat(self, serve, mpm):
        """After many requests, good and bad, a child holds what it held after
        the first hundreds."""
        env = serve(processes=1)
        urls = [env.mkurl(path) for path in ("/good", "/fault?unreachable", "/fault?bounds", "/fault?overflow",
                                             "/echo")]

        def rounds(count, clients=8):
            for url in urls:
                r = env.run(["ab", "-q", "-n", str(count), "-c", str(clients), url])
                assert r.exit_code == 0, r

        def held():
            return {pid: holdings(pid) for pid in env.child_pids()}

        # As many clients as threads: each thread's stack shall have been as deep as it gets.
        rounds(3000, clients=16)
        before = held()
        rounds(6000)
        after = held()
        assert before.keys() == after.keys()
        for pid in before:
            assert after[pid].threads == before[pid].threads
            assert abs(after[pid].descriptors - before[pid].descriptors) <= 8   # connections
            # A place that a module had not used yet takes a few, a thread that was idle until
            # then a megabyte; 6,000 runs of each kind that leaked would show.
            assert after[pid].mappings <= before[pid].mappings + 64
            assert after[pid].address_kib <= before[pid].address_kib + 65536
            assert after[pid].memory_kib <= before[pid].memory_kib + 8192
        env.httpd_error_log.ignore_recent([r"fault\.wasm"])
