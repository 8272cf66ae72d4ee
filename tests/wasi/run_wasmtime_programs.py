#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs Wasmtime's own preview 1 test programs with wasmctl.

The programs are not part of this repository: WASMTIME_PROGRAMS names a
directory with the p1_*.wasm that crates/test-programs/src/bin/p1_*.rs of a
Wasmtime checkout were built to, for wasm32-wasip1. Each runs as Wasmtime's own
tests run it (crates/wasi/tests/all/p1.rs): argument ".", an empty directory as
".", and where the name says so a second, read-only one as "readonly".

    WASMTIME_PROGRAMS=DIRECTORY tests/wasi/run_wasmtime_programs.py [--wasmctl FILE] [NAME...]

Left out are the programs that test an option of Wasmtime's command line
(p1_cli_*). p1_stdio_isatty gets a terminal. Ends with status 1 if a program
fails.
"""

import argparse
import os
import pathlib
import pty
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 60
READ_ONLY = ("p1_file_truncation_readonly", "p1_file_hardlink_across_perms",
             "p1_file_rename_across_perms")
READ_ONLY_TEXT = b"read only test file\n"
TERMINAL = ("p1_stdio_isatty",)
EXTREME_TIME = ("p1_stat_extreme_host_mtime",)


def run(wasmctl, program):
    """Runs one program; returns what is wrong, or None."""
    name = program.stem
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as read_only:
        command = [wasmctl, "run", "--dir", f"{work}::.", "--env", "ERRNO_MODE_UNIX=1"]
        file = pathlib.Path(read_only, "test.txt")
        if name in READ_ONLY:
            file.write_bytes(READ_ONLY_TEXT)
            command += ["--dir", f"{read_only}::readonly:ro"]
        if name in EXTREME_TIME:
            extreme = pathlib.Path(work, "extreme.dat")
            extreme.write_bytes(b"hello")
            os.utime(extreme, ns=(-2**62, -2**62))
        command += [str(program), "."]
        try:
            if name in TERMINAL:
                master, terminal = pty.openpty()
                done = subprocess.run(command, stdin=terminal, stdout=terminal, stderr=terminal,
                                      timeout=TIMEOUT_SECONDS, check=False)
                os.close(terminal)
                os.close(master)
            else:
                done = subprocess.run(command, input=b"", capture_output=True,
                                      timeout=TIMEOUT_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"still ran after {TIMEOUT_SECONDS} s"
        if done.returncode != 0:
            return f"exit status {done.returncode}: {(done.stderr or b'').decode(errors='replace')}"
        if name in READ_ONLY and file.read_bytes() != READ_ONLY_TEXT:
            return "the read-only file was changed"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wasmctl", default=str(REPOSITORY / "build/release/wasmctl"))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    directory = os.environ.get("WASMTIME_PROGRAMS")
    if not directory:
        sys.exit("set WASMTIME_PROGRAMS to a directory with Wasmtime's p1_*.wasm")
    programs = sorted(p for p in pathlib.Path(directory).glob("p1_*.wasm")
                      if not p.stem.startswith("p1_cli_")
                      and (not options.names or any(n in p.name for n in options.names)))
    if not programs:
        sys.exit(f"no p1_*.wasm in {directory}")
    failed = 0
    for program in programs:
        problem = run(options.wasmctl, program)
        print(f"{'FAIL' if problem else 'ok  '} {program.stem}"
              + (f": {problem}" if problem else ""), flush=True)
        failed += problem is not None
    print(f"{len(programs) - failed} of {len(programs)} passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
