# SPDX-License-Identifier: Apache-2.0
"""docs/errors.md explains each number that the module logs, and no other."""

import glob
import os
import re

from pyhttpd.conf import HttpdConf

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def logged_numbers():
    numbers = []
    for path in glob.glob(os.path.join(ROOT, "modules/wasm/*.[ch]")):
        with open(path, encoding="utf-8") as file:
            numbers += re.findall(r"APLOGNO\(\s*(\d*)\s*\)", file.read())
    return numbers


def explained_rows():
    with open(os.path.join(ROOT, "docs/errors.md"), encoding="utf-8") as file:
        return re.findall(r"^\| AH(\d+) \|(.*)\|$", file.read(), re.MULTILINE)


def test_each_number_is_explained():
    assert set(logged_numbers()) - {number for number, _ in explained_rows()} == set()


def test_each_explained_number_is_logged():
    assert {number for number, _ in explained_rows()} - set(logged_numbers()) == set()


def test_numbers_are_given_and_given_once():
    numbers = logged_numbers()
    assert numbers
    assert "" not in numbers, "a message without a number: APLOGNO()"
    assert sorted(numbers) == sorted(set(numbers))


def test_each_row_is_whole():
    rows = explained_rows()
    assert len(rows) == len({number for number, _ in rows}), "a number is explained twice"
    for number, rest in rows:
        cells = [cell.strip() for cell in rest.split(" | ")]
        assert len(cells) == 3 and all(cells), f"AH{number}: level, meaning and advice are needed"


# What the levels of the server are in docs/errors.md.
LEVELS = {"EMERG": "emergency", "CRIT": "critical", "ERR": "error", "WARNING": "warning", "INFO": "info",
          "DEBUG": "debug"}
# At levels that are not written beside their numbers.
ELSEWHERE = {"10910": "any", "10936": "debug, info"}


def logged_levels():
    """The levels between the beginning of a call, or of a table's row, and the number."""
    levels = {}
    for path in glob.glob(os.path.join(ROOT, "modules/wasm/*.c")):
        with open(path, encoding="utf-8") as file:
            source = file.read()
        for found in re.finditer(r"APLOGNO\((\d+)\)", source):
            call = re.split(r"ap_log_\w+\(|\{ ", source[:found.start()])[-1]
            names = set(re.findall(r"APLOG_([A-Z]+)", call)) & set(LEVELS)
            levels[found.group(1)] = {LEVELS[name] for name in names}
    return {**levels, **{number: set(text.split(", ")) for number, text in ELSEWHERE.items()}}


def test_each_row_gives_the_level():
    explained = {number: set(rest.split(" | ")[0].strip().split(", ")) for number, rest in explained_rows()}
    assert explained == logged_levels()


def test_what_one_sees_without_a_message(make_env, paths):
    """Forgotten lines of a configuration for PHP, and what the page says of them."""
    server = make_env("symptoms", processes=1)
    conf = HttpdConf(server)
    php = f'WasmModule "{paths.guests}/php-cgi.wasm"'
    handler, cgi = "AddHandler wasm-handler .php", "WasmEnableCGI On"
    for name, lines in (("handler", [php, cgi]), ("directory", [php, cgi, handler]),
                        ("names", [php, cgi, handler, f'WasmMapDir /app "{server.server_dir}/names"']),
                        ("cgi", [php, handler, f'WasmDir "{server.server_dir}/cgi"'])):
        folder = os.path.join(server.server_dir, name)
        os.makedirs(folder)
        with open(f"{folder}/x.php", "w", encoding="utf-8") as out:
            out.write("<?php echo 'run';")
        conf.add([f'Alias "/{name}" "{folder}"', f'<Directory "{folder}">', "    Require all granted", *lines,
                  "</Directory>"])
    conf.install()
    with server.running():
        seen = {name: server.curl_get(server.mkurl(f"/{name}/x.php")).stdout
                for name in ("handler", "directory", "names", "cgi")}
    assert seen["handler"] == "<?php echo 'run';"
    assert seen["directory"] == seen["names"] == "No input file specified.\n"
    assert re.match(r"X-Powered-By: .*\r?\nContent-type: text/html", seen["cgi"])
    with open(os.path.join(ROOT, "docs/errors.md"), encoding="utf-8") as file:
        page = file.read()
    assert "`No input file specified.` from PHP" in page and "`Content-type:` at the top" in page
