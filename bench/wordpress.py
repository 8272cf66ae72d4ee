# SPDX-License-Identifier: Apache-2.0
"""One WordPress for two servers of PHP: the demo site's, installed by its own wizard."""

import http.client
import os
import shutil
import sqlite3
import subprocess
import urllib.parse
from pathlib import Path

# The address is the one that a request came by: each server has a path of its own.
HOME = """<?php
define( 'WP_HOME', 'http://' . $_SERVER['HTTP_HOST'] . dirname( $_SERVER['SCRIPT_NAME'] ) );
define( 'WP_SITEURL', WP_HOME );
"""


class WordPress:
    """`run` is where the servers' user can read; what it writes to lies there, too."""

    WASM, FPM = "/wasm-wordpress/", "/fpm-wordpress/"
    BOOTSTRAP = "?p=1"   # answered by a redirection to the page's own address

    def __init__(self, run, applications, examples, guests):
        self.run = run / "wordpress"
        self.site = self.run / "site"
        self.data = self.run / "data"
        self.tmp = self.run / "tmp"
        self.config = self.run / "php"
        self.module = guests / "php.wasm"
        for path in (self.site, self.data, self.tmp, self.config):
            path.mkdir(parents=True)
        shutil.copytree(applications / "wordpress", self.site / "wordpress")
        shutil.copy2(examples / "wordpress" / "php.ini", self.config)
        # The guest sees its directories under the names that php-fpm sees.
        warm_up = (examples / "wordpress" / "warmup").read_text()
        (self.config / "warmup").write_text(warm_up.replace("/www/", f"{self.site}/"))
        config = (examples / "wordpress" / "wp-config.php").read_text()
        assert "'/data'" in config
        (self.site / "wp-config.php").write_text(
            HOME + config.removeprefix("<?php\n").replace("'/data'", f"'{self.data}'"))
        subprocess.run(["chmod", "-R", "a+rX", self.run], check=True)
        if os.geteuid() == 0:
            for path in (self.data, self.tmp):
                shutil.chown(path, "www-data")

    def configuration(self, fpm):
        """Scripts are found by a section of their paths, directories by mod_dir."""
        return f"""\
DirectoryIndex index.php
Alias "{self.WASM}" "{self.site}/wordpress/"
<LocationMatch "^{self.WASM}.*\\.php$">
    SetHandler wasm-handler
    WasmModule "{self.module}"
    WasmEnableCGI On
    WasmMapDir "{self.site}" "{self.site}" ro
    WasmMapDir "{self.data}" "{self.data}"
    WasmMapDir /tmp "{self.tmp}"
    WasmMapDir /etc/php "{self.config}" ro
    WasmEnv PHP_WARMUP /etc/php/warmup
    WasmSnapshot On
    WasmMemoryLimit 256M
</LocationMatch>
Alias "{self.FPM}" "{self.site}/wordpress/"
<LocationMatch "^{self.FPM}.*\\.php$">
    SetHandler "proxy:unix:{fpm.socket}|fcgi://localhost/"
</LocationMatch>
"""

    @staticmethod
    def request(port, path, form=None):
        """@return (status, Location, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            connection.request("POST" if form else "GET", path, urllib.parse.urlencode(form) if form else None,
                               {"Content-Type": "application/x-www-form-urlencoded"} if form else {})
            response = connection.getresponse()
            return response.status, response.getheader("Location", ""), response.read().decode()
        finally:
            connection.close()

    def install(self, port):
        """Through the wizard; then pages have addresses of their own, to which ?p= redirects."""
        password = "measured, not guarded"
        status, _, text = self.request(port, f"{self.WASM}wp-admin/install.php?step=2", {
            "weblog_title": "Measured", "user_name": "admin", "admin_password": password, "admin_password2": password,
            "pw_weak": "on", "admin_email": "admin@example.org"})
        if status != 200 or "Success!" not in text:
            raise RuntimeError(f"WordPress was not installed: {status}\n{text}")
        with sqlite3.connect(self.data / "wordpress.sqlite") as database:
            database.execute("update wp_options set option_value = '/%postname%/' "
                             "where option_name = 'permalink_structure'")
            database.execute("delete from wp_options where option_name = 'rewrite_rules'")

    def check(self, port):
        """Both have to send the same pages."""
        pages = []
        for base in (self.WASM, self.FPM):
            self.request(port, base)   # the first one sets up the addresses of pages
            status, _, page = self.request(port, base)
            moved, to, _ = self.request(port, base + self.BOOTSTRAP)
            if status != 200 or moved != 301 or not to.endswith(f"{base}hello-world/"):
                raise RuntimeError(f"{base} answers {status}, {moved} {to}\n{page[:1000]}")
            pages.append(page.replace(base.strip("/"), "wordpress"))
        if pages[0] != pages[1]:
            for name, page in zip(("wasm", "fpm"), pages):
                Path(self.run / f"{name}.html").write_text(page, encoding="utf-8")
            raise RuntimeError(f"the guest and php-fpm send different pages: {self.run}/*.html")
