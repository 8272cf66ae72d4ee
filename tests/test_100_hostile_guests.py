# SPDX-License-Identifier: Apache-2.0
"""Each hostile guest runs beside a good one under steady load. The good one
loses no request, no process ends, and the log says what happened and which
directive it concerns."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from types import SimpleNamespace

import pytest
from pyhttpd.conf import HttpdConf
from reliability import GOOD_BODY, Load, record

ENTRIES = 1_000_000
TRIES = 3

# What the log says of the guests in this zoo.
MINE = re.compile(r"\[wasm:\w+\].* /\S*/hostile/\w+\.wasm")


def guest(name, status, *log, directives=(), body=None, says=None, cut_off=False):
    """One of tests/guests/hostile.

    log         patterns, each of which must be found in a line of the log
    body        what to send
    says        what must be in the answer
    cut_off     the answer breaks off after its headers
    """
    return SimpleNamespace(name=name, status=status, log=log, directives=directives, body=body,
                           says=says, cut_off=cut_off)


ZOO = [
    guest("unreachable", 500, r"a fault: unreachable.*its stack: innermost\\+x0a\[core:emerg\] \\+x1b\[31mforged"),
    guest("out_of_bounds", 500, "a fault: out of bounds memory access.*store_outside"),
    guest("stack_overflow", 500, "a fault: stack overflow.*WasmStackLimit"),
    guest("bad_calls", 500, "a fault: indirect call"),
    guest("endless_loop", 504, "ran out of time: time limit of 1 s.*WasmTimeout",
          directives=["WasmTimeout 1"]),
    guest("endless_calls", 504, "ran out of time: processor time limit of 0.5 s.*WasmCPULimit",
          directives=["WasmCPULimit 0.5"]),
    guest("memory_grow", 500, "ran out of memory: .*64 MiB.*WasmMemoryLimit",
          directives=["WasmMemoryLimit 64M"]),
    guest("table_grow", 500, "a fault: unreachable.*grow_to_the_end"),
    guest("output_flood", 200, "wrote too much: .*10 MiB.*WasmOutputLimit",
          directives=["WasmOutputLimit 10M"], cut_off=True),
    guest("header_flood", 502, "more than 65536 bytes of headers.*WasmHeaderLimit"),
    guest("no_header_end", 502, "without a complete header block"),
    guest("split_response", 502, "malformed headers: .*control character"),
    guest("stderr_flood", 504, "stderr from .*: complaint 0$", "more bytes to standard error",
          "ran out of time.*WasmTimeout", directives=["WasmTimeout 1"]),
    guest("stderr_rubbish", 502, r"stderr from .*\\x01\\x02", "stderr from .*forged",
          "without a complete header block"),
    guest("many_opens", 500, "a fault: unreachable", "stderr from .*the highest descriptor is 63",
          "more than the 64 descriptors.*WasmMaxDescriptors", directives=["WasmMaxDescriptors 64"]),
    guest("sleep_forever", 504, "ran out of time.*WasmTimeout", directives=["WasmTimeout 1"]),
    guest("blocked_on_fifo", 504, "ran out of time.*WasmTimeout", directives=["WasmTimeout 1"]),
    guest("exit_1", 502, "exited with status 1 "),
    guest("exit_early", 200, body=b"x" * 1_000_000, says=b"not interested\n"),
    guest("read_past", 200, body=b"x" * 1_000_000, says=b"1000000 bytes, 0 past the end\n"),
    guest("absurd_calls", 200, says=b"surprises: 0,"),
    guest("stderr_blocks", 504, "more bytes to standard error", "ran out of time.*WasmTimeout",
          directives=["WasmTimeout 1"]),
    guest("start_loop", 504, "ran out of time.*WasmTimeout", directives=["WasmTimeout 1"]),
    guest("start_trap", 500, "a fault: unreachable.*its stack: begin"),
    guest("calls_at_the_end", 200, "a fault: stack overflow.*WasmStackLimit", cut_off=True),
    guest("gc_heap", 500, "ran out of memory: .*GC heap.*WasmMemoryLimit", directives=["WasmMemoryLimit 64M"]),
    guest("long_names", 500, r"a fault: unreachable.*its stack: (?=.{900,1023}$)function 10 <- n{150,250}\.\.\. <- n"),
    guest("straight_line", 504, "ran out of time.*WasmTimeout", directives=["WasmTimeout 1"]),
    guest("huge_directory", 200, says=b"%d entries" % (ENTRIES + 2)),
]


def section(number, *items):
    content = bytes([len(items)]) + b"".join(items)
    return bytes([number, len(content)]) + content


# No assembler in the distribution knows its instructions: puts arrays of a megabyte,
# which are not of linear memory, into a table until there is no room for another.
GC_HEAP = b"\0asm\1\0\0\0" + b"".join([
    section(1, b"\x5e\x78\x01", b"\x60\0\0"),         # (array (mut i8)), (func)
    section(3, b"\1"),
    section(4, b"\x63\0\1\xa0\x8d\6\xa0\x8d\6"),       # (table 100000 100000 (ref null 0))
    section(5, b"\0\1"),
    section(7, b"\6_start\0\0", b"\6memory\2\0"),
    section(10, b"\x1b\1\1\x7f"                        # (local i32)
                b"\3\x40\x20\0\x41\xc0\x84\x3d\xfb\7\0\x26\0"  # loop, table.set, array.new_default
                b"\x20\0\x41\1\x6a\x21\0\x0c\0\x0b\x0b")])


# The stack of a fault would fill the log, if it were told whole.
LONG_NAMES = "".join([
    '(module (memory (export "memory") 1) (func (export "_start") (call 1))',
    *(f"(func ${'n' * 50000}{i} (call {i + 1}))" for i in range(1, 10)), "(func unreachable))"])


# A minute and more without a loop or a call.
STRAIGHT_LINE = ('(module (memory (export "memory") 800) (func (export "_start") '
                 + "(memory.fill (i32.const 0) (i32.const 1) (i32.const 52000000))" * 10_000 + "))")


@pytest.fixture(scope="session")
def huge_directory():
    """A million names, in memory where there is room, all of one file: no
    inode each."""
    room = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = tempfile.mkdtemp(prefix="mod_wasm-tests.", dir=room)
    os.chmod(path, 0o755)
    directory = os.open(path, os.O_RDONLY)
    try:
        os.close(os.open("0", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
        for i in range(1, ENTRIES):
            try:
                os.link("0", str(i), src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:   # a file system that has few links a file
                os.close(os.open(str(i), os.O_CREAT | os.O_WRONLY, dir_fd=directory))
        yield path
    finally:
        os.close(directory)
        shutil.rmtree(path)


@pytest.fixture(scope="module")
def env(make_env, mpm, paths, huge_directory):
    """A server with the whole zoo. Room for all connections of the load at
    once, and for guests beside it, is a matter of processes for prefork."""
    server = make_env(f"hostile-{mpm}", mpm=mpm, processes=24 if mpm == "prefork" else 4)
    data = os.path.join(server.server_dir, "data")
    with open(os.path.join(data, "file"), "w"):
        pass
    os.mkfifo(os.path.join(data, "fifo"))
    os.chmod(os.path.join(data, "fifo"), 0o666)
    conf = HttpdConf(server)
    conf.add("LogLevel warn wasm:info")
    # Room for the server's own spare threads, so that it has nothing to say of them.
    conf.add("MinSpareThreads 1" if mpm != "prefork" else "MinSpareServers 1")
    conf.add_wasm("/good", f"{paths.guests}/hello.wasm")
    made = os.path.join(server.server_dir, "hostile")
    os.mkdir(made)
    with open(os.path.join(made, "gc_heap.wasm"), "wb") as out:
        out.write(GC_HEAP)
    for name, text in (("long_names", LONG_NAMES), ("straight_line", STRAIGHT_LINE)):
        subprocess.run(["wat2wasm", "--debug-names", "-", "-o", os.path.join(made, f"{name}.wasm")],
                       input=text, text=True, check=True)
    for each in ZOO:
        is_made = os.path.exists(f"{made}/{each.name}.wasm")
        folder = made if is_made else f"{paths.test_guests}/hostile"
        conf.add_wasm(f"/{each.name}", f"{folder}/{each.name}.wasm",
                      f'WasmMapDir /data "{data}"', f'WasmMapDir /huge "{huge_directory}" ro',
                      *each.directives)
    conf.install()
    with server.running():
        yield server


def ask(env, each):
    """One request; checks the answer."""
    if each.body:
        r = env.curl_post_data(env.mkurl(f"/{each.name}"), each.body)
    else:
        r = env.curl_get(env.mkurl(f"/{each.name}"))
    assert r.response and r.response["status"] == each.status, r
    assert "set-cookie" not in r.response["header"], r
    assert b"injected" not in r.outraw
    if each.cut_off:
        assert r.exit_code != 0, "the client cannot tell that the answer is cut off"
    else:
        assert r.exit_code == 0, r
    if each.says:
        assert each.says in r.outraw, r


def check_log(env, each, tries):
    lines = env.httpd_error_log.recent()
    for pattern in each.log:
        env.httpd_error_log.scan_recent(pattern)
    about = [line for line in lines if MINE.search(line)]
    assert not [line for line in lines if "\x1b" in line or "\x9b" in line]
    if each.name == "stderr_flood":
        assert sum(map(len, about)) < tries * 512 * 1024
    env.httpd_error_log.ignore_recent([MINE.pattern])


@pytest.mark.parametrize("each", ZOO, ids=[each.name for each in ZOO])
def test_100_01_beside_a_good_guest(env, each):
    before = sorted(env.child_pids())
    with Load(env.mkurl("/good")) as load:
        tries = 0
        end = time.monotonic() + 1   # the load needs a moment, too
        while tries < TRIES or time.monotonic() < end:
            ask(env, each)
            tries += 1
        result = load.stop()
    assert result.lost == 0, result.output
    assert result.requests > 0
    assert sorted(env.child_pids()) == before
    check_log(env, each, tries)
    assert env.curl_get(env.mkurl("/good")).outraw == GOOD_BODY
    record(env.mpm, each.name, tries, result.requests, result.lost)


def test_100_02_all_at_once(env):
    """The whole zoo in one go, twice."""
    before = sorted(env.child_pids())
    small = [each for each in ZOO if not each.body]
    with Load(env.mkurl("/good")) as load:
        connections = []
        for each in 2 * small:
            connection = socket.create_connection(("127.0.0.1", env.http_port), timeout=120)
            connection.sendall(f"GET /{each.name} HTTP/1.0\r\n\r\n".encode())
            connections.append(connection)
        for each, connection in zip(2 * small, connections):
            received = b""
            try:
                while chunk := connection.recv(1 << 20):
                    received = (received + chunk)[:4096]
            except ConnectionResetError:
                assert each.cut_off
            connection.close()
            assert received.split(b" ")[1] == b"%d" % each.status, (each.name, received)
        result = load.stop()
    assert result.lost == 0, result.output
    assert sorted(env.child_pids()) == before
    env.httpd_error_log.ignore_recent([MINE.pattern])
    record(env.mpm, "all of them at once", 2, result.requests, result.lost)
