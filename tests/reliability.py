# SPDX-License-Identifier: Apache-2.0
"""What the tests of faults share: a steady load that must not notice them, a
look at what a process holds, and the table of docs/reliability.md."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

GOOD_BODY = b"Hello from C\n"


class Load:
    """Sixteen clients that ask for a good page until they are told to stop.
    Every answer must be there and be the same. Each request has a connection
    of its own: a server may close one that is kept alive at any moment, which
    ab would count as a loss."""

    CONNECTIONS = 16

    def __init__(self, url):
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            ["ab", "-q", "-c", str(self.CONNECTIONS), "-r", "-s", "120", "-t", "3600", "-n", "5000000", url],
            stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output)
        self._started = time.monotonic()
        self.result = None
        self.attacks = 0   # for whoever counts what it has survived

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop()

    def is_running(self):
        return self._process.poll() is None

    def stop(self):
        """Gives .requests and .lost; .output is for people."""
        if self.result is None:
            # Asked to stop before it has begun, it has no figures.
            time.sleep(max(0, self._started + 0.5 - time.monotonic()))
            if self.is_running():
                self._process.send_signal(signal.SIGINT)   # ab then prints its figures
            self._process.wait(timeout=60)
            self._output.seek(0)
            output = self._output.read().decode(errors="replace")
            found = dict(re.findall(r"^([A-Z][^:\n]*):\s+(\d+)", output, re.M))
            if "Complete requests" not in found:
                raise AssertionError(f"the load generator gave up:\n{output}")
            # "Failed requests" has one that is cut off three times: (Connect: 0, Receive: 1, Length: 1, Exceptions: 1)
            kinds = {kind: int(count) for kind, count in re.findall(r"(\w+): (\d+)[,)]", output)}
            failed = kinds.pop("Connect", 0) + max(kinds.values(), default=0)
            assert (failed > 0) == (int(found["Failed requests"]) > 0), output
            self.result = SimpleNamespace(
                requests=int(found["Complete requests"]),
                lost=failed + int(found.get("Non-2xx responses", 0)),
                output=output)
        return self.result


def wait_for(condition, timeout=60):
    """Waits until a condition holds; gives what it gave."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{condition} did not become true")
        time.sleep(0.05)
    return value


def holdings(pid):
    """What a process holds: threads, descriptors, mappings, address space and
    the memory that is not of a file, in KiB; None if it is gone. (What is private
    would depend on which other processes happen to be there.)"""
    try:
        with open(f"/proc/{pid}/status") as file:
            status = dict(line.split(":", 1) for line in file)
        with open(f"/proc/{pid}/smaps_rollup") as file:
            memory = dict(re.findall(r"^(\w+):\s+(\d+) kB", file.read(), re.M))
        with open(f"/proc/{pid}/maps") as file:
            mappings = sum(1 for _ in file)
        return SimpleNamespace(
            threads=int(status["Threads"]), descriptors=len(os.listdir(f"/proc/{pid}/fd")),
            mappings=mappings, address_kib=int(status["VmSize"].split()[0]),
            memory_kib=int(memory["Anonymous"]))
    except (FileNotFoundError, ProcessLookupError, KeyError):
        return None


def record(mpm, fault, tries, requests, lost):
    """A row for the table. Kept in the file that RELIABILITY_RECORD names."""
    path = os.environ.get("RELIABILITY_RECORD")
    if path:
        with open(path, "a") as out:
            out.write(f"{mpm}\t{fault}\t{tries}\t{requests}\t{lost}\n")


def record_soak(mpm, seconds, phases):
    """What the processes of a server held after each phase of a soak, likewise."""
    path = os.environ.get("RELIABILITY_RECORD")
    if path:
        with open(f"{path}.soak", "a") as out:
            for number, processes in enumerate(phases, 1):
                sums = [sum(getattr(held, what) for held in processes.values())
                        for what in ("memory_kib", "address_kib", "mappings", "descriptors", "threads")]
                out.write("\t".join(map(str, [mpm, len(processes), seconds * number // len(phases), *sums])) + "\n")


def tables(path):
    """Markdown of what tests have kept in the file `path`."""
    faults, soaks = {}, {}
    with open(path) as rows:
        for mpm, fault, *numbers in (line.rstrip("\n").split("\t") for line in rows):
            row = faults.setdefault(fault, {"mpms": set(), "sums": [0, 0, 0]})
            row["mpms"].add(mpm)
            row["sums"] = [a + int(b) for a, b in zip(row["sums"], numbers)]
    yield "| fault | MPMs | tries | good requests at the same time | of these lost |"
    yield "|---|---|---:|---:|---:|"
    for fault, row in faults.items():
        sums = " | ".join(f"{number:,}" for number in row["sums"])
        yield f"| {fault.replace('_', ' ')} | {', '.join(sorted(row['mpms']))} | {sums} |"
    with open(f"{path}.soak") as rows:
        for mpm, *numbers in (line.rstrip("\n").split("\t") for line in rows):
            soaks.setdefault(mpm, []).append([int(number) for number in numbers])
    yield ""
    yield "| MPM | processes | after, s | memory, MiB | address space, GiB | mappings | descriptors | threads |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for mpm, phases in soaks.items():
        for processes, seconds, memory, address, *counts in phases:
            yield (f"| {mpm} | {processes} | {seconds} | {memory / 1024:.1f} | {address / (1 << 20):.2f} | "
                   + " | ".join(f"{count:,}" for count in counts) + " |")


if __name__ == "__main__":
    print("\n".join(tables(sys.argv[1])))
