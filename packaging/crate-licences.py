#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the licences of the Rust crates that a crate is linked from.

usage: crate-licences.py CARGO_TOML

Names, versions and licences first, then each text once, below the crates that
carry it. Crates that only run while others are built are left out.
"""

import json
import os
import re
import subprocess
import sys


def linked(metadata):
    """The ids of the packages that end up in the library."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    macros = {package["id"] for package in metadata["packages"]
              if any("proc-macro" in target["kind"] for target in package["targets"])}
    found, waiting = set(), [metadata["resolve"]["root"]]
    while waiting:
        crate = waiting.pop()
        if crate in found or crate in macros:
            continue
        found.add(crate)
        for dependency in nodes[crate]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return found - {metadata["resolve"]["root"]}


def main():
    rustc = subprocess.run([os.environ.get("RUSTC", "rustc"), "-vV"], check=True,
                           capture_output=True, text=True).stdout
    host = re.search(r"^host: (.*)$", rustc, re.MULTILINE).group(1)
    metadata = json.loads(subprocess.run(
        [os.environ.get("CARGO", "cargo"), "metadata", "--quiet", "--locked", "--format-version", "1",
         "--filter-platform", host, "--manifest-path", sys.argv[1]],
        check=True, stdout=subprocess.PIPE, text=True).stdout)
    wanted = linked(metadata)
    crates = sorted((package for package in metadata["packages"] if package["id"] in wanted),
                    key=lambda package: (package["name"], package["version"]))

    print("The Rust crates that the engine in libwasm_runtime is made of.\n")
    texts = {}
    for crate in crates:
        name = f"{crate['name']} {crate['version']}"
        print(f"{name}: {crate['license'] or 'see its licence file'}")
        folder = os.path.dirname(crate["manifest_path"])
        for file in sorted(os.listdir(folder)):
            if re.match(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)", file, re.IGNORECASE):
                path = os.path.join(folder, file)
                if os.path.isfile(path):
                    with open(path, encoding="utf-8", errors="replace") as text:
                        texts.setdefault(text.read().strip(), []).append(name)
    for text, names in texts.items():
        print("\n" + "-" * 78)
        print("\n".join(names) + "\n")
        print(text)


if __name__ == "__main__":
    main()
