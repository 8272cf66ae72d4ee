#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the preview 1 programs of WebAssembly/wasi-testsuite with wasmctl.

The suite is not part of this repository: WASI_TESTSUITE names a checkout of
its branch prod/testsuite-base, which holds the built programs. It is copied
before it is used, since the programs write beside themselves.

    WASI_TESTSUITE=~/wasi-testsuite tests/wasi/run_testsuite.py [--wasmctl FILE] [NAME...]

Each program FILE.wasm may have a FILE.json beside it with args, env, root (a
directory that becomes "/"), exit_code, stdout, stderr, by the suite's
doc/specification.md. Names select the programs whose file name holds one of
them. Ends with status 1 if a program does not do what it should.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 60


def clean(directory):
    """Removes what programs leave behind: the suite names it *.cleanup."""
    for path in directory.rglob("*.cleanup"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def run(wasmctl, program):
    """Runs one program; returns what is wrong, or None."""
    specification = program.with_suffix(".json")
    spec = json.loads(specification.read_text()) if specification.exists() else {}
    if "operations" in spec:
        return "has an operation-based specification, which this script does not know"
    command = [wasmctl, "run"]
    for name, value in spec.get("env", {}).items():
        command += ["--env", f"{name}={value}"]
    if spec.get("root"):
        root = program.parent / spec["root"]
        clean(root)
        command += ["--dir", f"{root}::/"]
    command += [str(program)] + spec.get("args", [])
    try:
        done = subprocess.run(command, capture_output=True, input=b"",
                              timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"still ran after {TIMEOUT_SECONDS} s"
    problems = []
    if done.returncode != spec.get("exit_code", 0):
        problems.append(f"exit status {done.returncode}, not {spec.get('exit_code', 0)}")
    for name, got in (("stdout", done.stdout), ("stderr", done.stderr)):
        if name in spec and got.decode(errors="replace") != spec[name]:
            problems.append(f"{name} is {got!r}, not {spec[name]!r}")
    if problems:
        problems.append(done.stderr.decode(errors="replace").strip())
    return "; ".join(problems) or None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wasmctl", default=str(REPOSITORY / "build/release/wasmctl"))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    suite = os.environ.get("WASI_TESTSUITE")
    if not suite:
        sys.exit("set WASI_TESTSUITE to a checkout of wasi-testsuite, branch prod/testsuite-base")
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / "tests"
        shutil.copytree(pathlib.Path(suite) / "tests", copy, symlinks=True)
        programs = sorted(p for p in copy.glob("*/testsuite/wasm32-wasip1/*.wasm")
                          if not options.names or any(n in p.name for n in options.names))
        if not programs:
            sys.exit(f"no preview 1 programs in {suite}")
        for program in programs:
            problem = run(options.wasmctl, program)
            language = program.relative_to(copy).parts[0]
            print(f"{'FAIL' if problem else 'ok  '} {language}/{program.stem}"
                  + (f": {problem}" if problem else ""), flush=True)
            failed += problem is not None
    print(f"{len(programs) - failed} of {len(programs)} passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
