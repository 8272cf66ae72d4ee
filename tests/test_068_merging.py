# SPDX-License-Identifier: Apache-2.0
"""Each directive in each of its contexts, and what inner sections make of outer ones.

ROWS says for every directive that may stand in sections what it is set to in
each context, and how what is in force shows in a guest's run; ONCE has those
of the server as a whole. A directive that the running server knows and neither
of them has fails test_068_01.
"""

import html
import http.client
import os
import re
import time
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest
from pyhttpd.conf import HttpdConf

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# From the outermost to the innermost.
LEVELS = ["server", "host", "directory", "htaccess", "files", "location", "if"]

# The files a directive is tried with: what is in force for them, besides what
# their host has.
PLACES = [
    ("/p/x.run", False, []),
    ("/d/x.run", False, ["directory"]),
    ("/d/h/x.run", False, ["directory", "htaccess"]),
    ("/p/f.run", False, ["files"]),
    ("/p/l.run", False, ["location"]),
    ("/p/x.run", True, ["if"]),
    ("/d/h/f-l.run", True, ["directory", "htaccess", "files", "location", "if"]),
]


def number(level):
    return LEVELS.index(level)


def is_even(level):
    return number(level) % 2 == 0


class Row:
    """One directive. `line` gives the lines that stand in a level; `see` makes a
    value of an answer; `last` gives the value that a level alone leads to."""

    def __init__(self, line, see, last, default=None, guest="given", query="", needs=(), limit=False,
                 dump=None, htaccess=False):
        self.line = line
        self.see = see
        self.last = last
        self.default = default
        self.guest = guest
        self.query = query
        self.needs = list(needs)
        self.limit = limit         # holds for a section with another module, too
        self.dump = dump           # how `httpd -t -D DUMP_WASM` shows it
        self.htaccess = htaccess

    def expect(self, levels):
        """One that replaces: the innermost counts."""
        return self.last(levels[-1])


class ListRow(Row):
    """One that adds: each level adds one that has its name; with `same`, each also has
    one of a name that all of them use, and there the innermost counts."""

    def __init__(self, line, see, same=False, **options):
        super().__init__(line, see, str, default=([], None), **options)
        self.same = same

    def expect(self, levels):
        return levels, levels[-1] if self.same else None


def given(name):
    """A function that gives all lines of this kind."""
    return lambda answer: re.findall(rf"^{name} (.*)$", answer.body, re.MULTILINE)


def first(name):
    return lambda answer: given(name)(answer)[0]


def logged(pattern):
    return lambda answer: re.search(pattern, answer.line(pattern)).group(1)


def see_arguments(answer):
    return given("argument")(answer)[1:], None


def see_variables(answer):
    variables = dict(each.split("=", 1) for each in given("variable")(answer))
    return [name[3:] for name in variables if name.startswith("OF_")], variables.get("SAME")


def see_directories(answer):
    return [os.path.basename(each.split()[0]) for each in given("directory")(answer)], None


def see_mapped(answer):
    directories = {name: (mark, mode) for name, mark, mode in map(str.split, given("directory")(answer))}
    mark, mode = directories.pop("/same", (None, None))
    assert mark is None or mode == ("ro" if is_even(mark) else "rw")
    return [name[1:] for name in directories], mark


def see_file_name(answer):
    (name,) = [each for each in given("variable")(answer) if each.startswith("SCRIPT_FILENAME=")]
    return name.startswith("SCRIPT_FILENAME=/guest/docs/")


def snapshot(level):
    """On needs a module of its own; Off takes the image of an outer one away."""
    if not is_even(level):
        return "WasmSnapshot Off"
    own = [] if level == "server" else ['WasmModule "${given}"', "WasmEnableCGI On"]
    return "\n".join(own + ["WasmSnapshot On"])


ROWS = {
    "WasmModule": Row(
        lambda level: f'WasmModule "${{work}}/{level}.wasm"', see=first("argument"),
        last=lambda level: f"{level}.wasm", default="given.wasm"),
    "WasmArg": ListRow(
        lambda level: f"WasmArg {level}", see=see_arguments, htaccess=True),
    "WasmEnv": ListRow(
        lambda level: f"WasmEnv OF_{level} 1\nWasmEnv SAME {level}", see=see_variables, same=True,
        htaccess=True),
    "WasmDir": ListRow(
        lambda level: f'WasmDir "${{work}}/{level}"', see=see_directories),
    "WasmMapDir": ListRow(
        lambda level: f'WasmMapDir /{level} "${{work}}/{level}"\n'
                      f'WasmMapDir /same "${{work}}/{level}"{" ro" if is_even(level) else ""}',
        see=see_mapped, same=True),
    "WasmEnableCGI": Row(
        lambda level: f"WasmEnableCGI {'On' if is_even(level) else 'Off'}",
        see=lambda answer: answer.type == "text/x-given", last=is_even, default=False),
    "WasmMapCGIFileNames": Row(
        lambda level: f"WasmMapCGIFileNames {'On' if is_even(level) else 'Off'}", see=see_file_name,
        last=is_even, default=False, needs=['WasmMapDir /guest/docs "${docs}"']),
    "WasmEntryPoint": Row(
        lambda level: f"WasmEntryPoint entry_{number(level)}", see=first("entry"),
        last=lambda level: f"entry_{number(level)}", default="_start"),
    "WasmSnapshot": Row(
        snapshot, see=lambda answer: first("image")(answer) != "0", last=is_even, default=False),
    "WasmTimeout": Row(
        lambda level: f"WasmTimeout {60 + 20 * number(level)}ms", guest="fault", query="loop", limit=True,
        see=logged(r": time limit of ([\d.]+) s reached"),
        last=lambda level: f"{0.06 + 0.02 * number(level):g}",
        dump=lambda level: f"wall time      {60 + 20 * number(level)} ms"),
    "WasmCPULimit": Row(
        lambda level: f"WasmCPULimit {40 + 20 * number(level)}ms", guest="fault", query="loop", limit=True,
        see=logged(r"processor time limit of ([\d.]+) s reached"),
        last=lambda level: f"{0.04 + 0.02 * number(level):g}",
        dump=lambda level: f"processor time {40 + 20 * number(level)} ms"),
    "WasmMemoryLimit": Row(
        lambda level: f"WasmMemoryLimit {4 + number(level)}M", query="memory", limit=True,
        see=first("pages"), last=lambda level: str(16 * (4 + number(level))),
        dump=lambda level: f"memory         {(4 + number(level)) << 20} bytes"),
    "WasmOutputLimit": Row(
        lambda level: f"WasmOutputLimit {1001 + number(level)}", guest="fault", query="flood", limit=True,
        see=logged(r"more output than the limit of (\d+) bytes"), last=lambda level: str(1001 + number(level)),
        dump=lambda level: f"output         {1001 + number(level)} bytes"),
    "WasmHeaderLimit": Row(
        lambda level: f"WasmHeaderLimit {301 + number(level)}", guest="hostile/header_flood", limit=True,
        see=logged(r"sent more than (\d+) bytes of headers"), last=lambda level: str(301 + number(level)),
        dump=lambda level: f"header lines   {301 + number(level)} bytes"),
    "WasmMaxDescriptors": Row(
        lambda level: f"WasmMaxDescriptors {21 + number(level)}", guest="hostile/many_opens", limit=True,
        see=logged(r"more than the (\d+) descriptors"), last=lambda level: str(21 + number(level)),
        needs=['WasmMapDir /data "${work}/data"'],
        dump=lambda level: f"descriptors    {21 + number(level)} at once"),
}

# Seen after a restart only: TestStartImages.
ROWS_ELSEWHERE = {"WasmSnapshotRefresh": "WasmSnapshotRefresh 60"}

ONCE = {
    "WasmMaxInstances": "WasmMaxInstances 3", "WasmStackLimit": "WasmStackLimit 512K",
    "WasmCacheDir": 'WasmCacheDir "/nowhere"', "WasmCompiler": 'WasmCompiler "/bin/true"',
    "WasmCompilerTimeout": "WasmCompilerTimeout 60", "WasmCompilerMemory": "WasmCompilerMemory 1G",
}

# The server's words for a directive in the wrong place.
NOT_HERE = r"(cannot occur within|not allowed (here|in))"


def manual():
    """Each directive's contexts, as the manual says."""
    with open(os.path.join(ROOT, "docs/manual/mod/mod_wasm.xml"), encoding="utf-8") as file:
        page = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", file.read()))
    return {each.findtext("name"): {context.text for context in each.iter("context")}
            for each in page.findall("directivesynopsis")}


def prepare(server, paths):
    """Makes the files, gives the beginning of a configuration."""
    docs = os.path.join(server.server_dir, "docs")
    work = os.path.join(server.server_dir, "work")
    for folder in ("p", "d/h"):
        os.makedirs(f"{docs}/{folder}")
    for file in ("p/x.run", "p/f.run", "p/l.run", "p/own.run", "d/x.run", "d/h/x.run", "d/h/f-l.run"):
        with open(f"{docs}/{file}", "w", encoding="utf-8") as out:
            out.write("the file itself\n")
    for level in LEVELS:
        os.makedirs(f"{work}/{level}")
        os.chmod(f"{work}/{level}", 0o777)
        with open(f"{work}/{level}/mark", "w", encoding="utf-8") as out:
            out.write(level)
        os.symlink(f"{paths.test_guests}/given.wasm", f"{work}/{level}.wasm")
    os.makedirs(f"{work}/data")
    with open(f"{work}/data/file", "w", encoding="utf-8"):
        pass
    server.docs = docs
    return HttpdConf(server).add(f'''
Define docs "{docs}"
Define work "{work}"
Define given "{paths.test_guests}/given.wasm"
DocumentRoot "{docs}"
AddHandler wasm-handler .run
<Directory "{docs}">
    Require all granted
    AllowOverride Options
</Directory>
''')


def section(opening, closing, *texts):
    lines = "\n".join(texts).splitlines()
    return [opening] + [f"    {line}" for line in lines] + [closing]


def configure(server, paths, row):
    """All levels, each with the directive."""
    module = f'WasmModule "{paths.test_guests}/{row.guest}.wasm"'
    cgi = "WasmEnableCGI On"
    conf = prepare(server, paths)
    conf.add([module] if "WasmModule" not in row.line("server") else [])
    if "WasmEnableCGI" not in row.line("server"):
        conf.add(cgi)
    conf.add(row.needs).add(row.line("server"))
    conf.add(section(f'<Directory "{server.docs}/d">', "</Directory>", row.line("directory")))
    conf.add(section('<Files "f*.run">', "</Files>", row.line("files")))
    conf.add(section(r'<LocationMatch "l\.run$">', "</LocationMatch>", row.line("location")))
    # The server merges sections of a kind with each other first: one that says
    # nothing of the matter, behind one that does, must make no difference.
    conf.add(section(r'<LocationMatch "l\.run$">', "</LocationMatch>", "WasmEnv UNRELATED 1"))
    conf.add(section(r'<LocationMatch "own\.run$">', "</LocationMatch>", module,
                     "" if "WasmEnableCGI" in row.line("server") else cgi, *row.needs))
    conf.add(section("<If \"%{HTTP:X-If} == 'yes'\">", "</If>", row.line("if")))
    for name, lines in (("without.test", ""), ("with.test", row.line("host"))):
        conf.add(section(f"<VirtualHost 127.0.0.1:{server.http_port2}>", "</VirtualHost>", f"ServerName {name}",
                         lines, f'<Location "/dumped/{name}">', module, "</Location>"))
    if row.htaccess:
        with open(f"{server.docs}/d/h/.htaccess", "w", encoding="utf-8") as out:
            out.write(row.line("htaccess") + "\n")
    return conf


def ask(server, path, query="", host=None, with_if=False):
    """Gives .status, .type, .body and .line(PATTERN) of the log."""
    port = server.http_port2 if host else server.http_port
    server.httpd_error_log.mark()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"{path}?{query}", headers={"Host": host or "localhost", "Connection": "close",
                                                          "X-If": "yes" if with_if else "no"})
    response = connection.getresponse()
    answer = SimpleNamespace(status=response.status, type=response.headers.get_content_type(),
                             body=response.read().decode(), line=server.httpd_error_log.scan_recent)
    connection.close()
    return answer


class TestTable:

    def test_068_01_has_every_directive(self, make_env):
        """Those that the running server says the module has."""
        server = make_env("directives", processes=1)
        HttpdConf(server).add([f'LoadModule info_module "{server.libexec_dir}/mod_info.so"', "<Location /info>",
                               "    SetHandler server-info", "</Location>"]).install()
        with server.running():
            page = html.unescape(ask(server, "/info", "mod_wasm.c").body)
        known = set(re.findall(r"<tt>(Wasm\w+)", page))
        assert known, page
        assert known == set(ROWS) | set(ROWS_ELSEWHERE) | set(ONCE)
        assert known == set(manual())

    def test_068_02_has_every_context(self):
        for name, contexts in manual().items():
            expected = {"server config"}
            if name not in ONCE:
                expected |= {"virtual host", "directory"}
            if name in ROWS and ROWS[name].htaccess:
                expected |= {".htaccess"}
            assert contexts == expected, name


class TestSections:

    @pytest.mark.parametrize("name", ROWS)
    def test_068_10_inner_and_outer(self, make_env, paths, name):
        row = ROWS[name]
        server = make_env(name, processes=1)
        configure(server, paths, row).install()
        with server.running():
            for host in (None, "with.test", "without.test"):
                outer = ["server", "host"] if host == "with.test" else ["server"]
                for path, with_if, inner in PLACES:
                    levels = outer + [each for each in inner if row.htaccess or each != "htaccess"]
                    answer = ask(server, path, row.query, host, with_if)
                    assert row.see(answer) == row.expect(levels), (host, path, levels, answer)
                # Its own module begins a new guest, which limits hold for as well.
                answer = ask(server, "/p/own.run", row.query, host)
                assert row.see(answer) == (row.expect(outer) if row.limit else row.default), (host, answer)
            if row.guest != "given":
                server.httpd_error_log.ignore_recent([re.escape(row.guest)])
                server.check_error_log()

    @pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.dump])
    def test_068_11_dump(self, make_env, paths, name):
        """What a host's sections inherit shows without a request."""
        row = ROWS[name]
        server = make_env(f"dump-{name}", processes=1)
        configure(server, paths, row).install()
        r = server.run([server.httpd, "-f", os.path.join(server.server_dir, "conf/httpd.conf"), "-t",
                        "-D", "DUMP_WASM"])
        assert r.exit_code == 0, r
        # Hosts come behind what the main server has; a route is a block of indented lines.
        blocks = [each for each in re.findall(r"^\S+:\d+\n((?:  .*\n)+)", r.stdout, re.MULTILINE)
                  if "  module  " in each]
        assert [each for each in blocks if row.dump("server") in each] == [blocks[0], blocks[1], blocks[2]]
        assert [each for each in blocks if row.dump("host") in each] == [blocks[3]]
        assert len(blocks) == 4

    def test_068_13_dump_of_sections(self, make_env, paths):
        """Where each stands, and what one without a module says."""
        server = make_env("dump-sections", processes=1)
        conf = prepare(server, paths)
        conf.add(["WasmTimeout 7", *section('<Location "/x">', "</Location>", "WasmArg a", 'WasmModule "${given}"')])
        conf.add(section(f"<VirtualHost 127.0.0.1:{server.http_port2}>", "</VirtualHost>", "ServerName inner.test",
                         *section('<Directory "/x y">', "</Directory>", "WasmEnv SECRET hidden",
                                  *section('<Files "*.run">', "</Files>", "WasmOutputLimit none",
                                           "WasmEnableCGI On", "WasmSnapshot Off"))))
        conf.install()
        text = server.run([server.httpd, "-f", os.path.join(server.server_dir, "conf/httpd.conf"), "-t",
                           "-D", "DUMP_WASM"]).stdout
        with open(os.path.join(server.server_dir, "conf/httpd.conf"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        routes, others = text.split("WebAssembly sections without a module of their own:\n")
        (place, route), = re.findall(r"^\S+:(\d+)\n((?:  .*\n)+)", routes, re.MULTILINE)
        assert "WasmModule" in lines[int(place) - 1]
        assert route.startswith('  section        <Location "/x">\n  server         the main server\n  module  ')
        assert "argument       a\n" in route and "wall time      7000 ms\n" in route
        blocks = re.findall(r"^\S+:(\d+)\n((?:  .*\n)+)", others.split("WebAssembly modules")[0], re.MULTILINE)
        assert [lines[int(place) - 1].split()[0] for place, _ in blocks] == \
            ["WasmTimeout", "WasmEnv", "WasmOutputLimit"]
        host = f"  server         inner.test:{server.http_port2}\n"
        assert [block for _, block in blocks] == [
            "  server         the main server\n  wall time      7000 ms\n",
            f'  section        <Directory "/x y">\n{host}  variable       SECRET\n',
            f'  section        <Files "*.run">\n{host}  CGI            on\n  start image    no\n'
            "  output         none\n"]

    def test_068_12_info(self, make_env, paths):
        """So does the page for people."""
        server = make_env("info", processes=1)
        conf = prepare(server, paths)
        conf.add(["WasmMemoryLimit 7M", *section("<Location /info>", "</Location>", "SetHandler wasm-info")])
        conf.add(section(f"<VirtualHost 127.0.0.1:{server.http_port2}>", "</VirtualHost>", "WasmTimeout 9",
                         '<Location "/x">', 'WasmModule "${given}"', "WasmOutputLimit 12345", "</Location>"))
        conf.install()
        with server.running():
            page = ask(server, "/info").body
        (route,) = re.findall(r"<tr><td>[^<]*httpd\.conf:\d+</td>.*</tr>", page)
        assert f"<td>&lt;Location &quot;/x&quot;&gt;</td><td>localhost:{server.http_port2}</td>" in route
        assert re.findall(r"<td>([^<]*)</td>", route)[-6:] == \
            ["0", "7340032 bytes", "9000 ms", "none", "12345 bytes", "no"]


@pytest.fixture(scope="module")
def images(make_env, paths):
    """A server whose routes have start images of several kinds."""
    server = make_env("images", processes=1)
    conf = prepare(server, paths)
    module = ['WasmModule "${given}"', "WasmEnableCGI On", "WasmSnapshot On"]
    short, long = "WasmSnapshotRefresh 1", "WasmSnapshotRefresh 3600"
    conf.add(short)

    def host(name, *lines):
        # An argument makes an image a route's own.
        conf.add(section(f"<VirtualHost 127.0.0.1:{server.http_port2}>", "</VirtualHost>",
                         f"ServerName {name}", *lines))

    host("inherits.test", *section('<Location "/p">', "</Location>", *module, "WasmArg 1"),
         *section('<Location "/d">', "</Location>", *module, "WasmArg 2", long))
    host("replaces.test", long, *section('<Location "/p">', "</Location>", *module, "WasmArg 3"),
         *section('<Location "/d">', "</Location>", *module, "WasmArg 4", short))
    for opening, closing, argument in (
            (f'<Directory "{server.docs}/d/h">', "</Directory>", 5), ('<Files "f.run">', "</Files>", 6),
            ("<If \"%{HTTP:X-If} == 'yes'\">", "</If>", 7)):
        conf.add(section(opening, closing, *module, f"WasmArg {argument}", long))
    conf.install()
    with server.running():
        yield server


class TestStartImages:

    # host, path, if: whether the image is made anew
    ROUTES = {("inherits.test", "/p/x.run", False): True, ("inherits.test", "/d/x.run", False): False,
              ("replaces.test", "/p/x.run", False): False, ("replaces.test", "/d/x.run", False): True,
              (None, "/d/h/x.run", False): False, (None, "/p/f.run", False): False,
              (None, "/p/x.run", True): False}

    def test_068_20_refresh(self, images):
        def made():
            return {route: first("image")(ask(images, route[1], host=route[0], with_if=route[2]))
                    for route in self.ROUTES}

        before = made()
        assert "0" not in before.values()
        time.sleep(2.1)   # an image's age is told in whole seconds
        assert images.apache_reload() == 0
        after = made()
        assert {route: after[route] != before[route] for route in self.ROUTES} == self.ROUTES


@pytest.fixture(scope="module")
def access(make_env, paths):
    """A server whose users may write .htaccess files. Gives it with try_it(TEXT,
    FOLDER), which writes one and asks for a file there."""
    server = make_env("access", processes=1)
    conf = prepare(server, paths)
    conf.add(['WasmModule "${given}"', "WasmEnableCGI On"])
    conf.add(section(f'<Directory "{server.docs}/d">', "</Directory>", "AllowOverride All"))
    conf.add(section(f'<Directory "{server.docs}/d/h">', "</Directory>", "AllowOverride FileInfo AuthConfig Limit"))
    conf.add(section(f'<Directory "{server.docs}/p">', "</Directory>", "AllowOverride None",
                     "AllowOverrideList " + " ".join(list(ROWS) + list(ROWS_ELSEWHERE))))
    conf.install()

    def try_it(text, folder="d"):
        file = os.path.join(server.docs, folder, ".htaccess")
        text = text.replace("${work}", os.path.join(server.server_dir, "work"))
        with open(file, "w", encoding="utf-8") as out:
            out.write(text.replace("${given}", f"{paths.test_guests}/given.wasm") + "\n")
        try:
            return ask(server, f"/{folder}/x.run", with_if=True)
        finally:
            os.remove(file)

    server.try_it = try_it
    with server.running():
        yield server


class TestAccessFiles:

    REFUSED = {name: line for name, line in [*((name, row.line("htaccess")) for name, row in ROWS.items()
                                               if not row.htaccess), *ROWS_ELSEWHERE.items(), *ONCE.items()]}
    ALLOWED = [name for name, row in ROWS.items() if row.htaccess]

    @pytest.mark.parametrize("name", REFUSED)
    def test_068_30_refused(self, access, name):
        for text in (self.REFUSED[name], "\n".join(section('<Files "x.run">', "</Files>", self.REFUSED[name])),
                     "\n".join(section("<If \"true\">", "</If>", self.REFUSED[name]))):
            answer = access.try_it(text)
            assert answer.status == 500, text
            answer.line(rf"htaccess: {text.split()[0]} {NOT_HERE}" if text == self.REFUSED[name] else NOT_HERE)
        access.httpd_error_log.ignore_recent([NOT_HERE])
        access.check_error_log()

    @pytest.mark.parametrize("name", ALLOWED)
    def test_068_31_allowed_with_options_only(self, access, name):
        row = ROWS[name]
        assert row.see(access.try_it(row.line("htaccess"))) == row.expect(["htaccess"])
        assert access.try_it(row.line("htaccess"), "d/h").status == 500
        access.httpd_error_log.ignore_recent([f"{name} not allowed here"])
        access.check_error_log()

    def test_068_32_sections_within(self, access):
        text = ["WasmArg outer", *section('<Files "x.run">', "</Files>", "WasmArg files"),
                *section("<If \"%{HTTP:X-If} == 'yes'\">", "</If>", "WasmArg if"),
                *section('<Files "y.run">', "</Files>", "WasmArg other")]
        assert see_arguments(access.try_it("\n".join(text))) == (["outer", "files", "if"], None)

    @pytest.mark.parametrize("name", ["WasmModule", "WasmSnapshot", "WasmMaxDescriptors"])
    def test_068_33_not_even_by_a_list(self, access, name):
        """What the server must know before it makes its children."""
        line = {"WasmSnapshot": "WasmSnapshot On"}.get(name) or ROWS[name].line("htaccess")
        answer = access.try_it(line, "p")
        assert answer.status == 500, answer
        answer.line(f"{name} cannot occur within htaccess files")
        access.httpd_error_log.ignore_recent(["cannot occur within htaccess files"])
        access.check_error_log()

    @pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.guest == "given" and name not in
                                      ("WasmModule", "WasmSnapshot", "WasmMapCGIFileNames")])
    def test_068_34_others_by_a_list(self, access, name):
        """AllowOverrideList is the administrator's word for each of them."""
        row = ROWS[name]
        file = os.path.join(access.docs, "p/.htaccess")
        with open(file, "w", encoding="utf-8") as out:
            out.write(row.line("htaccess").replace("${work}", os.path.join(access.server_dir, "work")) + "\n")
        try:
            assert row.see(ask(access, "/p/x.run", row.query)) == row.expect(["htaccess"])
        finally:
            os.remove(file)


@pytest.fixture(scope="module")
def unstarted(make_env):
    return make_env("once")


class TestServerOnly:

    CONTEXTS = {
        "host": ("<VirtualHost 127.0.0.1:1>", "</VirtualHost>"), "directory": ('<Directory "/x">', "</Directory>"),
        "files": ('<Files "x">', "</Files>"), "location": ('<Location "/x">', "</Location>"),
        "if": ("<If \"true\">", "</If>"),
    }

    @pytest.mark.parametrize("name", ONCE)
    def test_068_40_refused_in_sections(self, unstarted, name):
        HttpdConf(unstarted).add(ONCE[name]).install()
        assert unstarted.check_config().exit_code == 0
        for opening, closing in self.CONTEXTS.values():
            HttpdConf(unstarted).add(section(opening, closing, ONCE[name])).install()
            r = unstarted.check_config()
            assert r.exit_code != 0, opening
            assert re.search(rf"{name} {NOT_HERE}", r.stderr), r

    def test_068_41_the_last_counts(self, make_env):
        server = make_env("last", processes=1)
        HttpdConf(server).add(["WasmMaxInstances 3", "WasmMaxInstances 5", "WasmStackLimit 512K",
                               "WasmStackLimit 640K", "<Location /info>", "    SetHandler wasm-info",
                               "</Location>"]).install()
        with server.running():
            page = ask(server, "/info").body
        assert re.search(r"Instances at once in a process</th><td>5<", page), page
        assert re.search(r"Native stack of a guest</th><td>655360 bytes<", page), page
