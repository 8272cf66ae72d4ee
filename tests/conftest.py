# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests that talk to a real httpd."""

import os
import shutil
import sys
import tempfile
from types import SimpleNamespace

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from pyhttpd.conf import HttpdConf                                       # noqa: E402
from pyhttpd.env import HttpdTestEnv, HttpdTestSetup, server_can_read    # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MPMS = ["event", "worker", "prefork"]


@pytest.fixture(scope="session")
def work_dir():
    """Where servers live: removed at the end, unless KEEP=1."""
    path = tempfile.mkdtemp(prefix="mod_wasm-tests.")
    os.chmod(path, 0o755)
    yield path
    if os.environ.get("KEEP"):
        print(f"kept {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def paths(work_dir):
    """What was built, where the server's user can read it."""
    made = {
        "lib": os.path.join(ROOT, os.environ.get("BUILD", "build/release")),
        "guests": os.path.join(ROOT, "build/guests"),
        "test_guests": os.path.join(ROOT, "build/test-guests"),
        "site": os.path.join(ROOT, "examples"),
        "sources": os.path.join(ROOT, "guests"),
    }
    for what in ("lib/mod_wasm.so", "guests/php-cgi.wasm", "test_guests/echo.wasm"):
        folder, name = what.split("/")
        if not os.path.exists(os.path.join(made[folder], name)):
            pytest.exit(f"{made[folder]}/{name} is missing: run make test", returncode=2)
    if not all(server_can_read(path) for path in made.values()):
        copies = {name: os.path.join(work_dir, "copy", name) for name in made}
        os.makedirs(copies["lib"])
        for name in ("mod_wasm.so", "libwasm_runtime.so.1", "wasmctl"):
            shutil.copy(os.path.join(made["lib"], name), copies["lib"])
        for name in ("guests", "test_guests", "site", "sources"):
            shutil.copytree(made[name], copies[name])
        made = copies
    return SimpleNamespace(**made, root=ROOT)


@pytest.fixture(scope="session")
def cache_dir(work_dir):
    """Compiled code, shared by all servers: each module is compiled once."""
    return os.path.join(work_dir, "wasm-cache")


@pytest.fixture(scope="session")
def make_env(work_dir, paths, cache_dir):
    """Makes servers; all are stopped at the end."""
    made = []

    def make(name, **options):
        server_dir = os.path.join(work_dir, f"{len(made):03}-{name}")
        options.setdefault("cache_dir", cache_dir)
        env = HttpdTestEnv(server_dir, os.path.join(paths.lib, "mod_wasm.so"), **options)
        made.append(env)
        env.setup_httpd(HttpdTestSetup(env))
        if "SANITIZER" in os.environ:
            env.sanitize(os.environ["SANITIZER"])
        return env

    yield make
    for env in made:
        env.apache_stop()


@pytest.fixture(scope="module", params=MPMS)
def mpm(request):
    return request.param


@pytest.fixture(scope="module")
def configure():
    """A test module's own fixture of this name adds to the configuration."""
    return lambda conf, paths: None


@pytest.fixture(scope="module")
def server_options():
    """A test module's own fixture of this name gives options of HttpdTestEnv."""
    return {}


@pytest.fixture(scope="module")
def env(request, make_env, mpm, configure, server_options, paths):
    """A running server for the tests of one module, one for each MPM."""
    server = make_env(f"{request.module.__name__.rsplit('.', maxsplit=1)[-1]}-{mpm}", mpm=mpm,
                      **server_options)
    conf = HttpdConf(server)
    configure(conf, paths)
    conf.install()
    with server.running():
        yield server


@pytest.fixture(autouse=True)
def quiet_log(request):
    """After each test: nothing in the log that the test did not expect."""
    server = request.getfixturevalue("env") if "env" in request.fixturenames else None
    if server is not None:
        server.httpd_error_log.mark()
    yield
    if server is not None:
        server.check_error_log()
