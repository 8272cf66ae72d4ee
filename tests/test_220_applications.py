# SPDX-License-Identifier: Apache-2.0
"""WordPress and DokuWiki as the demo site serves them: a browser's way through each, then
many users at once."""

import concurrent.futures
import html.parser
import http.client
import itertools
import json
import os
import re
import shutil
import sqlite3
import struct
import subprocess
import time
import urllib.parse
import uuid
import zlib
from http.cookies import SimpleCookie

import pytest
from pyhttpd.conf import HttpdConf
from pyhttpd.env import SERVER_USER, server_can_read

START_SECONDS = 600   # PHP is compiled once for each application
USERS = 8
# `make test LOAD_SECONDS=60`; and MPM=worker for another MPM
LOAD_SECONDS = int(os.environ.get("LOAD_SECONDS", "8"))
PASSWORD = "correct horse battery staple"


def png(width, height):
    """A picture with a different colour in each corner."""
    rows = b"".join(b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 128)) for x in range(width))
                    for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Forms(html.parser.HTMLParser):
    """The forms of a page: for each its attributes and what it would send as it stands."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self._textarea = self._select = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag == "form":
            self.found.append((a, {}))
        if not self.found:
            return
        fields = self.found[-1][1]
        name = a.get("name")
        if tag == "input" and name and a.get("type") not in ("submit", "button", "image", "file"):
            if a.get("type") not in ("checkbox", "radio") or "checked" in a:
                fields[name] = a.get("value", "on" if a.get("type") == "checkbox" else "")
        elif tag == "textarea" and name:
            self._textarea = name
            fields[name] = ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in a or self._select not in fields):
            fields[self._select] = a.get("value", "")

    def handle_data(self, data):
        if self._textarea:
            self.found[-1][1][self._textarea] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self._textarea = None
        elif tag == "select":
            self._select = None


class Page:

    def __init__(self, url, status, headers, body):
        self.url = url
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def form(self, identifier):
        """(address, fields) of the form of that id or name."""
        for attributes, fields in Forms(self.text).found:
            if identifier in (attributes.get("id"), attributes.get("name")):
                return urllib.parse.urljoin(self.url, attributes.get("action") or self.url), fields
        raise AssertionError(f"no form {identifier} in {self.url}:\n{self.text}")

    def find(self, pattern):
        match = re.search(pattern, self.text)
        assert match, f"no {pattern} in {self.url}:\n{self.text}"
        return match[1]


class Browser:
    """Keeps cookies and a connection, follows redirections, fills in forms."""

    def __init__(self, env, address="127.0.0.1"):
        self._env = env
        self._host = f"127.0.0.1:{env.http_port}"
        self._connection = http.client.HTTPConnection(self._host, timeout=120, source_address=(address, 0))
        self._cookies = {}

    def again(self):
        """The same session on a connection of its own."""
        other = Browser(self._env)
        other._cookies = dict(self._cookies)
        return other

    def request(self, method, url, body=None, headers=None, follow=True):
        path = urllib.parse.urljoin(f"http://{self._host}/", url)
        for _ in range(6):
            parts = urllib.parse.urlsplit(path)
            assert parts.netloc == self._host, path
            sent = dict(headers or {})
            if self._cookies:
                sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            try:
                self._connection.request(method, urllib.parse.urlunsplit(("", "", *parts[2:4], "")), body, sent)
                response = self._connection.getresponse()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self._connection.close()   # kept alive for too long
                self._connection.request(method, urllib.parse.urlunsplit(("", "", *parts[2:4], "")), body, sent)
                response = self._connection.getresponse()
            page = Page(path, response.status, response.headers, response.read())
            for line in response.headers.get_all("Set-Cookie", []):
                for name, morsel in SimpleCookie(line).items():
                    if morsel["max-age"] == "0" or morsel.value in ("", "deleted", " "):
                        self._cookies.pop(name, None)
                    else:
                        self._cookies[name] = morsel.coded_value
            if not follow or page.status not in (301, 302, 303, 307) or "Location" not in page.headers:
                return page
            path = urllib.parse.urljoin(path, page.headers["Location"])
            method, body, headers = "GET", None, None
        raise AssertionError(f"{url} is redirected for ever")

    def get(self, url, status=200, **options):
        page = self.request("GET", url, **options)
        assert page.status == status, (url, page.status, page.body[:4000])
        return page

    def post(self, url, fields, status=200, **options):
        page = self.request("POST", url, urllib.parse.urlencode(fields),
                            {"Content-Type": "application/x-www-form-urlencoded"}, **options)
        assert page.status == status, (url, page.status, page.body[:4000])
        return page

    def submit(self, page, form, status=200, **fields):
        """Sends a form of a page with some of its fields filled in."""
        address, sent = page.form(form)
        return self.post(address, {**sent, **fields}, status)

    def upload(self, url, fields, name, file, kind, content):
        boundary = uuid.uuid4().hex
        body = b"".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode()
                        for n, v in fields.items())
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
                 f"Content-Type: {kind}\r\n\r\n").encode() + content + f"\r\n--{boundary}--\r\n".encode()
        return self.request("POST", url, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})


class WordPress:
    """What the tests know of the site, one after the other."""

    def __init__(self, env, state):
        self.env = env
        self.state = state
        self.admin = Browser(env)
        self.visitor = Browser(env)
        self.nonce = self.post = self.picture = None

    def database(self):
        return sqlite3.connect(os.path.join(self.state, "wordpress/data/wordpress.sqlite"), timeout=60)

    def one(self, query, *values):
        with self.database() as database:
            return database.execute(query, values).fetchone()[0]

    def check_database(self):
        assert self.one("pragma integrity_check") == "ok"

    def call(self, method, route, browser=None, expect=200, **values):
        """The REST interface, as the editor uses it."""
        page = (browser or self.admin).request(method, f"/wordpress/index.php?rest_route=/wp/v2/{route}",
                                               json.dumps(values) if values else None,
                                               {"X-WP-Nonce": self.nonce, "Content-Type": "application/json"})
        assert page.status == expect, (route, page.status, page.body[:4000])
        return page.json


@pytest.fixture(scope="module")
def applications(work_dir, paths):
    path = os.path.join(paths.root, "build/applications")
    if not os.path.exists(f"{paths.guests}/php.wasm"):
        pytest.skip("no php.wasm: make php-guest")
    if not os.path.exists(f"{path}/dokuwiki") or not os.path.exists(f"{path}/wordpress"):
        pytest.skip("no applications: make applications")
    if not server_can_read(f"{path}/wordpress/index.php"):
        shutil.copytree(path, f"{work_dir}/copy/applications")
        path = f"{work_dir}/copy/applications"
    return path


@pytest.fixture(scope="module")
def state(work_dir, paths, applications):
    path = os.path.join(work_dir, "applications")
    shutil.rmtree(path, ignore_errors=True)
    subprocess.run([f"{paths.site}/make_state.sh", applications, path], check=True)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", SERVER_USER, path], check=True)
    return path


@pytest.fixture(scope="module")
def env(make_env, paths, applications, state):
    mpm = os.environ.get("MPM", "event")
    server = make_env(f"applications-{mpm}", mpm=mpm)
    conf = HttpdConf(server)
    for name, value in (("SITE", paths.site), ("GUESTS", paths.guests), ("APPLICATIONS", applications),
                        ("STATE", state)):
        conf.add(f'Define {name} "{value}"')
    conf.add([f'Include "{paths.site}/wordpress/wordpress.conf"', f'Include "{paths.site}/dokuwiki/dokuwiki.conf"'])
    conf.add_wasm("/index", f"{paths.guests}/site.wasm", "WasmArg index", "WasmArg /site/applications.txt",
                  f'WasmMapDir /site "{paths.site}" ro', f'WasmMapDir /modules "{paths.guests}" ro')
    conf.install()
    assert server.apache_restart(timeout=START_SECONDS) == 0, \
        server.stderr + "\n".join(server.httpd_error_log.recent())
    server.check_error_log()   # it says so when a route has no image
    yield server
    assert server.apache_stop() == 0
    server.check_error_log()


@pytest.fixture(scope="module")
def wordpress(env, state):
    return WordPress(env, state)


class TestWordPress:

    def test_220_01_the_wizard(self, wordpress):
        page = wordpress.admin.get("/wordpress/")
        assert page.url.endswith("/wordpress/wp-admin/install.php") and "Welcome" in page.text
        page = wordpress.admin.submit(page, "setup", weblog_title="A site & its name", user_name="ada",
                                      admin_password=PASSWORD, admin_password2=PASSWORD, admin_email="ada@example.org")
        assert "Success!" in page.text
        page = wordpress.visitor.get("/wordpress/")
        assert "A site &amp; its name" in page.text and "Hello world!" in page.text
        assert "already installed" in wordpress.admin.get("/wordpress/wp-admin/install.php").text
        wordpress.check_database()

    def test_220_02_log_in(self, wordpress):
        page = wordpress.admin.get("/wordpress/wp-login.php")
        assert "is incorrect" in wordpress.admin.submit(page, "loginform", log="ada", pwd="wrong").text
        page = wordpress.admin.submit(page, "loginform", log="ada", pwd=PASSWORD)
        assert page.url.endswith("/wordpress/wp-admin/") and "Howdy" in page.text and "Dashboard" in page.text
        assert "wp-login.php" in wordpress.visitor.get("/wordpress/wp-admin/").url
        # Drawn by the site itself, as its configuration names none.
        assert wordpress.one("select count(distinct option_value) from wp_options where length(option_value) = 64 and "
                             "option_name in ('logged_in_key', 'logged_in_salt')") == 2

    def test_220_03_a_post_with_an_image(self, wordpress, state):
        admin = wordpress.admin
        form, fields = admin.get("/wordpress/wp-admin/media-new.php").form("file-form")
        fields["html-upload"] = "Upload"
        page = admin.upload(form, fields, "async-upload", "Sunset.png", "image/png", png(900, 600))
        assert page.status == 200 and page.url.partition("?")[0].endswith("/wp-admin/upload.php"), page.body[:4000]

        page = admin.get("/wordpress/wp-admin/post-new.php")
        wordpress.nonce = page.find(r'createNonceMiddleware\( "(\w+)" \)')
        (media,) = wordpress.call("GET", "media")
        sizes = media["media_details"]["sizes"]
        assert {"medium", "thumbnail", "medium_large"} <= set(sizes), sizes
        wordpress.picture = sizes["medium"]["source_url"]
        body = wordpress.visitor.get(wordpress.picture)
        assert body.headers["Content-Type"] == "image/png"
        assert struct.unpack(">II", body.body[16:24]) == (300, 200)
        assert len(os.listdir(os.path.join(state, "wordpress/uploads", time.strftime("%Y/%m", time.gmtime())))) >= 4
        assert os.listdir(os.path.join(state, "wordpress/tmp")) == []

        post = wordpress.call("POST", "posts", expect=201, title="The sun", status="publish",
                              content=f'<!-- wp:image --><figure class="wp-block-image"><img src="{wordpress.picture}" '
                                      'alt="A sunset"/></figure><!-- /wp:image --><p>It sets.</p>')
        wordpress.post = post["id"]
        page = wordpress.visitor.get(post["link"])
        assert "It sets." in page.text and wordpress.picture in page.text
        assert "The sun" in wordpress.visitor.get("/wordpress/").text

    def test_220_04_a_comment(self, wordpress):
        visitor = wordpress.visitor
        page = visitor.get(f"/wordpress/?p={wordpress.post}")
        page = visitor.submit(page, "commentform", comment="I saw it, too.", author="Grace", email="grace@example.org")
        assert "awaiting moderation" in page.text
        assert "I saw it, too." not in Browser(wordpress.env).get(f"/wordpress/?p={wordpress.post}").text
        page = wordpress.admin.get("/wordpress/wp-admin/edit-comments.php")
        approve = page.find(r"""href=["'](comment\.php\?[^"']*action=approvecomment[^"']+)""")
        wordpress.admin.get(urllib.parse.urljoin(page.url, html.unescape(approve)))
        assert "I saw it, too." in Browser(wordpress.env).get(f"/wordpress/?p={wordpress.post}").text

    def test_220_05_another_theme(self, wordpress):
        assert "twentytwentythree" not in wordpress.visitor.get("/wordpress/").text
        page = wordpress.admin.get("/wordpress/wp-admin/themes.php")
        activate = page.find(r'href="([^"]+action=activate[^"]+stylesheet=twentytwentythree[^"]*)"')
        page = wordpress.admin.get(urllib.parse.urljoin(page.url, html.unescape(activate)))
        assert "New theme activated" in page.text
        text = wordpress.visitor.get("/wordpress/").text
        assert "twentytwentyfour" not in text and "The sun" in text

    def test_220_06_permalinks(self, wordpress):
        page = wordpress.admin.get("/wordpress/wp-admin/options-permalink.php")
        structure = "/%year%/%monthnum%/%day%/%postname%/"
        page = wordpress.admin.submit(page, "form", selection=structure, permalink_structure=structure)
        assert "You should update your <code>.htaccess</code> file now." in page.text   # which is not needed
        page = wordpress.visitor.request("GET", f"/wordpress/?p={wordpress.post}", follow=False)
        assert page.status == 301 and page.headers["Location"].endswith(time.strftime("/wordpress/%Y/%m/%d/the-sun/", time.gmtime()))
        assert "It sets." in wordpress.visitor.get(page.headers["Location"]).text
        assert "not be found" in wordpress.visitor.get("/wordpress/there/is/no/such/page/", status=404).text
        assert wordpress.visitor.get("/wordpress/wp-json/wp/v2/posts").json[0]["slug"] == "the-sun"
        assert "<rss" in wordpress.visitor.get("/wordpress/feed/").text
        wordpress.check_database()

    def test_220_07_what_is_not_served(self, env, wordpress, state):
        # A script among the uploads is refused, its source as well.
        path = os.path.join(state, "wordpress/uploads/shell.php")
        with open(path, "w", encoding="ascii") as out:
            out.write('<?php echo "ran";')
        assert b"ran" not in wordpress.visitor.get("/wordpress/wp-content/uploads/shell.php", status=403).body
        env.httpd_error_log.ignore_recent(["AH01630.*shell"])
        wordpress.visitor.get("/wordpress/wp-config.php", status=404)
        assert b"SQLite" not in wordpress.visitor.get("/wordpress/data/wordpress.sqlite", status=404).body

    def test_220_08_users_at_once(self, env, wordpress):
        before = wordpress.one("select count(*) from wp_comments")
        post = wordpress.call("GET", f"posts/{wordpress.post}")["link"]
        address, fields = wordpress.visitor.get(post).form("commentform")
        end = time.monotonic() + LOAD_SECONDS
        numbers = itertools.count(1)

        def visitor(user):
            browser, statuses, written = Browser(env), [], 0
            for step in itertools.count():
                if time.monotonic() > end:
                    return statuses, written
                number = next(numbers)
                if step % 4 == 3:
                    # Comments of one address have to be some seconds apart.
                    somebody = Browser(env, f"127.1.{number // 250}.{number % 250 + 1}")
                    page = somebody.request("POST", address, urllib.parse.urlencode({
                        **fields, "comment": f"Comment {number}", "author": f"User {number}", "email": f"u{number}@example.org"}),
                        {"Content-Type": "application/x-www-form-urlencoded"}, follow=False)
                    written += page.status == 302
                else:
                    page = browser.request("GET", ("/wordpress/", post, "/wordpress/?s=sun")[step % 4])
                statuses.append((page.status, page.url, page.body[:2000] if page.status >= 400 else b""))

        def author(user):
            """Logged in; changes a post again and again, and looks at the list of all."""
            browser, statuses = wordpress.admin.again(), []
            mine = wordpress.call("POST", "posts", browser, expect=201, title=f"Of {user}", status="publish")["id"]
            while time.monotonic() < end:
                wordpress.call("POST", f"posts/{mine}", browser, content=f"<p>Text {next(numbers)}</p>")
                page = browser.request("GET", "/wordpress/wp-admin/edit.php")
                statuses.append((page.status, page.url, page.body[:2000] if page.status >= 400 else b""))
            return statuses, 0

        with concurrent.futures.ThreadPoolExecutor(USERS) as pool:
            running = [pool.submit(author if user < 2 else visitor, user) for user in range(USERS)]
            results = [each.result() for each in running]
        statuses = sum((each[0] for each in results), [])
        assert len(statuses) >= LOAD_SECONDS, len(statuses)
        assert [each for each in statuses if each[0] != 200 and each[0] != 302] == []
        assert wordpress.one("select count(*) from wp_comments") == before + sum(each[1] for each in results)
        wordpress.check_database()


class TestDokuWiki:

    def test_220_20_shows_a_page(self, env):
        browser = Browser(env)
        page = browser.get("/dokuwiki/doku.php?id=wiki:syntax")
        assert "Formatting Syntax" in page.text and "A wiki in WebAssembly" in page.text
        style = page.find(r'href="(/dokuwiki/lib/exe/css\.php[^"]+)"')
        assert ".dokuwiki" in browser.get(html.unescape(style)).text
        picture = browser.get(html.unescape(page.find(r'src="(/dokuwiki/lib/exe/fetch\.php\?w=50[^"]+)"')))   # made smaller
        assert struct.unpack(">I", picture.body[16:20]) == (50,)
        assert b"<?php" not in browser.get("/dokuwiki/inc/init.php", status=403).body
        env.httpd_error_log.ignore_recent(["AH01630.*inc/init"])

    def test_220_21_edits_a_page(self, env, state):
        browser = Browser(env)
        assert "does not exist yet" in browser.get("/dokuwiki/doku.php?id=notes:first").text
        for text in ("====== First notes ======\n\n  * **Bread**\n", "====== Second notes ======\n\nGrüße\n"):
            page = browser.get("/dokuwiki/doku.php?id=notes:first&do=edit")
            address, fields = page.form("dw__editform")
            page = browser.post(address, {**fields, "wikitext": text, "do[save]": "Save"})
            title = text.split(" ======")[0].strip("= ")
            assert f">{title}</h1>" in page.text
            time.sleep(1)   # its revisions are named by the second
        with open(f"{state}/dokuwiki/data/pages/notes/first.txt", encoding="utf-8") as file:
            assert file.read() == text
        assert "Grüße" in Browser(env).get("/dokuwiki/doku.php?id=notes:first").text
        page = browser.get("/dokuwiki/doku.php?id=notes:first&do=revisions")
        assert len(os.listdir(f"{state}/dokuwiki/data/attic/notes")) == 2
        browser.get("/dokuwiki/lib/exe/taskrunner.php?id=notes:first")   # what a page asks for beside itself
        assert "notes:first" in browser.get("/dokuwiki/doku.php?do=search&q=Grüße".replace("ü", "%C3%BC").replace("ß", "%C3%9F")).text


def test_220_30_the_index_leads_to_them(env, paths):
    browser = Browser(env)
    page = browser.get("/index")
    assert "not built" not in page.text
    links = re.findall(r'<h3><a href="([^"]+)">', page.text)
    assert links == ["/wordpress/", "/dokuwiki/"]
    for link in links:
        browser.get(link)
