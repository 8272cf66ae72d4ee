# SPDX-License-Identifier: Apache-2.0
#
# compile.py DIRECTORY NAME
#
# Compiles all of the standard library in DIRECTORY, which its files will know as NAME. They are
# read-only where they are used, so no start compares them with their sources. compileall would do it, but
# needs modules that a CPython without extensions does not have.
import os
import py_compile
import sys

top, name = sys.argv[1:]
for directory, _, files in os.walk(top):
    for file in files:
        if file.endswith('.py'):
            path = os.path.join(directory, file)
            py_compile.compile(path, dfile=name + path[len(top):], doraise=True,
                               invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
