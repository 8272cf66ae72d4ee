# SPDX-License-Identifier: Apache-2.0
"""Makes docs/benchmarks.md and its chart of what bench.py found."""

import math
from dataclasses import dataclass
from statistics import median

from peers import THREADS

MIB = 1 << 20

LABELS = {
    "/wasm-hello": "mod_wasm, C guest",
    "/native-hello": "native C handler",
    "/static/hello.txt": "static file",
    "/cgi/hello": "mod_cgid, native C program",
    "/wasm-php": "mod_wasm, php-cgi 8.2 guest (prebuilt)",
    "/wasm-php84": "mod_wasm, PHP 8.4 guest",
    "/wasm-warmphp": "mod_wasm, PHP 8.4 guest, start image",
    "/fpm": "php-fpm with OPcache, mod_proxy_fcgi",
    "/modphp": "mod_php with OPcache",
    "/wasm-wordpress/?p=1": "WordPress's bootstrap (a 301), PHP 8.4 guest",
    "/fpm-wordpress/?p=1": "WordPress's bootstrap (a 301), php-fpm",
    "/wasm-wordpress/": "WordPress's front page, PHP 8.4 guest",
    "/fpm-wordpress/": "WordPress's front page, php-fpm",
    "/wasm-python": "mod_wasm, python 3.11 guest (prebuilt)",
    "/wasm-cpython": "mod_wasm, Python 3.13 guest",
    "/wasm-warmcpython": "mod_wasm, Python 3.13 guest, start image",
    "/cgi/hello.py": "mod_cgid, native python3",
    "/wasm-ruby": "mod_wasm, ruby guest",
}


@dataclass
class Spread:
    """Ratios of several rounds."""
    values: list

    def __str__(self):
        if not self.values:
            return "–"
        return f"{number(median(self.values))} ({number(min(self.values))}–" \
               f"{number(max(self.values))})"

    @property
    def middle(self):
        return median(self.values)


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |",
             "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows]) + "\n"


class Found:
    def __init__(self, found):
        self.raw = found

    def rates(self, path, mpm, connections, field="rate"):
        """By round."""
        return {r["round"]: r[field] for r in self.raw["rates"]
                if r["path"] == path and r["mpm"] == mpm and r["connections"] == connections
                and r[field] is not None}

    def ratio(self, a, b, mpm, connections, field="rate", mpm_b=None):
        over = self.rates(a, mpm, connections, field)
        under = self.rates(b, mpm_b or mpm, connections, field)
        return Spread([over[n] / under[n] for n in over if under.get(n)])

    def ab_ratio(self, connections):
        by = {(r["round"], r["path"]): r["rate"] for r in self.raw["ab"]
              if r["connections"] == connections}
        return Spread([by[n, p] / by[n, "/native-hello"] for n, p in by if p == "/wasm-hello"])

    def tail(self, path, mpm, connections):
        """p99 ÷ p50, by round."""
        p50 = self.rates(path, mpm, connections, "p50")
        p99 = self.rates(path, mpm, connections, "p99")
        return {n: p99[n] / p50[n] for n in p50}

    def body_ratio(self, kind, size, field="speed"):
        """The guest ÷ the native handler."""
        by = {host: [b[field] for b in self.raw["bodies"] if b["kind"] == kind
                     and b["size"] == size and b["path"].startswith(f"/{host}-")]
              for host in ("wasm", "native")}
        return Spread([w / n for w, n in zip(by["wasm"], by["native"]) if n])

    def grown(self, kind, size, host):
        """Most that a server's memory grew while it served such bodies."""
        return max(b["grown"] for b in self.raw["bodies"] if b["kind"] == kind
                   and b["size"] == size and b["path"].startswith(f"/{host}-"))


def requirements(f):
    """(what, measured, must, reached) of all that was measured."""
    rows = []

    def at_least(what, spread, least, more=""):
        if spread.values:
            rows.append((what, f"{spread}{more}", f"≥ {least}", spread.middle >= least))

    hello, native = "/wasm-hello", "/native-hello"
    at_least("C hello ÷ native C handler, 8 connections, event",
             f.ratio(hello, native, "event", 8), 0.90)
    for mpm, connections in (("event", 64), ("worker", 8), ("worker", 64)):
        at_least(f"the same, {connections} connections, {mpm}",
                 f.ratio(hello, native, mpm, connections), 0.85)
    at_least("php 8.4, 1 line ÷ php-fpm, 8 connections", f.ratio("/wasm-php84", "/fpm", "event", 8), 0.06)
    at_least("php 8.4 with a start image, 1 line ÷ php-fpm, 8 connections",
             f.ratio("/wasm-warmphp", "/fpm", "event", 8), 0.8)
    for what, page, least in (("bootstrap", "?p=1", 0.6), ("front page", "", 0.4)):
        at_least(f"WordPress's {what} ÷ php-fpm, 8 connections",
                 f.ratio(f"/wasm-wordpress/{page}", f"/fpm-wordpress/{page}", "event", 8), least)
    memory = f.raw["wordpress"]
    if memory:
        each = (memory["busy"] - memory["idle"]) / 8e6
        rows.append(("private memory per busy worker, WordPress's front page, 8 connections",
                     f"{each:.1f} MB; of a php-fpm worker {memory['fpm'] / 8e6:.1f} MB", "≤ 40 MB", each <= 40))
    at_least("python 3.13, 1 line ÷ native python3 CGI, 8 connections",
             f.ratio("/wasm-cpython", "/cgi/hello.py", "event", 8), 0.8)
    start = f.raw["start"]
    if start:
        warm, bare = median(start["warm"]), median(start["bare"])
        rows.append(("server start with php, python, ruby and hello, warm cache",
                     f"{warm:.3f} s, without the module {bare:.3f} s",
                     f"≤ 1.2 × that + 0.2 s = {1.2 * bare + 0.2:.3f} s", warm <= 1.2 * bare + 0.2))
    if f.raw["memory"]:
        private = max(m[0] for m in f.raw["memory"]["idle"]) / MIB
        rows.append(("private memory of an idle child with those four loaded",
                     f"{private:.1f} MiB", "≤ 25 MiB", private <= 25))
    if f.raw["bodies"]:
        big = size_text(f.raw["big"])
        for size, name in (("1 MiB", "1 MiB"), ("big", big)):
            more = ""
            if size == "big":
                more = f", memory grew {f.grown('write65536', size, 'wasm') / MIB:.1f} MiB"
            at_least(f"response body of {name}, bytes/s ÷ native, 64 KiB writes",
                     f.body_ratio("write65536", size), 0.8, more)
        at_least(f"request body of {big}, bytes/s ÷ native", f.body_ratio("read", "big"), 0.6,
                 f", memory grew {f.grown('read', 'big', 'wasm') / MIB:.1f} MiB")
        # Flat means: independent of the size of the body.
        for kind, what in (("write65536", "response"), ("read", "request")):
            grown = f.grown(kind, "big", "wasm")
            rows.append((f"memory while a {what} body of {big} passes", f"+{grown / MIB:.1f} MiB",
                         "flat: ≤ 8 MiB", grown <= 8 * MIB))
    ours, theirs = f.tail(hello, "event", 64), f.tail(native, "event", 64)
    if ours and theirs:
        mine, native_tail = median(ours.values()), median(theirs.values())
        rows.append(("p99 ÷ p50 at 64 connections, C hello, event",
                     f"{mine:.2f}, native {native_tail:.2f}", f"≤ 1.2 × native = {1.2 * native_tail:.2f}",
                     mine <= 1.2 * native_tail))
    return rows


def size_text(size):
    return f"{size >> 30} GiB" if size % (1 << 30) == 0 else f"{size >> 20} MiB"


def rate_sections(f):
    text = ""
    groups = {}
    for r in f.raw["rates"]:
        key = ("prefork" if r["mpm"] == "prefork" else r["mpm"], r["connections"])
        groups.setdefault(key, []).append(r["path"])
    for (mpm, connections), paths in sorted(groups.items(),
                                            key=lambda g: (("event", "worker", "prefork").index(g[0][0]),
                                                           g[0][1])):
        rows = []
        for path in dict.fromkeys(p for p in LABELS if p in paths):
            rate = median(f.rates(path, mpm, connections).values())
            p50 = median(f.rates(path, mpm, connections, "p50").values())
            p99 = median(f.rates(path, mpm, connections, "p99").values())
            cpu = f.rates(path, mpm, connections, "cpu_us").values()
            faults = f.rates(path, mpm, connections, "faults").values()
            outside = path.startswith(("/cgi/", "/fpm"))
            rows.append((LABELS[path], number(rate),
                         f.ratio(path, "/native-hello", mpm, connections),
                         f"{number(p50 / 1000)} / {number(p99 / 1000)}",
                         "–" if outside or not cpu else number(median(cpu)),
                         "–" if outside or not faults else number(median(faults))))
        text += f"### {mpm}, {connections} connection{'s' if connections > 1 else ''}\n\n"
        text += table(("peer", "requests/s", "÷ native handler", "p50 / p99, ms", "CPU µs a request",
                       "page faults a request"), rows) + "\n"
    if text:
        text += ("CPU and faults are those of the server's own processes. CGI programs and php-fpm "
                 "do their work in others.\n\n")
    return text


def comparisons(f):
    rows = []
    for what, a, b, mpm, mpm_b, connections in (
            ("php-cgi 8.2 (prebuilt): mod_wasm ÷ php-fpm", "/wasm-php", "/fpm", "event", None, (1, 8, 64)),
            ("php 8.4: mod_wasm ÷ php-fpm", "/wasm-php84", "/fpm", "event", None, (1, 8, 64)),
            ("php 8.4: mod_wasm with a start image ÷ php-fpm", "/wasm-warmphp", "/fpm", "event", None,
             (1, 8, 64)),
            ("WordPress's bootstrap: mod_wasm ÷ php-fpm", "/wasm-wordpress/?p=1", "/fpm-wordpress/?p=1",
             "event", None, (8,)),
            ("WordPress's front page: mod_wasm ÷ php-fpm", "/wasm-wordpress/", "/fpm-wordpress/",
             "event", None, (8,)),
            ("php-cgi 8.2 (prebuilt): mod_wasm ÷ mod_php, both prefork", "/wasm-php", "/modphp", "prefork", None, (8,)),
            ("python 3.11 (prebuilt): mod_wasm ÷ native python3 by mod_cgid", "/wasm-python", "/cgi/hello.py",
             "event", None, (1, 8)),
            ("python 3.13: mod_wasm ÷ native python3 by mod_cgid", "/wasm-cpython", "/cgi/hello.py",
             "event", None, (1, 8)),
            ("python 3.13: mod_wasm with a start image ÷ native python3 by mod_cgid", "/wasm-warmcpython", "/cgi/hello.py",
             "event", None, (1, 8)),
            ("C: mod_wasm ÷ native program by mod_cgid", "/wasm-hello", "/cgi/hello", "event", None,
             (1, 8, 64)),
            ("C: mod_wasm ÷ static file", "/wasm-hello", "/static/hello.txt", "event", None,
             (1, 8, 64))):
        cells = [str(f.ratio(a, b, mpm, c, mpm_b=mpm_b)) if c in connections else "–"
                 for c in (1, 8, 64)]
        if any(c != "–" for c in cells):
            rows.append((what, *cells))
    return table(("ratio of requests/s", "1 connection", "8", "64"), rows) if rows else ""


def markdown(raw):
    f = Found(raw)
    m = raw["machine"]
    most = max((r["round"] + 1 for r in raw["rates"]), default=0)
    more = f" C hello beside the native handler under event and worker, 8 and 64 connections: {most} rounds,\nall but the first {raw['rounds']} of 1 s." \
        if most > raw["rounds"] else ""
    text = f"""# Benchmarks

Written by `make bench`. One machine, all on loopback: {m['processor']}, {m['cores']} cores,
Linux {m['kernel']}; httpd {m['httpd']}{', ' + m['fpm'] if m['fpm'] else ''}; {m['engine']}. The client shares the cores with the server.

{raw['rounds']} rounds of {raw['seconds']} s a measurement, interleaved; in each round the peers run one after the other, in one order and
then in the reverse. A ratio is taken within a round. Given are the median and, in brackets, the smallest and the largest. wrk,
kept-alive connections, unless said. httpd runs as two children of {THREADS} threads (event, worker) or {THREADS} children (prefork),
without an access log. What the peers answer is compared before anything is timed: the C guest and the native handler give the
same bytes and headers.{more}

![Requests a second](benchmarks.svg)

## What must hold

"""
    if raw["missing"]:
        text += "Not measured, since it is not installed: " + "; ".join(raw["missing"]) + ".\n\n"
    text += table(("what", "measured", "must", "reached"),
                  [(what, measured, must, "yes" if ok else "**no**")
                   for what, measured, must, ok in requirements(f)])
    text += "\nWhere the time of a request goes is in [performance.md](performance.md).\n"

    rates = rate_sections(f)
    if rates:
        text += "\n## Requests a second\n\n" + rates
        text += "### Language by language, under event unless said\n\n" + comparisons(f)
    if raw["ab"]:
        connections = sorted({r["connections"] for r in raw["ab"]})
        text += "\n### The same by ab\n\n" + table(
            ("ratio of requests/s", *(f"{c} connection{'s' if c > 1 else ''}" for c in connections)),
            [("C hello ÷ native handler, event", *(f.ab_ratio(c) for c in connections))])
    if raw["ttfb"]:
        t = raw["ttfb"]
        text += "\n## Time to first byte\n\nOne connection, one request at a time, median in µs.\n\n"
        text += table(("route", "µs"), [(LABELS[p], number(t[p])) for p in LABELS if p in t]
                      + [("100 MiB body, " + ("C guest" if p.startswith("/wasm-") else "native handler"),
                          number(t[p])) for p in ("/wasm-write", "/native-write")])
    if raw["bodies"]:
        text += body_section(f)
    if raw["start"]:
        text += start_section(raw)
    if raw["host"]:
        text += host_section(raw)
    return text


def body_section(f):
    big = size_text(f.raw["big"])
    rows = []
    for kind, size, what in (("write65536", "1 MiB", "response, 1 MiB, writes of 64 KiB"),
                             ("write1024", "1 MiB", "response, 1 MiB, writes of 1 KiB"),
                             ("write65536", "big", f"response, {big}, writes of 64 KiB"),
                             ("read", "1 MiB", "request, 1 MiB, reads of 64 KiB"),
                             ("read", "big", f"request, {big}, reads of 64 KiB")):
        speeds = {host: median(b["speed"] for b in f.raw["bodies"] if b["kind"] == kind
                               and b["size"] == size and b["path"].startswith(f"/{host}-"))
                  for host in ("wasm", "native")}
        rows.append((what, number(speeds["wasm"] / MIB), number(speeds["native"] / MIB),
                     f.body_ratio(kind, size), f.body_ratio(kind, size, "cpu_per_gib"),
                     f"{f.grown(kind, size, 'wasm') / MIB:.1f} / {f.grown(kind, size, 'native') / MIB:.1f}"))
    return ("\n## Bodies\n\nA guest against a native handler that writes the same buffers or reads the "
            "same brigades. 1 MiB: wrk, 8 connections;\nlarge ones: curl, one connection. Memory is how "
            "much the resident memory of the server's processes rose at most.\n\n"
            + table(("body", "guest, MiB/s", "native, MiB/s", "ratio of bytes/s", "ratio of CPU a byte",
                     "memory grew, guest / native, MiB"), rows))


def start_section(raw):
    s, memory = raw["start"], raw["memory"]
    text = "\n## Start\n\nFrom the start of the program until a static file was served. The four modules: "
    text += "hello, php-cgi (13 MB), python (20 MB), ruby (24 MB).\n\n"
    text += table(("server", "seconds (median)", "smallest–largest"),
                  [("httpd without mod_wasm", f"{median(s['bare']):.3f}",
                    f"{min(s['bare']):.3f}–{max(s['bare']):.3f}"),
                   ("with the four modules, compiled before", f"{median(s['warm']):.3f}",
                    f"{min(s['warm']):.3f}–{max(s['warm']):.3f}"),
                   ("with the four modules, empty cache", f"{s['cold']:.1f}", "one start")])
    text += "\n## Memory of a child\n\nFrom smaps_rollup, " + str(THREADS) + " threads, MiB. Shared pages are counted in each "
    text += "process that has them. After load: each of the four\nroutes was run with 8 connections before.\n\n"
    text += table(("child", "private", "shared"),
                  [(name, f"{median(p for p, _ in memory[key]) / MIB:.1f}",
                    f"{median(s for _, s in memory[key]) / MIB:.1f}")
                   for key, name in (("bare", "httpd without mod_wasm"),
                                     ("idle", "with the four modules, idle"),
                                     ("used", "the same, after load"))])
    return text


def host_section(raw):
    host = raw["host"]
    rows = [("libwasm_runtime", number(median(host["ours"])),
             f"{min(host['ours']):.2f}–{max(host['ours']):.2f}")]
    more = ""
    if "wasmtime" in host:
        theirs = host["wasmtime"]
        rows.append(("Wasmtime's own WASI, through its C API", number(median(theirs)),
                     f"{min(theirs):.2f}–{max(theirs):.2f}"))
        ratio = Spread([t / o for t, o in zip(theirs, host["ours"])])
        more = f"\nRatio: {ratio}. Both use the pooling allocator, a prepared instance and the same environment.\n"
    return ("\n## The WASI host\n\nOne whole run of C hello on one thread, without a server. "
            "libwasm_runtime rewinds its instance; for the other each run has a store and an instance made.\n\n"
            + table(("host", "µs a run (median)", "smallest–largest"), rows) + more)


# ---------------------------------------------------------------------------
# The chart

OURS, PEER, INK, FAINT = "#2f6fde", "#9aa3ad", "#1d2430", "#dfe3e8"


def chart(raw):
    """Requests a second at 8 connections, on a logarithmic scale."""
    f = Found(raw)
    groups = []
    for title, peers in (
            ("Hello in C", (("/native-hello", "event"), ("/static/hello.txt", "event"),
                            ("/wasm-hello", "event"), ("/cgi/hello", "event"))),
            ("PHP, one line", (("/fpm", "event"), ("/modphp", "prefork"),
                               ("/wasm-warmphp", "event"), ("/wasm-php84", "event"),
                               ("/wasm-php", "event"))),
            ("WordPress, front page", (("/fpm-wordpress/", "event"), ("/wasm-wordpress/", "event"))),
            ("Python, one line", (("/wasm-warmcpython", "event"), ("/wasm-cpython", "event"), ("/cgi/hello.py", "event"),
                                  ("/wasm-python", "event"))),
            ("Ruby, one line", (("/wasm-ruby", "event"),))):
        bars = [(LABELS[p], median(f.rates(p, mpm, 8).values()), p.startswith("/wasm-"))
                for p, mpm in peers if f.rates(p, mpm, 8)]
        if bars:
            groups.append((title, bars))
    left, width, bar, gap, group_gap = 270, 420, 18, 7, 34
    top = 62
    height = top + sum(group_gap + len(bars) * (bar + gap) for _, bars in groups) + 34
    low, high = 1.0, math.log10(max((b[1] for _, bars in groups for b in bars), default=100)) + 0.05

    def x(value):
        return left + width * max(0.0, math.log10(value) - low) / (high - low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {height}" '
           f'font-family="system-ui, sans-serif" font-size="13">',
           f'<rect width="100%" height="100%" fill="#ffffff"/>',
           f'<text x="16" y="26" font-size="16" font-weight="600" fill="{INK}">Requests a second, '
           f'8 kept-alive connections, {raw["machine"]["cores"]} cores</text>',
           f'<text x="16" y="46" fill="#5b6572">Logarithmic scale. Median of {raw["rounds"]} rounds; '
           f'event MPM, mod_php under prefork.</text>']
    for power in range(int(low), int(high) + 1):
        at = x(10 ** power)
        out.append(f'<line x1="{at:.1f}" y1="{top}" x2="{at:.1f}" y2="{height - 28}" stroke="{FAINT}"/>')
        out.append(f'<text x="{at:.1f}" y="{height - 12}" text-anchor="middle" fill="#5b6572">'
                   f'{10 ** power:,}</text>')
    y = top
    for title, bars in groups:
        y += group_gap
        out.append(f'<text x="16" y="{y - 9}" font-weight="600" fill="{INK}">{title}</text>')
        for label, rate, ours in bars:
            out.append(f'<text x="{left - 10}" y="{y + 13}" text-anchor="end" fill="{INK}">{label}</text>')
            out.append(f'<rect x="{left}" y="{y}" width="{max(1.0, x(rate) - left):.1f}" height="{bar}" '
                       f'rx="2" fill="{OURS if ours else PEER}"/>')
            out.append(f'<text x="{x(rate) + 6:.1f}" y="{y + 13}" fill="{INK}">{number(rate)}</text>')
            y += bar + gap
    out.append("</svg>")
    return "\n".join(out) + "\n"
