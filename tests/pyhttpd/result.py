# SPDX-License-Identifier: Apache-2.0
"""What came of a program that was run, an HTTP client most of the time."""

import json


class ExecResult:

    def __init__(self, args, exit_code, stdout, stderr=b"", response=None):
        self.args = args
        self.exit_code = exit_code
        self.outraw = stdout
        self.stderr_raw = stderr
        self.response = response
        """Of the last response: "status", "protocol", "header" (lower-case
        name to last value), "headers" (all pairs in order), "body" (bytes)
        and "previous" (the response before it, or None)."""

    def __repr__(self):
        return (f"ExecResult[exit {self.exit_code}, {self.args}\n{self.outraw[:2000]!r}\n"
                f"{self.stderr_raw[:2000]!r}\n{self.response}]")

    @property
    def stdout(self):
        return self.outraw.decode(errors="surrogateescape")

    @property
    def stderr(self):
        return self.stderr_raw.decode(errors="surrogateescape")

    @property
    def json(self):
        return json.loads(self.outraw)
