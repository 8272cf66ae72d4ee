# SPDX-License-Identifier: Apache-2.0
"""The server's error log, and what in it nobody expected."""

import os
import re
import time


class HttpdErrorLog:
    """Reads a log that grows. A test names the lines it provokes with
    ignore_recent(); get_missed() gives all other lines of level warn and
    above, and those that tell of a child killed by a signal."""

    # A server of a test is as small as it is told to be, and says so; worker counts
    # children that start or end as if they took places (AH00288). When it is stopped
    # the event MPM closes the sockets of its workers, which one that is about to wait
    # for its client's end reports.
    RE_OWN = re.compile(r"AH(10159|00286|00287|00288|00161|00484|00485)|AH03092: process_lingering_close")
    RE_BAD = re.compile(r"^\[[^]]*\] \[[^]:]*:(warn|error|crit|alert|emerg)\]|exit signal|AH00051|AH00052")

    def __init__(self, path):
        self.path = path
        self._checked = 0   # what get_missed() has looked at
        self._recent = 0    # where the lines of the running test begin
        self._ignored = []

    def _lines(self, start):
        if not os.path.isfile(self.path):
            return [], start
        with open(self.path, "rb") as log:
            log.seek(start)
            data = log.read()
        end = data.rfind(b"\n") + 1
        return data[:end].decode(errors="surrogateescape").splitlines(), start + end

    def clear_log(self):
        if os.path.isfile(self.path):
            os.truncate(self.path, 0)
        self._checked = self._recent = 0
        self._ignored = []

    def mark(self):
        """From here on lines are recent."""
        _, self._recent = self._lines(self._recent)

    def recent(self):
        return self._lines(self._recent)[0]

    def scan_recent(self, pattern, timeout=10):
        """Waits for a recent line in which `pattern` is found; returns it."""
        end = time.monotonic() + timeout
        while True:
            for line in self.recent():
                if re.search(pattern, line):
                    return line
            if time.monotonic() > end:
                raise TimeoutError(f"{pattern!r} is not in the log:\n" + "\n".join(self.recent()))
            time.sleep(0.05)

    def ignore_recent(self, matches):
        """The test has provoked lines in which one of `matches` is found."""
        self._ignored += [re.compile(pattern) for pattern in matches]

    def get_missed(self):
        lines, self._checked = self._lines(self._checked)
        missed = [line for line in lines
                  if self.RE_BAD.search(line) and not self.RE_OWN.search(line)
                  and not any(p.search(line) for p in self._ignored)]
        self._ignored = []
        return missed
