# SPDX-License-Identifier: Apache-2.0
"""The clients. Each measures for a bounded time and raises on any failed request."""

import os
import re
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

MICROSECONDS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


@dataclass
class Load:
    rate: float          # requests a second
    p50: float = 0.0     # microseconds
    p99: float = 0.0


def run(command, timeout):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def wrk(url, connections, seconds, script=None):
    out = run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency",
               *(["-s", str(script)] if script else []), url], seconds + 90)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    connect, read, write, timeout = map(int, errors.groups()) if errors else (0, 0, 0, 0)
    # httpd may close a connection that is kept alive at any moment, which wrk
    # counts as a read that failed.
    if connect or write or timeout or read > connections or "Non-2xx" in out:
        raise RuntimeError(f"{url}: failed requests\n{out}")
    percentile = {}
    for percent, value, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)\s*$", out, re.M):
        percentile[percent] = float(value) * MICROSECONDS[unit]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
    if rate == 0 or len(percentile) < 2:
        raise RuntimeError(f"{url}: no request was answered within {seconds} s\n{out}")
    return Load(rate, percentile["50"], percentile["99"])


def ab(url, connections, seconds):
    out = run(["ab", "-q", "-k", "-c", str(connections), "-t", str(seconds), "-n", "10000000", url],
              seconds + 90)
    failed = int(re.search(r"^Failed requests:\s+(\d+)$", out, re.M)[1])
    short = re.search(r"Connect: 0, Receive: 0, Length: (\d+), Exceptions: 0", out)
    # As with wrk: a connection that ab closes at the end, or the server while ab sends.
    if failed > connections or failed != int(short[1] if short else 0) or "Non-2xx" in out:
        raise RuntimeError(f"{url}: failed requests\n{out}")
    return Load(float(re.search(r"^Requests per second:\s+([\d.]+)", out, re.M)[1]))


def cpu_seconds(pids):
    """Processor time that processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def faults(pids):
    """Minor page faults that processes have had so far."""
    return sum(int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[7])
               for pid in pids)


def download(url, size):
    """@return bytes a second."""
    out = run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_download} "
               "%{speed_download}", url], 300)
    code, got, speed = out.split()
    if code != "200" or int(got) != size:
        raise RuntimeError(f"{url}: status {code}, {got} of {size} bytes")
    return float(speed)


def upload(url, path, size):
    """@return bytes a second. The answer must be the body's size."""
    out = run(["curl", "-sS", "-H", "Expect:", "-T", str(path), "-w", " %{http_code} "
               "%{speed_upload}", url], 300)
    counted, code, speed = out.split()
    if code != "200" or int(counted) != size:
        raise RuntimeError(f"{url}: status {code}, {counted} of {size} bytes arrived")
    return float(speed)


class Connection:
    """A kept-alive connection, for single requests with their times."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path):
        """@return (status line and headers, body, microseconds to the first byte)."""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        began = time.perf_counter()
        data = self.socket.recv(65536)
        first = (time.perf_counter() - began) * 1e6
        while b"\r\n\r\n" not in data:
            data += self.socket.recv(65536)
        head, body = data.split(b"\r\n\r\n", 1)
        length = re.search(rb"^content-length: (\d+)", head, re.M | re.I)
        if length:
            while len(body) < int(length[1]):
                body += self.socket.recv(65536)
        else:
            while not body.endswith(b"0\r\n\r\n"):
                body += self.socket.recv(65536)
        return head, body, first

    def close(self):
        self.socket.close()


def get(port, path):
    """@return (status, headers but Date, body) of one request."""
    connection = Connection(port)
    try:
        head, body, _ = connection.get(path)
    finally:
        connection.close()
    lines = head.decode("latin-1").split("\r\n")
    headers = sorted(line for line in lines[1:] if not line.startswith("Date:"))
    return int(lines[0].split()[1]), headers, body


def rollup(pid):
    """Sums of a process's memory by kind, bytes (proc_pid_smaps_rollup(5))."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(kb) * 1024 for name, kb in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}


def smaps(pid):
    """@return (private, shared) bytes of memory that a process has."""
    size = rollup(pid)
    return (size["Private_Clean"] + size["Private_Dirty"],
            size["Shared_Clean"] + size["Shared_Dirty"])


def written(pids):
    """Bytes that processes have written to, each for itself. Pages of a file that only one of
    them has looked at so far count as private as well, but are not among these."""
    return sum(rollup(pid)["Private_Dirty"] for pid in pids)


def most_written(pids, work):
    """The largest value of written() while `work` goes on."""
    done = threading.Event()
    largest = 0

    def watch():
        nonlocal largest
        while not done.wait(0.1):
            largest = max(largest, written(pids))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return largest


def resident(pids, name):
    """Sum of VmRSS or VmHWM, bytes."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/status").read_text()
        total += int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) * 1024
    return total


def reset_peak(pids):
    """Lets VmHWM start again from what is resident now."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
