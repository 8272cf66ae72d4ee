# SPDX-License-Identifier: Apache-2.0
"""SQLite of a guest that locks by making FILE.lock, as the PHP from a package does:
however a run ends, the database is usable and whole."""

import concurrent.futures
import os
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest
from pyhttpd.env import SERVER_USER

CLIENTS = 8
INCREMENTS = 10

OPEN = '<?php $db = new PDO("sqlite:/data/db"); $db->setAttribute(PDO::ATTR_TIMEOUT, (int) $_GET["wait"]);'
SCRIPTS = {
    # What does not fit into the cache is written to the database before the end.
    "hold.php": OPEN + '$db->exec("pragma cache_size=5"); $db->exec("begin immediate");'
                '$db->exec("update t set n = n + 1, x = x || n"); file_put_contents("/data/held", "1"); sleep(600);',
    "read.php": OPEN + 'try { echo $db->query("select sum(n) from t")->fetchColumn(); }'
                'catch (PDOException $e) { echo $e->getMessage(); }',
    "add.php": OPEN + '$db->exec("pragma synchronous=off"); $db->exec("begin immediate");'
               '$n = $db->query("select n from t where rowid = 1")->fetchColumn();'
               '$db->exec("update t set n = " . ($n + 1) . " where rowid = 1"); $db->exec("commit"); echo $n + 1;',
    "exit.php": OPEN + '$db->exec("begin immediate"); echo "held"; exit(3);',
}


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        for name, text in SCRIPTS.items():
            with open(os.path.join(conf.env.server_docs_dir, name), "w", encoding="ascii") as out:
                out.write(text)
        conf.add([f'<Directory "{conf.env.server_docs_dir}">', "    AddHandler wasm-handler .php",
                  f'    WasmModule "{paths.guests}/php-cgi.wasm"', "    WasmEnableCGI On",
                  "    WasmMapCGIFileNames On", f'    WasmMapDir /www "{conf.env.server_docs_dir}" ro',
                  f'    WasmMapDir /data "{conf.env.server_dir}/data"', "</Directory>",
                  '<Location "/hold.php">', "    WasmTimeout 120", "</Location>"])
    return add


@pytest.fixture
def data(env):
    """The server's folder for data, with a table of 2,000 zeros."""
    folder = os.path.join(env.server_dir, "data")
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
    db = sqlite3.connect(f"{folder}/db", isolation_level=None)
    db.execute("pragma page_size = 1024")
    db.execute("create table t(n, x)")
    db.execute("begin")
    db.executemany("insert into t values(0, ?)", [("x" * 500,)] * 2000)
    db.execute("commit")
    db.close()
    if os.geteuid() == 0:
        shutil.chown(f"{folder}/db", SERVER_USER)
    return folder


def get(env, path, wait=0):
    answer = env.curl_get(env.mkurl(f"{path}?wait={wait}"))
    assert answer.response["status"] == 200, answer
    return answer.stdout


def hold(env, data):
    """Starts a request that holds the lock, part of its work written; the client."""
    client = subprocess.Popen(["curl", "-s", "-o", "/dev/null", env.mkurl("/hold.php?wait=0")])
    while not os.path.exists(f"{data}/held"):
        assert client.poll() is None
        time.sleep(0.01)
    assert os.path.isdir(f"{data}/db.lock") and os.path.getsize(f"{data}/db-journal") > 0
    return client


def check_usable(env, data):
    """What was written in part is taken back, and the next can write."""
    assert get(env, "/read.php") == "0"
    assert get(env, "/add.php") == "1"
    assert get(env, "/read.php") == "1"
    assert sorted(set(os.listdir(data)) - {"held"}) == ["db"]
    db = sqlite3.connect(f"{data}/db")
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    assert db.execute("select sum(n), count(*) from t").fetchone() == (1, 2000)


class TestLockDirectories:

    def test_210_01_run_that_is_stopped(self, env, data):
        client = hold(env, data)
        assert "database is locked" in get(env, "/read.php")
        client.terminate()   # who leaves ends its guest
        client.wait()
        end = time.monotonic() + 60
        while os.path.exists(f"{data}/db.lock"):
            assert time.monotonic() < end
            time.sleep(0.05)
        check_usable(env, data)
        env.httpd_error_log.ignore_recent([r"php-cgi\.wasm"])

    def test_210_02_process_that_is_killed(self, env, data):
        client = hold(env, data)
        assert "database is locked" in get(env, "/read.php")
        before = env.child_pids()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        client.wait()
        end = time.monotonic() + 60
        while len(set(env.child_pids()) - set(before)) < env.children:
            assert time.monotonic() < end
            time.sleep(0.05)
        check_usable(env, data)
        env.httpd_error_log.ignore_recent(["AH00052", "AH00051"])

    def test_210_03_run_that_exits(self, env, data):
        for _ in range(3):
            assert env.curl_get(env.mkurl("/exit.php?wait=0")).stdout == "held"
            assert not os.path.exists(f"{data}/db.lock")
        check_usable(env, data)
        env.httpd_error_log.ignore_recent([r"php-cgi\.wasm"])

    def test_210_04_increments(self, env, data):
        def work(_):
            return [int(get(env, "/add.php", wait=200)) for _ in range(INCREMENTS)]

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            answers = sorted(sum(pool.map(work, range(CLIENTS)), []))
        assert answers == list(range(1, CLIENTS * INCREMENTS + 1))

    def test_210_05_directory_of_a_native_program(self, env, data):
        os.mkdir(f"{data}/db.lock")
        assert "database is locked" in get(env, "/read.php")
        assert os.path.isdir(f"{data}/db.lock")
        os.rmdir(f"{data}/db.lock")
        check_usable(env, data)
