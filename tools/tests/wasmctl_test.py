# SPDX-License-Identifier: Apache-2.0
"""wasmctl as its users see it. WASMCTL names the program; needs wat2wasm."""

import os
import subprocess
import tempfile
import unittest

WASMCTL = os.environ["WASMCTL"]

WASI = '(import "wasi_snapshot_preview1" "%s" (func $%s (param %s) (result i32)))'
FD_WRITE = WASI % ("fd_write", "fd_write", "i32 i32 i32 i32")
FD_READ = WASI % ("fd_read", "fd_read", "i32 i32 i32 i32")
PROC_EXIT = '(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))'
MEMORY = '(memory (export "memory") 2)'


def command(imports, body, extra=""):
    return f'(module {imports} {MEMORY} {extra} (func (export "_start") {body}))'


def print_strings(kind):
    """Writes what args_get or environ_get gives, NUL bytes and all."""
    return command(
        FD_WRITE
        + WASI % (f"{kind}_sizes_get", "sizes", "i32 i32")
        + WASI % (f"{kind}_get", "get", "i32 i32"),
        """(drop (call $sizes (i32.const 0) (i32.const 12)))
           (drop (call $get (i32.const 1024) (i32.const 8192)))
           (i32.store (i32.const 8) (i32.const 8192))
           (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))""",
    )


CAT = command(
    FD_READ + FD_WRITE,
    """(loop $more
         (i32.store (i32.const 0) (i32.const 1024))
         (i32.store (i32.const 4) (i32.const 65536))
         (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
         (i32.store (i32.const 4) (i32.load (i32.const 8)))
         (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
         (br_if $more (i32.load (i32.const 8))))""",
)

# Writes the name of its first preopened directory, then tries to create "new"
# in it and exits with the errno.
CREATE = command(
    FD_WRITE
    + PROC_EXIT
    + WASI % ("fd_prestat_get", "prestat", "i32 i32")
    + WASI % ("fd_prestat_dir_name", "name", "i32 i32 i32")
    + WASI % ("path_open", "path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    """(drop (call $prestat (i32.const 3) (i32.const 0)))
       (drop (call $name (i32.const 3) (i32.const 1024) (i32.load (i32.const 4))))
       (i32.store (i32.const 0) (i32.const 1024))
       (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
       (call $proc_exit (call $path_open (i32.const 3) (i32.const 0) (i32.const 512)
         (i32.const 3) (i32.const 1) (i64.const 64) (i64.const 64) (i32.const 0)
         (i32.const 16)))""",
    '(data (i32.const 512) "new")',
)


def exit_with(status):
    return command(PROC_EXIT, f"(call $proc_exit (i32.const {status}))")


class WasmctlTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.cache = os.path.join(self.folder, "cache")
        self.environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": self.cache}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def module(self, wat, name="guest.wasm"):
        text = self.write(name + ".wat", wat.encode())
        subprocess.run(["wat2wasm", text, "-o", self.path(name)], check=True)
        return self.path(name)

    def wasmctl(self, *arguments, **options):
        options.setdefault("env", self.environment)
        options.setdefault("cwd", self.folder)
        if "input" not in options and "stdin" not in options:
            options["stdin"] = subprocess.DEVNULL
        return subprocess.run([WASMCTL, *arguments], capture_output=True, **options)

    def expect(self, result, status, stdout=None, stderr=None):
        self.assertEqual(result.returncode, status, result.stderr)
        if stdout is not None:
            self.assertEqual(result.stdout, stdout)
        if stderr is not None:
            self.assertIn(stderr, result.stderr.decode())


class General(WasmctlTest):
    def test_usage(self):
        self.expect(self.wasmctl(), 2, stderr="usage: wasmctl COMMAND")
        self.expect(self.wasmctl("walk"), 2, stderr="unknown command walk")
        self.assertIn(b"usage:", self.wasmctl("--help").stdout)
        for name in ("run", "compile", "inspect"):
            result = self.wasmctl(name, "--help")
            self.expect(result, 0)
            self.assertIn(f"usage: wasmctl {name} ".encode(), result.stdout)
            self.expect(self.wasmctl(name, "--nonsense"), 2, stderr="unknown option --nonsense")
            self.expect(self.wasmctl(name), 2, stderr=f"see wasmctl {name} --help")

    def test_version(self):
        self.assertRegex(self.wasmctl("version").stdout.decode(), r"^wasmctl \d+\.\d+\.\d+ \(Wasmtime ")


class Run(WasmctlTest):
    def test_exit_status_is_the_guests(self):
        for status in (0, 7, 255):
            self.expect(self.wasmctl("run", self.module(exit_with(status))), status, b"")

    def test_arguments_pass_untouched(self):
        module = self.module(print_strings("args"))
        self.expect(
            self.wasmctl("run", module, "--dir", "x", "--", "-h", ""),
            0,
            b"guest.wasm\0--dir\0x\0--\0-h\0\0",
        )
        self.expect(self.wasmctl("run", "--", module, "--", "a"), 0, b"guest.wasm\0--\0a\0")

    def test_environment(self):
        module = self.module(print_strings("environ"))
        self.environment["HERE"] = "yes"
        self.expect(
            self.wasmctl("run", "--env", "A=1=2", "--env", "HERE", "--env=GONE", "--env", "E=", module),
            0,
            b"A=1=2\0HERE=yes\0E=\0",
        )
        self.expect(self.wasmctl("run", module), 0, b"")
        self.expect(self.wasmctl("run", "--env", "=x", module), 2, stderr="--env needs a name")

    def test_streams(self):
        module = self.module(CAT)
        data = os.urandom(1 << 20)
        self.expect(self.wasmctl("run", module, input=data), 0, data)
        file = self.write("data", data)
        with open(file, "rb") as opened:
            self.expect(self.wasmctl("run", module, stdin=opened), 0, data)

    def test_a_reader_that_went_away(self):
        module = self.module(
            command(
                FD_WRITE,
                """(i32.store (i32.const 4) (i32.const 65536))
                   (loop $more
                     (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                     (br $more))""",
            )
        )
        process = subprocess.Popen(
            [WASMCTL, "run", module],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )
        process.stdout.read(1000)
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        self.assertEqual((process.wait(), error), (141, b""))

    def test_a_trap(self):
        module = self.module(
            '(module (func $inner unreachable) (func (export "_start") (call $inner)))'
        )
        result = self.wasmctl("run", module)
        self.expect(result, 134, b"", "wasmctl: guest.wasm: ")
        self.assertIn("unreachable", result.stderr.decode())
        self.assertIn("    at ", result.stderr.decode())

    def test_limits(self):
        loop = self.module(command("", "(loop $on (br $on))"))
        self.expect(self.wasmctl("run", "--timeout", "0.2", loop), 124, b"", "0.2 s")
        grow = self.module(
            command(PROC_EXIT, "(call $proc_exit (i32.eq (memory.grow (i32.const 30)) (i32.const -1)))")
        )
        self.expect(self.wasmctl("run", grow), 0)
        self.expect(self.wasmctl("run", "--memory", "1M", grow), 1, b"", "limit is 1 MiB")
        for wrong in ("0", "5G", "1X", "", "-1"):
            self.expect(self.wasmctl("run", "--memory", wrong, grow), 2, stderr="--memory needs")
        for wrong in ("0", "x", "1s", "-1"):
            self.expect(self.wasmctl("run", "--timeout", wrong, grow), 2, stderr="--timeout needs")

    def test_directories(self):
        module = self.module(CREATE)
        os.mkdir(self.path("d"))
        perm = 63  # WASI's errno for what is not permitted
        for option, name, status in (
            ("d", b"d", 0),
            (self.path("d") + "::/guest", b"/guest", 0),
            ("d::/x:ro", b"/x", perm),
            ("d:ro", b"d", perm),
            (".", b".", 0),
        ):
            with self.subTest(option):
                result = self.wasmctl("run", "--dir", option, module)
                self.expect(result, status, name)
                made = self.path("new" if option == "." else "d/new")
                self.assertEqual(os.path.exists(made), status == 0)
                if status == 0:
                    os.unlink(made)
        self.expect(self.wasmctl("run", "--dir", "none", module), 2, stderr="No such file")
        self.expect(self.wasmctl("run", "--dir", module, module), 2, stderr="is not a directory")

    def test_entry_point(self):
        module = self.module(
            f'(module {PROC_EXIT} {MEMORY} (func (export "go") (call $proc_exit (i32.const 3))))'
        )
        self.expect(self.wasmctl("run", "--entry", "go", module), 3)
        self.expect(self.wasmctl("run", module), 1, b"", "could start at: go")

    def test_what_does_not_run(self):
        self.expect(self.wasmctl("run", "none.wasm"), 1, b"", "none.wasm: No such file")
        self.expect(self.wasmctl("run", self.write("x", b"#!/bin/sh")), 1, b"", "but a script")
        component = self.write("c", b"\0asm\x0d\0\1\0")
        self.expect(self.wasmctl("run", component), 1, b"", "is a component")
        bad_code = self.write("b", self.read(self.module(exit_with(0)))[:-2] + b"\xff\x0b")
        self.expect(self.wasmctl("run", bad_code), 1, b"", "not a module that the engine accepts")

    def test_cache(self):
        module = self.module(exit_with(5))
        images = os.path.join(self.cache, "mod_wasm", "images")
        self.expect(self.wasmctl("run", "--no-cache", module), 5)
        self.assertFalse(os.path.exists(images))
        self.expect(self.wasmctl("run", module), 5, stderr="")
        (image,) = os.listdir(images)
        before = os.stat(os.path.join(images, image))
        self.expect(self.wasmctl("run", module), 5)
        after = os.stat(os.path.join(images, image))
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))
        with open(os.path.join(images, image), "r+b") as file:
            file.truncate(5000)
        self.expect(self.wasmctl("run", module), 5, stderr="is made anew")
        self.expect(self.wasmctl("run", "--cache-dir", "mine", module), 5)
        self.assertEqual(os.listdir(self.path("mine")), [image])


class Compile(WasmctlTest):
    def test_files_and_pipes(self):
        module = self.module(exit_with(0))
        for layout in ((), ("--layout", "compact")):
            self.expect(self.wasmctl("compile", *layout, module, self.path("image")), 0, b"")
            with open(module, "rb") as file:
                piped = self.wasmctl("compile", *layout, "-", "-", stdin=file)
            self.expect(piped, 0)
            self.assertEqual(piped.stdout[:4], b"\x7fELF")
            self.assertEqual(self.read("image"), piped.stdout)

    def test_a_longer_file_is_replaced_whole(self):
        module = self.module(exit_with(0))
        self.write("image", b"x" * 1000000)
        self.expect(self.wasmctl("compile", module, self.path("image")), 0)
        self.assertNotIn(b"xxxx", self.read("image"))

    def test_failures(self):
        module = self.module(exit_with(0))
        self.expect(self.wasmctl("compile", "none", "image"), 2, stderr="none: No such file")
        self.expect(self.wasmctl("compile", module, "none/image"), 2, stderr="none/image: No such")
        self.expect(self.wasmctl("compile", "--layout", "x", module, "image"), 2, stderr="layout")
        self.expect(self.wasmctl("compile", "--user", "1", module, "image"), 2, stderr="UID:GID")
        self.expect(self.wasmctl("compile", module), 2, stderr="input and an output")
        self.expect(self.wasmctl("compile", "-", "image", input=b"rubbish"), 1, b"", "wasmctl: ")
        self.assertFalse(os.path.exists(self.path("image")))

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_user(self):
        module = self.module(exit_with(0))
        os.chmod(self.folder, 0o755)
        self.expect(self.wasmctl("compile", "--user", "65534:65534", module, "-"), 0)
        os.chmod(module, 0o600)
        self.expect(
            self.wasmctl("compile", "--user", "65534:65534", module, "-"),
            3,
            stderr="Permission denied",
        )
        os.chmod(module, 0o644)
        self.expect(
            self.wasmctl("compile", "--user", "65534:65534", module, self.path("image")),
            3,
            stderr="image: Permission denied",
        )


class Inspect(WasmctlTest):
    def test_a_command(self):
        module = self.module(exit_with(0))
        self.expect(
            self.wasmctl("inspect", module),
            0,
            f"""size      {os.path.getsize(module)} bytes
runs      yes
kind      command
memory    2 pages
uses      wasi_snapshot_preview1 (1)
imports   1
  ✓ function wasi_snapshot_preview1.proc_exit (i32) -> ()
exports   2
    memory memory 2 pages
    function _start () -> ()
""".encode(),
        )

    def test_what_would_not_run(self):
        module = self.module(
            '(module (import "env" "a\\1b\\5bx" (func)) (import "e" "g" (global i32))'
            ' (func (export "f") (param f64 i64)))'
        )
        result = self.wasmctl("inspect", module)
        self.expect(result, 1)
        lines = result.stdout.decode().split("\n")
        self.assertIn("kind      library", lines)
        self.assertIn("  ✗ function env.a\\x1b[x () -> ()", lines)
        self.assertIn("  ✗ global e.g", lines)
        self.assertIn("    function f (f64, i64) -> ()", lines)
        self.assertTrue(lines[1].startswith("runs      no: "), lines[1])

    def test_entry_point(self):
        module = self.module(f'(module {MEMORY} (func (export "go")))')
        self.expect(self.wasmctl("inspect", module), 1)
        self.expect(self.wasmctl("inspect", "--entry", "go", module), 0)

    def test_damage(self):
        self.expect(self.wasmctl("inspect", self.write("x", b"rubbish")), 1, b"", "it starts with")
        whole = self.read(self.module(exit_with(0)))
        result = self.wasmctl("inspect", self.write("cut", whole[:-1]))
        self.expect(result, 1)
        self.assertIn("is cut off", result.stdout.decode())
        self.assertIn("proc_exit", result.stdout.decode())


if __name__ == "__main__":
    unittest.main()
