# SPDX-License-Identifier: Apache-2.0
"""The manual's page and the man page say what the programs say."""

import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from pyhttpd.conf import HttpdConf

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WASMCTL = os.path.join(ROOT, os.environ.get("BUILD", "build/release"), "wasmctl")

# From where the code allows a directive to where the manual says it may stand.
CONTEXTS = {
    ("GLOBAL",): {"server config"},
    ("RSRC_CONF",): {"server config", "virtual host"},
    ("RSRC_CONF", "ACCESS_CONF"): {"server config", "virtual host", "directory"},
    ("OR_OPTIONS",): {"server config", "virtual host", "directory", ".htaccess"},
}


def coded_directives():
    """Names of directives, and their contexts."""
    with open(os.path.join(ROOT, "modules/wasm/wasm_config.c"), encoding="utf-8") as file:
        source = file.read()
    found = {}
    for name, function, where in re.findall(
            r'AP_INIT_\w+\("(\w+)",\s*(\w+),\s*[^,]+,\s*([A-Z_ |\n]+),', source):
        body = source[source.index(f"*{function}("):]
        body = body[:body.index("\n}\n")]
        flags = tuple(re.findall(r"[A-Z_]+", where))
        found[name] = CONTEXTS[("GLOBAL",) if "GLOBAL_ONLY" in body else flags]
    return found


def documented_directives():
    text = open(os.path.join(ROOT, "docs/manual/mod/mod_wasm.xml"), encoding="utf-8").read()
    page = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", text))
    return {each.findtext("name"): each for each in page.findall("directivesynopsis")}


def test_manual_has_the_directives_of_the_code():
    assert set(documented_directives()) == set(coded_directives())


def test_manual_gives_their_contexts():
    documented = documented_directives()
    for name, contexts in coded_directives().items():
        written = {each.text for each in documented[name].iter("context")}
        assert written == contexts, name
        assert (".htaccess" in contexts) == (documented[name].findtext("override") is not None), name


def test_manual_has_a_syntax_and_a_use_for_each():
    documented = documented_directives()
    for name, each in documented.items():
        for part in ("description", "syntax", "usage"):
            assert each.find(part) is not None and "".join(each.find(part).itertext()).strip(), (name, part)


def examples():
    """Names of directives, and the configurations that the manual shows for each."""
    return {name: ["".join(block.itertext()) for block in each.iter("highlight")]
            for name, each in documented_directives().items()}


def test_manual_has_an_example_of_each():
    for name, texts in examples().items():
        assert any(re.search(rf"^\s*{name} ", text, re.MULTILINE) for text in texts), name


# Has all that an example asks of a module.
MODULE = """(module (memory (export "memory") 1) (func (export "_start")) (func (export "report"))
  (func (export "wizer-initialize")))"""


def test_manual_examples_are_right(make_env):
    """The server takes each of them, where its files are there."""
    server = make_env("manual")
    module = os.path.join(server.server_dir, "module.wasm")
    subprocess.run(["wat2wasm", "-", "-o", module], input=MODULE, text=True, check=True)

    def stand_in(found):
        path = found.group()
        if path.endswith(".wasm"):
            return module
        if path.endswith("/wasmctl"):
            return os.path.abspath(WASMCTL)
        os.makedirs(server.server_dir + path, exist_ok=True)
        return server.server_dir + path

    page = open(os.path.join(ROOT, "docs/manual/mod/mod_wasm.xml"), encoding="utf-8").read()
    blocks = ["".join(each.itertext()) for each in
              ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", page)).iter("highlight")]
    assert len(blocks) > len(documented_directives())
    for block in blocks:
        text = re.sub(r'(?<=["\s])(/(srv|var|usr|opt)/[^"\s>]+|[^"\s]+/[^"\s]+\.wasm)', stand_in, block)
        HttpdConf(server).add(text).install()
        r = server.check_config()
        assert r.exit_code == 0, (text, r)


def usage(*arguments):
    return subprocess.run([WASMCTL, *arguments], check=True, capture_output=True, text=True).stdout


def test_man_page_has_the_commands_and_options_of_wasmctl():
    with open(os.path.join(ROOT, "man/wasmctl.1"), encoding="utf-8") as file:
        page = file.read()
    commands = re.findall(r"^  (\w+)  ", usage("--help"), re.MULTILINE)
    assert commands
    options = set()
    for command in commands:
        assert re.search(rf"^\.It Cm {command}$", page, re.MULTILINE), command
        if command != "version":
            options |= set(re.findall(r"--([a-z-]+)", usage(command, "--help")))
    written = set(re.findall(r"Fl -([a-z-]+)", page))
    assert written - {"help"} == options


@pytest.mark.parametrize("checker", [["mandoc", "-Tlint", "-Wwarning"], ["groff", "-ww", "-mdoc", "-Tutf8", "-z"]],
                         ids=["mandoc", "groff"])
def test_man_page_is_clean(checker):
    try:
        result = subprocess.run([*checker, os.path.join(ROOT, "man/wasmctl.1")], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"{checker[0]} is not installed")
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
