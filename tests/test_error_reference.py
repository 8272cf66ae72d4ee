# SPDX-License-Identifier: Apache-2.0
"""docs/errors.md explains each number that the module logs, and no other."""

import glob
import os
import re

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
