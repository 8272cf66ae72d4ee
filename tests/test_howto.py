# SPDX-License-Identifier: Apache-2.0
"""Runs the examples of docs/howto as they stand there.

In those pages a block's info string says what it is:

    ```c /srv/src/hello.c   a file
    ```sh                   commands, run in the order of the page
    ```apache               configuration of the server
    ```console              a command behind "$ ", and all it prints
    ```bash                 commands for a machine of one's own; not run here

Everything below /srv and /usr/local/lib/wasm lies in a directory of the test.
"""

import glob
import os
import pwd
import re
import shutil
import subprocess

import pytest
from pyhttpd.conf import HttpdConf
from pyhttpd.env import SERVER_USER

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = sorted(glob.glob(os.path.join(ROOT, "docs/howto/*.md")))


class Page:

    def __init__(self, path, work, paths, server):
        self.work = work
        self.paths = paths
        self.server = server
        with open(path, encoding="utf-8") as file:
            self.blocks = re.findall(r"^```(\w+)(?: (/\S+))?\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)

    def here(self, text):
        """The same, with this test's directories and address."""
        user = SERVER_USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        for name, stand_in in (("/srv/", f"{self.work}/srv/"), ("http://localhost", self.server.http_base_url),
                               ("/usr/local/lib/wasm/", f"{self.paths.guests}/"), ("www-data", user)):
            text = text.replace(name, stand_in)
        return text

    def there(self, text):
        return text.replace(f"{self.work}/srv/", "/srv/").replace(self.server.http_base_url, "http://localhost")

    def run(self, command):
        result = subprocess.run(["sh", "-ec", self.here(command)], cwd=ROOT, check=False, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return result.returncode, self.there(result.stdout)

    def prepare(self):
        """Writes files, runs commands. @return the server's configuration."""
        configuration = []
        for kind, file, text in self.blocks:
            if file:
                os.makedirs(os.path.dirname(self.here(file)), exist_ok=True)
                with open(self.here(file), "w", encoding="utf-8") as out:
                    out.write(text)
            elif kind == "sh":
                status, output = self.run(text)
                assert status == 0, output
            elif kind == "apache":
                configuration += self.here(text).splitlines()
        return configuration

    def check(self):
        """Runs what the page says that one sees."""
        seen = 0
        for kind, file, text in self.blocks:
            if kind != "console" or file:
                continue
            for command, expected in re.findall(r"^\$ (.*(?:\\\n.*)*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
                _, output = self.run(command)
                assert output.replace("\r", "") == expected, command
                seen += 1
        return seen


def test_readme(make_env, paths, work_dir):
    """The configuration in README.md serves what it says."""
    work = os.path.join(work_dir, "readme")
    for folder in ("srv/www/shop", "srv/data/shop", "srv/data/api", "srv/wasm"):
        os.makedirs(f"{work}/{folder}")
    for guest, name in (("php-cgi", "php-cgi"), ("hello", "api")):
        os.symlink(f"{paths.guests}/{guest}.wasm", f"{work}/srv/wasm/{name}.wasm")
    with open(f"{work}/srv/www/shop/index.php", "w", encoding="utf-8") as out:
        out.write("<?php echo __FILE__, ' ', json_encode(@file_put_contents('/app/new', 'x')), PHP_EOL;")
    server = make_env("readme")
    page = Page(os.path.join(ROOT, "README.md"), work, paths, server)
    (text,) = [text for kind, _, text in page.blocks if kind == "apache"]
    lines = page.here(text).splitlines()
    assert lines[0].startswith("LoadModule wasm_module ")
    conf = HttpdConf(server).add(lines[1:])
    conf.add([f'Alias "/shop" "{work}/srv/www/shop"', f'<Directory "{work}/srv/www/shop">', "    Require all granted",
              "</Directory>"])
    conf.install()
    with server.running():
        assert server.curl_get(server.mkurl("/shop/index.php")).outraw == b"/app/index.php false\n"
        assert server.curl_get(server.mkurl("/api")).outraw == b"Hello from C\n"


@pytest.mark.parametrize("path", PAGES, ids=[os.path.basename(path) for path in PAGES])
def test_page(path, make_env, paths, work_dir):
    name = os.path.basename(path)[:-3]
    work = os.path.join(work_dir, f"howto-{name}")
    os.makedirs(f"{work}/srv")
    server = make_env(f"howto-{name}")
    page = Page(path, work, paths, server)
    configuration = page.prepare()
    HttpdConf(server).add(configuration).install()
    assert server.apache_restart() == 0, server.stderr + "\n".join(server.httpd_error_log.recent())
    try:
        assert page.check() > 0, "the page shows no request"
        server.check_error_log()
    finally:
        server.apache_stop()
        shutil.rmtree(work, ignore_errors=True)
