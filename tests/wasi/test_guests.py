# SPDX-License-Identifier: Apache-2.0
"""Real guests in C and WAT, run by wasmctl, against real directories."""

import ctypes
import errno
import os
import pathlib
import resource
import struct
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / os.environ.get("BUILD", "build/release")


@pytest.fixture(scope="module")
def guests(tmp_path_factory):
    out = tmp_path_factory.mktemp("guests")
    subprocess.run(["clang", "--target=wasm32-wasi", "-O1", "-Wall", "-Wextra", "-Werror",
                    "-o", out / "posix.wasm", HERE / "guests/posix.c"], check=True)
    subprocess.run(["wat2wasm", "-o", out / "unstable.wasm", HERE / "guests/unstable.wat"],
                   check=True)
    return out


@pytest.fixture
def world(tmp_path):
    """Two directories for the guest, and what it must not reach beside them."""
    (tmp_path / "rw/dir").mkdir(parents=True)
    (tmp_path / "ro").mkdir()
    (tmp_path / "beside").mkdir()
    (tmp_path / "ro/file").write_text("read only")
    (tmp_path / "secret").write_text("secret")
    return tmp_path


def without_openat2(error):
    """Makes openat2 fail with `error` in this process and what it executes, as old
    kernels (ENOSYS) and some container filters (EPERM) do."""
    openat2 = 437  # on every architecture
    load_number, jump_if_equal, give_back = 0x20, 0x15, 0x06
    allow, fail = 0x7FFF0000, 0x00050000
    program = b"".join(struct.pack("HBBI", *step) for step in (
        (load_number, 0, 0, 0), (jump_if_equal, 0, 1, openat2),
        (give_back, 0, 0, fail | error), (give_back, 0, 0, allow)))
    code = ctypes.create_string_buffer(program)
    filter_program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    set_no_new_privileges, set_seccomp, by_filter = 38, 22, 2
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if (prctl(set_no_new_privileges, 1, 0, 0, 0) != 0
            or prctl(set_seccomp, by_filter, filter_program, 0, 0) != 0):
        raise OSError(ctypes.get_errno(), "prctl")


def run(guests, world, guest, *arguments, options=(), prepare=None):
    return subprocess.run(
        [BUILD / "wasmctl", "run", "--dir", f"{world}/rw::/rw", "--dir", f"{world}/ro::/ro:ro",
         *options, guests / guest, *arguments],
        input=b"", capture_output=True, timeout=60, check=False,
        preexec_fn=prepare)


def left_alone(world):
    assert (world / "secret").read_text() == "secret"
    assert (world / "ro/file").read_text() == "read only"
    assert os.listdir(world / "ro") == ["file"]
    assert os.listdir(world / "beside") == []
    assert sorted(os.listdir(world)) == ["beside", "ro", "rw", "secret"]


@pytest.mark.parametrize("openat2_error", [None, errno.ENOSYS, errno.EPERM])
@pytest.mark.parametrize("check", ["files", "directory", "escape", "readonly", "waiting"])
def test_what_libc_does(guests, world, check, openat2_error):
    if check == "escape":
        (world / "rw/up").symlink_to("..")
        (world / "rw/slash").symlink_to("/")
        (world / "rw/out").symlink_to("../secret")
        (world / "rw/absolute").symlink_to(world / "secret")
        (world / "rw/out_dir").symlink_to("../beside")
    else:
        (world / "rw/dir").rmdir()
    done = run(guests, world, "posix.wasm", check,
               prepare=(lambda: without_openat2(openat2_error)) if openat2_error else None)
    assert (done.returncode, done.stderr) == (0, b"")
    left_alone(world)


def test_a_guest_that_waits_for_a_fifo_is_ended(guests, world):
    os.mkfifo(world / "rw/fifo")
    done = run(guests, world, "posix.wasm", "fifo", options=["--timeout", "1"])
    assert done.returncode == 124


def test_the_file_size_limit_is_an_errno(guests, world):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 26, 1 << 26))
    done = run(guests, world, "posix.wasm", "limit", prepare=limit)
    assert (done.returncode, done.stderr) == (0, b"")


def test_wasi_unstable(guests, world):
    (world / "rw/file").write_text("123456789")
    done = run(guests, world, "unstable.wasm")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ok\n", b"")
