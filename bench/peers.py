# SPDX-License-Identifier: Apache-2.0
"""The servers that are measured, each in a directory of its own on loopback."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1

# Each process has a thread for each of the 64 connections: worker needs one
# for each, and event closes kept-alive connections when none is idle.
CHILDREN = 2
THREADS = 72

GUESTS = ("hello", "write", "read", "php", "python", "ruby")


def end_with_parent():
    """In a new process: it ends when this program does, whatever ends that."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def apxs(name):
    return subprocess.run(["apxs", "-q", name], check=True, capture_output=True,
                          text=True).stdout.strip()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def children_of(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def identity():
    """Who children run as: httpd does not run them as root."""
    if os.geteuid() != 0:
        return ""
    user = pwd.getpwnam("www-data")
    return f"User {user.pw_name}\nGroup #{user.pw_gid}\n"


class Process:
    """A server in the foreground, ended by its process id."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.directory.chmod(0o755)
        self.log = self.directory / "error.log"
        self.process = None

    def spawn(self, command):
        # A session of its own: httpd ends its children by a signal to its
        # process group, and this program must not be in it.
        with open(self.directory / "output.log", "ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=output, start_new_session=True,
                                            preexec_fn=end_with_parent)

    def check_alive(self):
        if self.process.poll() is not None:
            said = ""
            for name in ("output.log", "error.log"):
                path = self.directory / name
                if path.exists():
                    said += path.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{self.process.args[0]} ended with {self.process.returncode}:\n{said}")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            for pid in children_of(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()


class Httpd(Process):
    """One httpd. `body` is configuration that may use {port}, {dir}."""

    def __init__(self, directory, mpm, modules, body):
        super().__init__(directory)
        self.port = free_port()
        self.mpm = mpm
        libexec = Path(apxs("LIBEXECDIR"))
        self.program = str(Path(apxs("SBINDIR")) / apxs("PROGNAME"))
        load = []
        for name in [f"mpm_{mpm}", "unixd", "log_config", "authz_core", "mime", "alias", *modules]:
            if "=" in name:
                name, path = name.split("=")
                load.append(f'LoadModule {name}_module "{path}"')
            elif (libexec / f"mod_{name}.so").exists():      # else it is built in
                load.append(f'LoadModule {name}_module "{libexec}/mod_{name}.so"')
        if mpm == "prefork":
            size = f"StartServers {THREADS}\nMinSpareServers 1\n" \
                   f"MaxSpareServers {CHILDREN * THREADS}\n" \
                   f"ServerLimit {CHILDREN * THREADS}\nMaxRequestWorkers {CHILDREN * THREADS}\n"
        else:
            size = f"StartServers {CHILDREN}\nServerLimit {CHILDREN}\nThreadsPerChild {THREADS}\n" \
                   f"MaxRequestWorkers {CHILDREN * THREADS}\nMinSpareThreads 1\n" \
                   f"MaxSpareThreads {CHILDREN * THREADS}\n"
        self.conf = self.directory / "httpd.conf"
        self.conf.write_text(f"""\
ServerRoot "{self.directory}"
ServerName localhost
ServerTokens Minimal
PidFile "{self.directory}/httpd.pid"
DefaultRuntimeDir "{self.directory}"
ErrorLog "{self.log}"
LogLevel warn
Listen 127.0.0.1:{self.port}
{identity()}
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
Timeout 120
{chr(10).join(load)}
{size}
TypesConfig /dev/null
AddType text/plain .txt
{body.replace("{dir}", str(self.directory))}
""")

    def start(self, path="/static/hello.txt", limit=300):
        """@return seconds until `path` was answered."""
        began = time.monotonic()
        self.spawn([self.program, "-d", str(self.directory), "-f", str(self.conf), "-DFOREGROUND"])
        request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
        while time.monotonic() - began < limit:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=limit) as s:
                    s.sendall(request)
                    answer = s.recv(64)
                if b" 200 " in answer:
                    return time.monotonic() - began
                raise RuntimeError(f"{path} answers {answer!r}; see {self.log}")
            except OSError:
                self.check_alive()
                time.sleep(0.002)
        raise RuntimeError(f"{self.program} did not answer within {limit} s")

    def workers(self):
        """Processes that serve requests: those that accept connections."""
        names = {}
        for pid in children_of(self.process.pid):
            names[pid] = Path(f"/proc/{pid}/comm").read_text().strip()
        # mod_cgid's daemon is a child as well; it has one thread only.
        if self.mpm == "prefork":
            return list(names)
        return [p for p in names if len(os.listdir(f"/proc/{p}/task")) > 2]

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


class PhpFpm(Process):
    """php-fpm with OPcache, on a socket."""

    def __init__(self, directory):
        super().__init__(directory)
        self.socket = self.directory / "fpm.sock"
        found = sorted(Path("/usr/sbin").glob("php-fpm*"))
        if not found:
            raise FileNotFoundError("php-fpm (Debian: php8.2-fpm php8.2-opcache)")
        self.program = str(found[-1])
        user = "user = www-data\ngroup = www-data\n" if os.geteuid() == 0 else ""
        (self.directory / "fpm.conf").write_text(f"""\
[global]
error_log = {self.log}
daemonize = no
[bench]
{user}listen = {self.socket}
listen.mode = 0666
listen.backlog = 511
pm = static
pm.max_children = 8
""")

    def start(self):
        ini = php_ini(self.directory)
        root = ["-R"] if os.geteuid() == 0 else []
        self.spawn([self.program, "-F", *root, "-y", str(self.directory / "fpm.conf"), "-c", ini])
        for _ in range(1000):
            if self.socket.exists():
                return
            self.check_alive()
            time.sleep(0.01)
        raise RuntimeError("php-fpm opened no socket")


def php_ini(directory):
    """The same settings for php-fpm and mod_php. @return its path."""
    path = Path(directory) / "php.ini"
    path.write_text("opcache.enable=1\nopcache.memory_consumption=64\n")
    return str(path)


def find_mod_php(build):
    """@return mod_php's path: as installed, or unpacked from Debian's package."""
    installed = sorted(Path(apxs("LIBEXECDIR")).glob("libphp*.so"))
    if installed:
        return installed[-1]
    unpacked = build.resolve() / "mod_php"
    if not unpacked.exists() and shutil.which("apt-get"):
        fetched = build / "fetched"
        fetched.mkdir(exist_ok=True)
        subprocess.run(["apt-get", "-q", "download", "libapache2-mod-php8.2"], cwd=fetched,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        for package in fetched.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        shutil.rmtree(fetched)
    found = sorted(unpacked.glob("usr/lib/apache2/modules/libphp*.so"))
    return found[-1] if found else None


class Site:
    """Copies of all that servers use, where the user they run as can read it,
    and the configuration of each route."""

    def __init__(self, run, release, guests, build, bench):
        self.run = run
        self.lib = run / "lib"
        self.guests = run / "guests"
        self.www = run / "www"
        self.cgi = run / "cgi"
        self.cache = run / "cache"
        for path in (self.lib, self.guests, self.www, self.cgi):
            path.mkdir(parents=True)
        for name in ("mod_wasm.so", "wasmctl"):
            shutil.copy2(release / name, self.lib)
        for path in release.glob("libwasm_runtime.so*"):
            shutil.copy2(path, self.lib, follow_symlinks=False)
        shutil.copy2(build / "mod_bench_native.so", self.lib)
        for name in ("hello", "php-cgi", "python", "ruby"):
            shutil.copy2(guests / f"{name}.wasm", self.guests)
        for name in ("write", "read"):
            shutil.copy2(build / f"{name}.wasm", self.guests)
        shutil.copytree(guests / "python", self.guests / "python", symlinks=True)
        # `make php-guest` makes this one; it is not there on all machines.
        self.has_php_guest = (guests / "php.wasm").exists()
        if self.has_php_guest:
            shutil.copy2(guests / "php.wasm", self.guests)
            config = run / "php-config"
            config.mkdir()
            (config / "php.ini").write_text("opcache.enable = 1\nopcache.memory_consumption = 64\n"
                                            "opcache.interned_strings_buffer = 4\n"
                                            "user_ini.filename =\n")
            (config / "warmup").write_text(f"{self.www}\n")
        # The same of `make python-guest`.
        self.has_python_guest = (guests / "cpython").exists()
        if self.has_python_guest:
            shutil.copytree(guests / "cpython", self.guests / "cpython", symlinks=True)
        for path in (bench / "www").iterdir():
            shutil.copy2(path, self.www)
        (self.www / "hello.txt").write_text("Hello from C\n")
        shutil.copy2(build / "hello", self.cgi / "hello")
        shutil.copy2(bench / "www" / "hello.py", self.cgi / "hello.py")
        subprocess.run(["chmod", "-R", "a+rX", run], check=True)

    def static(self):
        return f"""\
DocumentRoot "{self.www}"
<Directory "/">
    Options FollowSymLinks
    AllowOverride None
</Directory>
<Directory "{self.run}">
    Require all granted
</Directory>
Alias "/static" "{self.www}"
"""

    def native(self):
        return "".join(f"""\
<Location "/native-{name}">
    SetHandler bench-{name}
</Location>
""" for name in ("hello", "write", "read"))

    def wasm(self, names=GUESTS):
        routes = {
            "hello": f'WasmModule "{self.guests}/hello.wasm"',
            "write": f'WasmModule "{self.guests}/write.wasm"\n    WasmOutputLimit 4294967296',
            "read": f'WasmModule "{self.guests}/read.wasm"',
            "php": f'WasmModule "{self.guests}/php-cgi.wasm"\n'
                   f'    WasmMapDir /app "{self.www}" ro\n    WasmMapCGIFileNames On',
            "python": f'WasmModule "{self.guests}/python.wasm"\n    WasmArg /app/hello.py\n'
                      f'    WasmEnv PYTHONDONTWRITEBYTECODE 1\n'
                      f'    WasmEnv PYTHONHOME /python\n'
                      f'    WasmMapDir /python "{self.guests}/python" ro\n'
                      f'    WasmMapDir /app "{self.www}" ro',
            "php84": f'WasmModule "{self.guests}/php.wasm"\n'
                     f'    WasmMapDir "{self.www}" "{self.www}" ro\n'
                     f'    WasmMapDir /etc/php "{self.run}/php-config" ro',
            "cpython": f'WasmModule "{self.guests}/cpython/python.wasm"\n    WasmArg /app/hello.py\n'
                       f'    WasmMapDir /python "{self.guests}/cpython" ro\n'
                       f'    WasmMapDir /app "{self.www}" ro',
            "ruby": f'WasmModule "{self.guests}/ruby.wasm"\n    WasmArg /app/hello.rb\n'
                    f'    WasmMapDir /app "{self.www}" ro',
        }
        routes["warmphp"] = routes["php84"] + "\n    WasmSnapshot On\n    WasmEnv PHP_WARMUP /etc/php/warmup"
        routes["warmcpython"] = routes["cpython"] + "\n    WasmSnapshot On"
        text = f'WasmCacheDir "{self.cache}"\n'
        for name in ("php", "php84", "warmphp"):
            if name in names:
                text += f'Alias "/wasm-{name}" "{self.www}/hello.php"\n'
        for name in names:
            text += f"""\
<Location "/wasm-{name}">
    SetHandler wasm-handler
    {routes[name]}
    WasmEnableCGI On
</Location>
"""
        return text

    def cgid(self):
        return f"""\
ScriptSock "{{dir}}/cgid.sock"
ScriptAlias "/cgi/" "{self.cgi}/"
"""

    def fpm(self, fpm):
        return f"""\
Alias "/fpm" "{self.www}/hello.php"
<Location "/fpm">
    SetHandler "proxy:unix:{fpm.socket}|fcgi://localhost/"
</Location>
"""

    def mod_php(self):
        return f"""\
PHPINIDir "{{dir}}"
Alias "/modphp" "{self.www}/hello.php"
<Location "/modphp">
    SetHandler application/x-httpd-php
</Location>
"""

    @property
    def wasm_module(self):
        return f"wasm={self.lib}/mod_wasm.so"

    @property
    def native_module(self):
        return f"bench_native={self.lib}/mod_bench_native.so"
