#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a request goes: samples a server under load with perf and
tells processor time and page faults by part of a request.

profile.py [ROUTE ...]     (default: wasm-hello native-hello)

Needs perf (Debian: linux-perf). Writes folded stacks, one line a stack with its
number of samples, to build/bench/ROUTE.folded, for tools that draw flame graphs.
"""

import argparse
import collections
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import load
from bench import BENCH, BUILD, TOP
from peers import GUESTS, Httpd, Site

# Each sample belongs to the first part that one of its functions matches, the
# parts being looked at in this order.
PARTS = [
    ("output: to the client, below the handler", r"^(io_write|pass_output|wasm_io_finish)$"),
    ("rewinding: what the run wrote", r"^wasmrt::Instance::rewind\b"),
    ("teardown: store and instance dropped", r"^wasmtime_store_delete$"),
    ("instantiate", r"^wasmtime_instance_pre_instantiate$"),
    ("store made", r"^wasmtime_store_new$"),
    ("guest and host calls", r"^(wasmtime_func_call_unchecked|wasmtime_instance_export_get)$"),
    ("environment: CGI variables", r"^wasm_cgi_environment$"),
    ("run: environment block, clocks, the rest", r"^wasmrt(_run|::Command::run\b.*)$"),
    ("handler: the rest", r"^(wasm_handler|hello|write_bytes|read_bytes)$"),
    ("httpd: response sent", r"^(ap_core_output_filter|__GI___writev)$"),
    ("httpd: request read", r"^ap_read_request$"),
    ("httpd: URL to configuration", r"^ap_process_request_internal$"),
    ("httpd: threads, queue, epoll",
     r"(queue|cond_wait|cond_signal|epoll|listener_thread|futex|apr_pollset)"),
    ("httpd: the rest", r""),
]


def stacks(perf_data):
    """Yields each sample's functions, innermost first."""
    script = subprocess.run(["perf", "script", "-i", perf_data, "-F", "comm,ip,sym,dso",
                             "--no-inline"], capture_output=True, text=True, check=True,
                            errors="replace").stdout
    for sample in script.split("\n\n"):
        frames = []
        for _, symbol, dso in re.findall(r"^\s+([0-9a-f]+) (.*) \((.*)\)$", sample, re.M):
            symbol = re.sub(r"\+0x[0-9a-f]+$", "", symbol)
            frames.append(f"[{Path(dso).name}]" if symbol == "[unknown]" else symbol)
        if frames:
            yield frames


def part_of(frames):
    for name, pattern in PARTS:
        if any(re.search(pattern, f) for f in frames):
            return name
    return PARTS[-1][0]


def profile(server, path, seconds, work):
    """@return (by part: µs a request; by part: faults a request, requests/s)."""
    url = server.url(path)
    load.wrk(url, 8, 1)
    pids = server.workers()
    results = []
    for event, rate in (("cpu-clock", "997"), ("page-faults", None)):
        data = work / f"{event}.data"
        client = subprocess.Popen(["wrk", "-t1", "-c8", f"-d{seconds + 2}s", url],
                                  stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        cpu, faults = load.cpu_seconds(pids), load.faults(pids)
        began = time.monotonic()
        subprocess.run(["perf", "record", "-q", *(["-F", rate] if rate else ["-c", "1"]), "-g",
                        "--call-graph", "dwarf,16384", "-e", event, "-p",
                        ",".join(map(str, pids)), "-o", data, "sleep", str(seconds)],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        cpu = load.cpu_seconds(pids) - cpu
        faults = load.faults(pids) - faults
        took = time.monotonic() - began
        requests = float(re.search(r"Requests/sec:\s+([\d.]+)", client.communicate()[0])[1]) * took
        parts, folded, samples = collections.Counter(), collections.Counter(), 0
        for frames in stacks(data):
            parts[part_of(frames)] += 1
            folded[";".join(reversed(frames))] += 1
            samples += 1
        each = (cpu * 1e6 if event == "cpu-clock" else faults) / requests
        results.append({name: each * n / max(samples, 1) for name, n in parts.items()})
        if event == "cpu-clock":
            results.append(requests / took)
            with open(BUILD / f"{path.strip('/').split('?')[0]}.folded", "w", encoding="utf-8") as f:
                f.writelines(f"{stack} {n}\n" for stack, n in folded.most_common())
    return results[0], results[2], results[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("routes", nargs="*", default=["wasm-hello", "native-hello"])
    parser.add_argument("--release", default=TOP / "build" / "release")
    parser.add_argument("--seconds", type=int, default=3)
    arguments = parser.parse_args()
    run = Path(tempfile.mkdtemp(prefix="mod_wasm-profile."))
    run.chmod(0o755)
    server = None
    try:
        site = Site(run, Path(arguments.release).resolve(), TOP / "build" / "guests", BUILD, BENCH)
        guests = [name for name in GUESTS
                  if any(route.startswith(f"wasm-{name}") for route in arguments.routes)]
        server = Httpd(run / "server", "event", ["dir", site.native_module, site.wasm_module],
                       site.static() + site.native() + site.wasm(guests))
        server.start()
        found = [profile(server, f"/{route}", arguments.seconds, run)
                 for route in arguments.routes]
    finally:
        if server:
            server.stop()
        shutil.rmtree(run, ignore_errors=True)

    print("| part | " + " | ".join(f"{r}, µs | faults" for r in arguments.routes) + " |")
    print("|---|" + "---:|---:|" * len(arguments.routes))
    for name, _ in PARTS:
        cells = [f"{cpu.get(name, 0):.1f} | {faults.get(name, 0):.1f}" for cpu, faults, _ in found]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("| **all** | " + " | ".join(f"**{sum(cpu.values()):.1f}** | {sum(faults.values()):.1f}"
                                      for cpu, faults, _ in found) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
