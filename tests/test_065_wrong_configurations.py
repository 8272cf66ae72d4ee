# SPDX-License-Identifier: Apache-2.0
"""Each file of tests/config is wrong in one way; `httpd -t` says in which.

A file begins with what is expected of it:

    # httpd -t: fails
    # message: a regular expression, found in the line that tells of the error
    # line: the line of the file that the message names

It may use ${guests}, ${test_guests} and ${bad}: the guests of the site, those
of the tests, and the files that bad_files() makes.
"""

import glob
import gzip
import os
import re
import shutil
import subprocess

import pytest
from pyhttpd.conf import HttpdConf

CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "config")
FILES = sorted(glob.glob(os.path.join(CONFIG, "*.conf")))

# Text of modules that are whole, but nothing the server can run.
LIBRARY = '(module (memory (export "memory") 1) (func (export "add") (result i32) (i32.const 1)))'
WRONG_TYPE = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func (param i64)))
  (memory (export "memory") 1) (func (export "_start")))"""


def bad_files(folder, hello):
    """What is not a module, or not one that can be run."""
    with open(hello, "rb") as file:
        module = file.read()
    contents = {
        "component": b"\0asm\x0d\0\x01\0", "empty": b"", "header": b"\0asm\x01",
        "gzipped": gzip.compress(module), "program": b"\x7fELF\x02\x01\x01" + bytes(57),
        "section": b"\0asm\x01\0\0\0\x63\x01\0", "source": LIBRARY.encode(), "text": b"Hello.\n",
        "truncated": module[:len(module) // 2], "version": b"\0asm\x02\0\0\0",
    }
    for name, content in contents.items():
        with open(f"{folder}/{name}.wasm", "wb") as out:
            out.write(content)
    for name, text in (("library", LIBRARY), ("wrong_type", WRONG_TYPE)):
        subprocess.run(["wat2wasm", "-", "-o", f"{folder}/{name}.wasm"], input=text, text=True, check=True)
    os.mkfifo(f"{folder}/fifo.wasm")
    os.symlink("nowhere.wasm", f"{folder}/dangling.wasm")


@pytest.fixture(scope="module")
def server(make_env, paths):
    env = make_env("wrong")
    bad = os.path.join(env.server_dir, "bad")
    os.makedirs(bad)
    bad_files(bad, f"{paths.guests}/hello.wasm")
    env.bad = bad
    return env


def check(server, paths, file):
    """Gives the outcome of httpd -t for a configuration that includes the file."""
    HttpdConf(server).add([f'Define guests "{paths.guests}"', f'Define test_guests "{paths.test_guests}"',
                           f'Define bad "{server.bad}"', f'Include "{file}"']).install()
    return server.check_config()


def expectation(file):
    with open(file, encoding="utf-8") as text:
        return dict(re.findall(r"^# (httpd -t|message|line): (.*)$", text.read(), re.MULTILINE))


def test_065_01_there_are_fifty():
    assert len({open(file, encoding="utf-8").read().split("# line:")[1] for file in FILES}) >= 50


def test_065_02_a_right_one_passes(server, paths, tmp_path):
    """So what is wrong with the others is what they say."""
    right = tmp_path / "right.conf"
    right.write_text('<Location "/x">\n    SetHandler wasm-handler\n    WasmModule "${guests}/hello.wasm"\n</Location>\n')
    r = check(server, paths, right)
    assert r.exit_code == 0, r
    assert "Syntax OK" in r.stderr


@pytest.mark.parametrize("file", FILES, ids=[os.path.basename(file)[:-5] for file in FILES])
def test_065_03_refused(server, paths, file):
    # A copy, so that names of directories of the checkout cannot match.
    copy = shutil.copy(file, server.server_dir)
    expected = expectation(file)
    assert expected["httpd -t"] == "fails"
    r = check(server, paths, copy)
    assert r.exit_code != 0, r
    assert "Syntax OK" not in r.stderr
    assert re.search(expected["message"], r.stderr), r.stderr
    assert re.search(rf"on line {expected['line']} of {re.escape(copy)}\b", r.stderr), r.stderr
