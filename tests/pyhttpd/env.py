# SPDX-License-Identifier: Apache-2.0
"""A real httpd in a directory of its own, and clients to talk to it.

The names are those of pyhttpd in httpd's own test suite, so that tests can
move between the two. Differences: a server takes free ports instead of fixed
ones, so that several can run at once; it is started as a child in the
foreground (an MPM's full life, without -X), so that its death is noticed; and
what the log holds is checked after each test.
"""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

from .log import HttpdErrorLog
from .result import ExecResult

SERVER_USER = "www-data"


def free_ports(count):
    """Ports that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def server_can_read(path):
    """Tells whether the user that children run as can read a file."""
    if os.geteuid() != 0:
        return os.access(path, os.R_OK)
    user = pwd.getpwnam(SERVER_USER)
    return subprocess.run(
        ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
         "test", "-r", path], check=False).returncode == 0


class HttpdTestSetup:
    """What a server has besides the configuration of a test."""

    MODULES = ["unixd", "log_config", "authz_core", "authz_host", "mime", "dir", "alias", "env",
               "headers", "rewrite", "setenvif", "reqtimeout"]

    def __init__(self, env):
        self.env = env
        self._modules = list(self.MODULES)

    def add_modules(self, modules):
        self._modules += modules

    def make(self):
        for name in ("conf", "logs", "htdocs", "data", "tmp"):
            path = os.path.join(self.env.server_dir, name)
            os.makedirs(path, exist_ok=True)
            if os.geteuid() == 0 and name in ("data", "tmp"):
                shutil.chown(path, SERVER_USER)
        with open(os.path.join(self.env.server_docs_dir, "index.html"), "w") as out:
            out.write("<p>a static page</p>\n")
        with open(os.path.join(self.env.server_dir, "conf/modules.conf"), "w") as out:
            for name in [self.env.mpm_module] + self._modules:
                path = os.path.join(self.env.libexec_dir, f"mod_{name}.so")
                if os.path.isfile(path):   # else it is built in
                    out.write(f'LoadModule {name}_module "{path}"\n')
            out.write(f'LoadModule wasm_module "{self.env.wasm_module}"\n')


class HttpdTestEnv:

    CURL_TIMEOUT = 60

    def __init__(self, server_dir, wasm_module, mpm="event", processes=2, threads=16,
                 cache_dir=None):
        self.server_dir = server_dir
        self.wasm_module = wasm_module
        self.cache_dir = cache_dir or os.path.join(server_dir, "wasm-cache")
        self.mpm = mpm
        self.processes = processes
        self.threads = threads   # of each process
        self.http_port, self.http_port2 = free_ports(2)
        self.libexec_dir = self.get_apxs_var("LIBEXECDIR")
        self.httpd = self._real_httpd = os.path.join(self.get_apxs_var("SBINDIR"),
                                                     self.get_apxs_var("PROGNAME"))
        self._before = []
        self.server_docs_dir = os.path.join(server_dir, "htdocs")
        self.server_logs_dir = os.path.join(server_dir, "logs")
        self.httpd_error_log = HttpdErrorLog(os.path.join(self.server_logs_dir, "error_log"))
        self.extra_environ = {}
        self._reports = None
        self._conf_file = os.path.join(server_dir, "conf/httpd.conf")
        self._process = None
        self._headerfiles = 0
        os.makedirs(server_dir, exist_ok=True)
        os.chmod(server_dir, 0o755)

    @property
    def mpm_module(self):
        return f"mpm_{self.mpm}"

    @property
    def http_base_url(self):
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def http_base_url2(self):
        return f"http://127.0.0.1:{self.http_port2}"

    @staticmethod
    def get_apxs_var(name):
        return subprocess.run(["apxs", "-q", name], check=True, capture_output=True,
                              text=True).stdout.strip()

    def mkurl(self, path, port=None):
        return f"http://127.0.0.1:{port or self.http_port}{path}"

    # ---------------------------------------------------------------- server

    def setup_httpd(self, setup=None):
        (setup or HttpdTestSetup(self)).make()

    @property
    def children(self):
        """How many processes serve requests."""
        return 2 * self.processes if self.mpm == "prefork" else self.processes

    def _mpm_conf(self):
        n = self.children
        if self.mpm == "prefork":
            return [f"StartServers {n}", f"MinSpareServers {n}", f"MaxSpareServers {n + 1}",
                    f"ServerLimit {n}", f"MaxRequestWorkers {n}"]
        threads = self.threads
        all_threads = threads * n
        return [f"StartServers {n}", f"ServerLimit {n}",
                f"ThreadsPerChild {threads}", f"ThreadLimit {threads}",
                f"MaxRequestWorkers {all_threads}", f"MinSpareThreads {all_threads}",
                f"MaxSpareThreads {all_threads + threads}"]

    def install_test_conf(self, lines):
        base = [
            f'ServerRoot "{self.server_dir}"',
            "ServerName localhost",
            f'PidFile "{self.server_dir}/logs/httpd.pid"',
            f'DefaultRuntimeDir "{self.server_dir}/logs"',
            f'ErrorLog "{self.httpd_error_log.path}"',
            f'Include "{self.server_dir}/conf/modules.conf"',
            "LogLevel warn wasm:debug",
            f"Listen 127.0.0.1:{self.http_port}",
            f"Listen 127.0.0.1:{self.http_port2}",
            f'DocumentRoot "{self.server_docs_dir}"',
            f'<Directory "{self.server_docs_dir}">', "    Require all granted", "</Directory>",
            "TypesConfig /dev/null", "AddType text/html .html", "AddType text/css .css",
            f'CustomLog "{self.server_logs_dir}/access_log" '
            '"%P %>s %B %{WASM_OUTCOME}e \\"%r\\""',
            f'WasmCacheDir "{self.cache_dir}"',
        ] + self._mpm_conf()
        if os.geteuid() == 0:
            group = pwd.getpwnam(SERVER_USER).pw_gid
            base += [f"User {SERVER_USER}", f"Group #{group}"]
        with open(self._conf_file, "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write("\n".join(base + lines) + "\n")

    def _environ(self):
        environ = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
        environ.update(self.extra_environ)
        return environ

    def check_config(self):
        """httpd -t"""
        return self.run([self.httpd, "-d", self.server_dir, "-f", self._conf_file, "-t"])

    def apache_restart(self, timeout=180):
        """Starts the server anew; 0 if it answers, else the exit code."""
        self.apache_stop()
        stderr = open(os.path.join(self.server_logs_dir, "stderr"), "wb")
        self._process = subprocess.Popen(
            [self.httpd, "-d", self.server_dir, "-f", self._conf_file, "-DFOREGROUND"],
            stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=self._environ(),
            start_new_session=True)   # a stopping server signals its whole process group
        stderr.close()
        return self._wait_live(timeout)

    def _wait_live(self, timeout):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            code = self._process.poll()
            if code is not None:
                self._process = None
                return code or -1
            try:
                socket.create_connection(("127.0.0.1", self.http_port), timeout=1).close()
                if len(self.child_pids()) >= self.children:
                    return 0
            except OSError:
                pass
            time.sleep(0.02)
        return -1

    def start_behind(self, command):
        """From now on the server's process runs a shell command, such as ulimit,
        before it becomes httpd, after those that were named earlier."""
        self._before.append(command)
        self.httpd = os.path.join(self.server_dir, "httpd")
        with open(self.httpd, "w") as out:
            out.write("\n".join(["#!/bin/bash", *self._before, f'exec "{self._real_httpd}" "$@"', ""]))
        os.chmod(self.httpd, 0o755)

    def sanitize(self, kind):
        """From now on the server runs with the library of a sanitizer, "address" or
        "thread", for which the module was built; what that finds fails the test."""
        self._reports = os.path.join(self.server_dir, "sanitizer")
        os.mkdir(self._reports)
        os.chmod(self._reports, 0o777)   # the children's user writes there
        library = {"address": "libasan.so", "thread": "libtsan.so"}[kind]
        preload = subprocess.run(["gcc", f"-print-file-name={library}"], check=True,
                                 capture_output=True, text=True).stdout.strip()
        # The engine handles the faults of guests itself; pools are not freed at exit.
        options = [f"log_path={self._reports}/report", "handle_segv=0", "handle_sigbus=0",
                   "handle_sigfpe=0", "handle_sigill=0", "detect_leaks=0", "print_stacktrace=1"]
        # httpd is not built for it: its locks are seen, its accesses are not.
        threads = ["ignore_noninstrumented_modules=1",
                   f"suppressions={os.path.dirname(os.path.dirname(__file__))}/tsan.supp"]
        self.start_behind("\n".join([f"export ASAN_OPTIONS='{':'.join(options)}'",
                                     f"export UBSAN_OPTIONS='{':'.join(options)}'",
                                     f"export TSAN_OPTIONS='{':'.join(options + threads)}'",
                                     f"export LD_PRELOAD='{preload}'"]))

    @contextlib.contextmanager
    def running(self):
        """Started before and stopped after, with nothing unexpected in the log."""
        assert self.apache_restart() == 0, self.stderr + "\n".join(self.httpd_error_log.recent())
        self.check_error_log()
        yield self
        assert self.apache_stop() == 0
        self.check_error_log()

    def apache_reload(self, timeout=60):
        """A graceful restart; 0 when all children are new ones."""
        before = set(self.child_pids())
        self._process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self._process.poll() is not None:
                return self._process.returncode or -1
            now = set(self.child_pids())
            if len(now) >= self.children and not now & before:
                return self._wait_live(timeout)
            time.sleep(0.02)
        return -1

    def apache_stop(self):
        if self._process is None:
            return 0
        process, self._process = self._process, None
        children = self._children(process.pid)
        self._wait_quiet()
        process.terminate()
        try:
            code = process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            for pid in children + [process.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            process.wait()
            raise
        return code

    def _wait_quiet(self, timeout=1):
        """Until what clients have left is closed. The event MPM of httpd 2.4 crashes at times
        if it is told to stop while a worker closes a connection: close_worker_sockets() in its
        event.c uses sockets whose pools workers destroy at the same time."""
        end = time.monotonic() + timeout
        while self._has_connections() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.02)   # a socket is closed somewhat before the worker has forgotten it

    def _has_connections(self):
        """Whether a process still holds a socket that is connected to one of the ports."""
        listening = "0A"
        ports = [f"{port:04X}" for port in (self.http_port, self.http_port2)]
        with open("/proc/net/tcp") as file:
            sockets = [line.split() for line in file.readlines()[1:]]
        return any(fields[1].split(":")[1] in ports and fields[3] != listening and fields[9] != "0"
                   for fields in sockets)

    @property
    def stderr(self):
        """What the server wrote before its log was open."""
        with open(os.path.join(self.server_logs_dir, "stderr"), errors="replace") as file:
            return file.read()

    @staticmethod
    def _children(pid):
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as file:
                return [int(child) for child in file.read().split()]
        except FileNotFoundError:
            return []

    def child_pids(self):
        """The processes that serve requests."""
        return self._children(self._process.pid) if self._process else []

    def access_log(self):
        """One tuple a request: pid, status, body bytes, outcome, request line."""
        with open(os.path.join(self.server_logs_dir, "access_log"), errors="surrogateescape") as file:
            entries = [re.match(r'(\d+) (\d+) (\d+) (\S+) "(.*)"', line).groups() for line in file]
        return [(int(p), int(s), int(b), o, r) for p, s, b, o, r in entries]

    def check_error_log(self):
        if self._reports:
            for name in os.listdir(self._reports):
                with open(os.path.join(self._reports, name), errors="replace") as file:
                    # Said at the first use of these (runtime/engine/interrupts.cpp).
                    report = [line for line in file if "support makecontext/swapcontext" not in line]
                assert not report, f"a sanitizer found:\n{''.join(report)}"
            # ThreadSanitizer takes most of the address space, at times more than it leaves
            # for the pool: guests then run with bounds checks.
            self.httpd_error_log.ignore_recent(["AH10915"])
        missed = self.httpd_error_log.get_missed()
        assert not missed, "unexpected lines in the error log:\n" + "\n".join(missed)

    # --------------------------------------------------------------- clients

    def run(self, args, inbytes=None, timeout=300):
        p = subprocess.run(args, input=inbytes, capture_output=True, timeout=timeout, check=False,
                           env=self._environ(),
                           stdin=subprocess.DEVNULL if inbytes is None else None)
        return ExecResult(args=args, exit_code=p.returncode, stdout=p.stdout, stderr=p.stderr)

    @staticmethod
    def _parse_headers(data):
        """Gives the last of the header blocks that curl has dumped."""
        response = None
        for line in data.decode("latin-1").splitlines():
            m = re.match(r"(HTTP/\S+) (\d+)", line)
            if m:
                response = {"protocol": m.group(1), "status": int(m.group(2)), "header": {},
                            "headers": [], "previous": response, "body": b""}
            elif ":" in line:
                name, value = line.split(":", 1)
                response["header"][name.strip().lower()] = value.strip()
                response["headers"].append((name.strip().lower(), value.strip()))
        return response

    def curl_raw(self, url, timeout=None, options=None, inbytes=None):
        self._headerfiles += 1
        headers = os.path.join(self.server_dir, f"curl.headers.{self._headerfiles}")
        r = self.run(["curl", "-sS", "--path-as-is", "-m", str(timeout or self.CURL_TIMEOUT),
                      "-D", headers] + (options or []) + [url], inbytes=inbytes)
        if os.path.isfile(headers):
            with open(headers, "rb") as file:
                r.response = self._parse_headers(file.read())
            os.remove(headers)
            if r.response:
                r.response["body"] = r.outraw
        return r

    def curl_get(self, url, options=None):
        return self.curl_raw(url, options=options)

    def curl_head(self, url, options=None):
        return self.curl_raw(url, options=["-I"] + (options or []))

    def curl_post_data(self, url, data, options=None):
        """Sends bytes or text as the body, by Content-Length."""
        data = data.encode() if isinstance(data, str) else data
        return self.curl_raw(url, options=["--data-binary", "@-"] + (options or []), inbytes=data)

    def curl_upload(self, url, fpath, options=None):
        return self.curl_raw(url, options=["--form", f"file=@{fpath}"] + (options or []))

    def raw_request(self, data, port=None, timeout=60):
        """Sends bytes as they are; gives all that comes until the end."""
        with socket.create_connection(("127.0.0.1", port or self.http_port), timeout=timeout) as s:
            s.sendall(data)
            received = b""
            while chunk := s.recv(65536):
                received += chunk
            return received
