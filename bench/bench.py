#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures mod_wasm against its peers, side by side on this machine.

Everything is measured in rounds: in each, one peer after the other, in one
order and then in the reverse. What is reported are ratios within a round, as
median and spread over the rounds, since absolute numbers depend on the machine
and on what else it does.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import load
import report
from peers import GUESTS, Httpd, PhpFpm, Site, children_of, find_mod_php, php_ini
from wordpress import WordPress

BENCH = Path(__file__).resolve().parent
TOP = BENCH.parent
BUILD = TOP / "build" / "bench"
MIB = 1 << 20

# Peers that answer some tens of requests a second.
SLOW = ("/wasm-python", "/wasm-cpython", "/cgi/hello.py", "/wasm-ruby")
WORDPRESS = [base + what for what in (WordPress.BOOTSTRAP, "") for base in (WordPress.WASM, WordPress.FPM)]


def say(text):
    print(text, file=sys.stderr, flush=True)


def groups_of(plan):
    """Peers with the same MPM and number of connections: (connections, [(server, path)])."""
    groups = {}
    for server, path, connections in plan:
        groups.setdefault((server.mpm, connections), []).append((server, path))
    return [(connections, peers) for (_, connections), peers in groups.items()]


class Bench:
    def __init__(self, arguments):
        self.quick = arguments.quick
        self.rounds = arguments.rounds or (3 if self.quick else 5)
        self.seconds = arguments.seconds or (1 if self.quick else 2)
        self.big = (256 if self.quick else 1024) * MIB
        self.only = arguments.only
        self.run = Path(tempfile.mkdtemp(prefix="mod_wasm-bench."))
        self.run.chmod(0o755)
        self.release = Path(arguments.release).resolve()
        self.guests = TOP / "build" / "guests"
        self.servers = []
        self.missing = []
        # What is found: see report.py for what it makes of these.
        self.found = {"rates": [], "ab": [], "bodies": [], "start": {}, "memory": {}, "ttfb": {},
                      "host": {}, "wordpress": {}, "missing": self.missing, "rounds": self.rounds,
                      "seconds": self.seconds, "big": self.big}

    def wants(self, part):
        return not self.only or part in self.only

    def close(self):
        for server in reversed(self.servers):
            server.stop()
        shutil.rmtree(self.run, ignore_errors=True)

    def add(self, server):
        self.servers.append(server)
        return server

    def prepare(self):
        self.site = Site(self.run, self.release, self.guests, BUILD, BENCH)
        site = self.site
        static = ["dir"]
        four = ("hello", "php", "python", "ruby")
        self.bare = self.add(Httpd(self.run / "bare", "event", static, site.static()))
        self.four = self.add(Httpd(self.run / "four", "event", [*static, site.wasm_module],
                                   site.static() + site.wasm(four)))
        try:
            self.fpm = self.add(PhpFpm(self.run / "fpm"))
        except FileNotFoundError as missing:
            self.fpm = None
            self.missing.append(str(missing))
        guests = GUESTS
        if site.has_php_guest:
            guests = (*guests, "php84", "warmphp")
        else:
            self.missing.append("the PHP 8.4 guest (make php-guest)")
        if site.has_python_guest:
            guests = (*guests, "cpython", "warmcpython")
        else:
            self.missing.append("the Python 3.13 guest (make python-guest)")
        everything = site.static() + site.native() + site.wasm(guests) + site.cgid()
        modules = [*static, "cgid", site.native_module, site.wasm_module]
        if self.fpm:
            modules += ["proxy", "proxy_fcgi"]
            everything += site.fpm(self.fpm)
        self.event = self.add(Httpd(self.run / "event", "event", modules, everything))
        applications = TOP / "build" / "applications"
        self.wordpress = None
        if self.wants("wordpress") and self.fpm and site.has_php_guest and (applications / "wordpress").exists():
            self.wordpress = WordPress(self.run, applications, TOP / "examples", site.guests)
            self.pages = self.add(Httpd(self.run / "pages", "event", [*static, site.wasm_module, "proxy", "proxy_fcgi"],
                                        site.static() + site.wasm(()) + self.wordpress.configuration(self.fpm)))
        elif self.wants("wordpress"):
            self.missing.append("WordPress (make applications, php-guest; php-fpm with php8.2-sqlite3, php8.2-mbstring)")
        both = site.static() + site.native() + site.wasm(("hello", "php"))
        modules = [*static, site.native_module, site.wasm_module]
        self.worker = self.add(Httpd(self.run / "worker", "worker", modules, both))
        self.prefork = self.add(Httpd(self.run / "prefork", "prefork", modules, both))
        mod_php = find_mod_php(BUILD)
        self.modphp = None
        if mod_php:
            self.modphp = self.add(Httpd(self.run / "modphp", "prefork", [*static, f"php={mod_php}"],
                                         site.static() + site.mod_php()))
            php_ini(self.run / "modphp")
            with open(self.run / "modphp" / "php.ini", "a", encoding="ascii") as ini:
                ini.write("zend_extension=opcache.so\n")
        else:
            self.missing.append("mod_php (Debian: libapache2-mod-php8.2)")

    # -----------------------------------------------------------------------
    # Start and memory

    def measure_start(self):
        """The first start compiles; it has to be done in any case."""
        say("start, with an empty cache")
        cold = self.four.start()
        self.four.stop()
        if not self.wants("start"):
            return
        say("start and memory")
        warm, bare = [], []
        for _ in range(self.rounds + 2):
            bare.append(self.bare.start())
            self.bare.stop()
            warm.append(self.four.start())
            self.four.stop()
        self.found["start"] = {"cold": cold, "warm": warm, "bare": bare}

        self.bare.start()
        self.four.start()
        time.sleep(1)
        memory = {"bare": [load.smaps(p) for p in self.bare.workers()],
                  "idle": [load.smaps(p) for p in self.four.workers()]}
        for name in ("hello", "php", "python", "ruby"):
            load.wrk(self.four.url(f"/wasm-{name}"), 8, 4 if name == "ruby" else 2)
        time.sleep(1)
        memory["used"] = [load.smaps(p) for p in self.four.workers()]
        self.found["memory"] = memory
        self.bare.stop()
        self.four.stop()

    # -----------------------------------------------------------------------
    # Requests a second

    def check_answers(self, server):
        """Peers that are compared must say the same."""
        wasm = load.get(server.port, "/wasm-hello")
        native = load.get(server.port, "/native-hello")
        if wasm != native or wasm[0] != 200 or wasm[2] != b"Hello from C\n":
            raise RuntimeError(f"the guest and the native handler answer differently:\n{wasm}\n{native}")

    def rate(self, server, path, connections, seconds):
        pids = server.workers()
        cpu, faults = load.cpu_seconds(pids), load.faults(pids)
        got = load.wrk(server.url(path), connections, seconds)
        cpu, faults = load.cpu_seconds(pids) - cpu, load.faults(pids) - faults
        requests = got.rate * seconds
        return {"mpm": server.mpm, "path": path, "connections": connections, "rate": got.rate,
                "p50": got.p50, "p99": got.p99,
                "cpu_us": cpu * 1e6 / requests if server.workers() == pids else None,
                "faults": faults / requests if server.workers() == pids else None}

    def measure_rates(self, plan):
        """`plan`: (server, path, connections). Peers of one number of
        connections stand together in it."""
        for number in range(self.rounds):
            say(f"requests a second, round {number + 1} of {self.rounds}")
            for connections, peers in groups_of(plan):
                self.measure_round(number, connections, peers)

    def measure_round(self, number, connections, peers, repeats=1, seconds=None):
        peers = peers if number % 2 == 0 else peers[::-1]
        # Else whoever is first would pay for a server that has had nothing to do for a while: in
        # rounds that it began, C hello had nine tenths of what it had in the others.
        load.wrk(peers[0][0].url(peers[0][1]), connections, 1)
        for repeat in range(repeats):
            for server, path in peers if repeat % 2 == 0 else peers[::-1]:
                each = seconds or self.seconds + (2 if path in SLOW or path in WORDPRESS else 0)
                self.found["rates"].append({"round": number + repeat,
                                            **self.rate(server, path, connections, each)})

    def measure_rates_of_hello(self):
        """Many short rounds more: of a few µs between two peers, and of the longest hundredth of
        requests, five rounds tell little, and what else a machine does changes within seconds."""
        plan = [(server, path, connections) for server in (self.event, self.worker)
                for connections in (8, 64) for path in ("/wasm-hello", "/native-hello")]
        # An odd number at a time, so that each peer is as often the first of them.
        each = 5
        for number in range(self.rounds, self.rounds + 8 * each, each):
            say(f"requests a second of C hello, rounds {number + 1} to {number + each}")
            for connections, peers in groups_of(plan):
                self.measure_round(number, connections, peers, repeats=each, seconds=1)

    def rate_plan(self):
        event = ["/wasm-hello", "/native-hello", "/static/hello.txt"]
        slow = ["/cgi/hello", "/wasm-php"] + (["/fpm"] if self.fpm else []) \
            + (["/wasm-php84", "/wasm-warmphp"] if self.site.has_php_guest else []) \
            + (["/wasm-warmcpython"] if self.site.has_python_guest else [])
        slowest = ["/wasm-python", "/cgi/hello.py"] + (["/wasm-cpython"] if self.site.has_python_guest else [])
        plan = [(self.event, p, 8) for p in event + slow + slowest + ["/wasm-ruby"]]
        if not self.quick:
            plan += [(self.event, p, 1) for p in event + slow + slowest]
        plan += [(self.event, p, 64) for p in event + ([] if self.quick else slow)]
        for connections in (8, 64):
            plan += [(self.worker, p, connections) for p in event[:2]]
            plan += [(self.prefork, p, connections) for p in event[:2]]
        if self.modphp:
            plan += [(self.prefork, "/wasm-php", 8), (self.modphp, "/modphp", 8)]
        return plan

    def measure_ab(self):
        for number in range(self.rounds):
            say(f"ab, round {number + 1} of {self.rounds}")
            peers = ["/wasm-hello", "/native-hello"]
            for path in peers if number % 2 == 0 else reversed(peers):
                for connections in (8,) if self.quick else (1, 8, 64):
                    got = load.ab(self.event.url(path), connections, self.seconds)
                    self.found["ab"].append({"round": number, "path": path,
                                             "connections": connections, "rate": got.rate})

    def measure_wordpress(self):
        """Requests a second, and what a busy worker keeps for itself."""
        say("WordPress: start and set up")
        self.pages.start()
        self.wordpress.install(self.pages.port)
        self.wordpress.check(self.pages.port)
        self.pages.stop()
        self.pages.start()
        idle = load.written(self.pages.workers())
        busy = load.most_written(self.pages.workers(), lambda: load.wrk(self.pages.url(WordPress.WASM), 8, 8))
        fpm = load.most_written(children_of(self.fpm.process.pid),
                                lambda: load.wrk(self.pages.url(WordPress.FPM), 8, 8))
        self.found["wordpress"] = {"idle": idle, "busy": busy, "fpm": fpm}
        for path in WORDPRESS:
            load.wrk(self.pages.url(path), 8, 2)
        self.measure_rates([(self.pages, path, 8) for path in WORDPRESS])
        self.pages.stop()

    # -----------------------------------------------------------------------
    # Time to first byte, bodies

    def measure_ttfb(self):
        say("time to first byte")
        paths = ["/wasm-hello", "/native-hello", "/wasm-php", "/cgi/hello", "/wasm-python",
                 "/cgi/hello.py"] + (["/fpm"] if self.fpm else [])
        times = {path: [] for path in paths}
        connection = load.Connection(self.event.port)
        for number in range(60 if self.quick else 150):
            for path in paths:
                if path.endswith(("python", ".py")) and number >= 30:
                    continue
                times[path].append(connection.get(path)[2])
        connection.close()
        # A body that takes a while to make: does it begin at once?
        for path in ("/wasm-write", "/native-write"):
            times[path] = []
            for _ in range(9):
                connection = load.Connection(self.event.port)
                connection.socket.sendall(f"GET {path}?bytes={100 * MIB} HTTP/1.0\r\n\r\n".encode())
                began = time.perf_counter()
                connection.socket.recv(4096)
                times[path].append((time.perf_counter() - began) * 1e6)
                while connection.socket.recv(MIB):
                    pass
                connection.close()
        self.found["ttfb"] = {path: statistics.median(t) for path, t in times.items()}

    def body(self, kind, size, path, measure, server):
        """One measurement of a body, with what the server used for it."""
        pids = server.workers()
        load.reset_peak(pids)
        before = load.resident(pids, "VmRSS")
        cpu = load.cpu_seconds(pids)
        speed, moved = measure()
        self.found["bodies"].append({
            "kind": kind, "size": size, "path": path, "speed": speed,
            "cpu_per_gib": (load.cpu_seconds(pids) - cpu) / moved * (1 << 30),
            "grown": load.resident(pids, "VmHWM") - before})

    def measure_bodies(self):
        event = self.event
        big_file = self.run / "big"
        with open(big_file, "wb") as f:
            f.truncate(self.big)
        # Whoever sends it first would wait for it to come into memory.
        load.run(["cksum", str(big_file)], 300)
        rounds = max(3, self.rounds - 2)

        def small(path, script):
            got = load.wrk(event.url(path), 8, self.seconds, script)
            return got.rate * MIB, got.rate * self.seconds * MIB

        for number in range(rounds):
            say(f"bodies, round {number + 1} of {rounds}")
            hosts = ("wasm", "native") if number % 2 == 0 else ("native", "wasm")
            for block in (65536, 1024):
                for host in hosts:
                    path = f"/{host}-write"
                    query = f"{path}?bytes={MIB}&block={block}"
                    self.body(f"write{block}", "1 MiB", path,
                              lambda query=query: small(query, None), event)
            for host in hosts:
                path = f"/{host}-read"
                self.body("read", "1 MiB", path,
                          lambda path=path: small(path, BENCH / "post.lua"), event)
            for host in hosts:
                path = f"/{host}-write"
                url = event.url(f"{path}?bytes={self.big}&block=65536")
                self.body("write65536", "big", path,
                          lambda url=url: (load.download(url, self.big), self.big), event)
            for host in hosts:
                path = f"/{host}-read"
                self.body("read", "big", path,
                          lambda path=path: (load.upload(event.url(path), big_file, self.big),
                                             self.big), event)

    # -----------------------------------------------------------------------
    # The host of WASI

    def measure_host(self):
        module = str(self.site.guests / "hello.wasm")
        ours = [str(BUILD / "host_bench"), module, str(self.run / "host-cache"),
                str(self.release / "wasmctl"), "50000"]
        theirs = [str(BUILD / "wasi_bench"), module, "10000"]
        commands = {"ours": ours}
        if (BUILD / "wasi_bench").exists():
            commands["wasmtime"] = theirs
        else:
            self.missing.append("Wasmtime's own WASI (bench/Makefile, target wasi)")
        for number in range(self.rounds):
            say(f"hosts of WASI, round {number + 1} of {self.rounds}")
            for name, command in sorted(commands.items(), reverse=bool(number % 2)):
                self.found["host"].setdefault(name, []).append(
                    float(load.run(command, 120)) / 1000)

    # -----------------------------------------------------------------------

    def describe_machine(self):
        cpuinfo = Path("/proc/cpuinfo").read_text()
        model = re.search(r"^model name\s*:\s*(.*)$", cpuinfo, re.M)
        version = subprocess.run([self.event.program, "-v"], capture_output=True, text=True,
                                 check=True).stdout
        engine = subprocess.run([str(self.release / "wasmctl"), "--version"], capture_output=True,
                                text=True, check=False).stdout.strip()
        fpm = ""
        if self.fpm:
            fpm = subprocess.run([self.fpm.program, "-v"], capture_output=True, text=True,
                                 check=True).stdout.splitlines()[0].split(" (")[0]
        self.found["machine"] = {
            "processor": model[1] if model else platform.machine(),
            "cores": len(os.sched_getaffinity(0)), "kernel": platform.release().split("-")[0],
            "httpd": re.search(r"Apache/([\d.]+)", version)[1], "fpm": fpm,
            "engine": engine.splitlines()[0] if engine else ""}

    def measure(self):
        self.prepare()
        self.describe_machine()
        self.measure_start()
        if self.fpm:
            self.fpm.start()
        self.event.start()
        self.check_answers(self.event)
        if self.wants("rates"):
            for server in (self.worker, self.prefork):
                server.start()
                self.check_answers(server)
            if self.modphp:
                self.modphp.start()
            plan = self.rate_plan()
            for server, path in {(s, p): None for s, p, _ in plan}:
                load.get(server.port, path)
                load.wrk(server.url(path), 4, 1)
            self.measure_rates(plan)
            if not self.quick:
                self.measure_rates_of_hello()
            for server in (self.worker, self.prefork, self.modphp):
                if server:
                    server.stop()
        if self.wordpress:
            self.measure_wordpress()
        if self.wants("ab"):
            self.measure_ab()
        if self.wants("ttfb"):
            self.measure_ttfb()
        if self.wants("bodies"):
            self.measure_bodies()
        if self.wants("host"):
            self.measure_host()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="about two minutes; less certain")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="of each measurement of requests a second")
    parser.add_argument("--only", action="append",
                        choices=["start", "rates", "wordpress", "ab", "ttfb", "bodies", "host"])
    parser.add_argument("--release", default=TOP / "build" / "release",
                        help="where mod_wasm.so lies")
    parser.add_argument("--write", action=argparse.BooleanOptionalAction,
                        help="write docs/benchmarks.md and .svg (default: for a full run)")
    parser.add_argument("--report", action="store_true",
                        help="measure nothing: report the last results again")
    arguments = parser.parse_args()

    results = BUILD / "results.json"
    if arguments.report:
        found = json.loads(results.read_text())
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        bench = Bench(arguments)
        try:
            bench.measure()
        finally:
            bench.close()
            results.write_text(json.dumps(bench.found, indent=1))
        found = bench.found

    print(report.markdown(found))
    write = arguments.write
    if write is None:
        write = not (arguments.quick or arguments.only)
    if write:
        (TOP / "docs" / "benchmarks.md").write_text(report.markdown(found))
        (TOP / "docs" / "benchmarks.svg").write_text(report.chart(found))
        say("wrote docs/benchmarks.md and docs/benchmarks.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
