# SPDX-License-Identifier: Apache-2.0
"""A classic CGI script: environment in, headers and a page out."""

import os
import sys
from html import escape
from urllib.parse import parse_qsl

import page

length = os.environ.get("CONTENT_LENGTH") or "0"
if os.environ["REQUEST_METHOD"] == "POST":
    fields = parse_qsl(sys.stdin.read(int(length)), keep_blank_values=True)
else:
    fields = parse_qsl(os.environ["QUERY_STRING"], keep_blank_values=True)

print("Content-Type: text/html; charset=utf-8\n")
print(page.begin("A CGI script in Python"))
print(f"<p>Python {escape(sys.version.split()[0])} on {sys.platform}.</p>")
print('<form method="post" action="/python"><label>Name <input name="name"></label>'
      "<button>Greet</button></form>")
for name, value in fields:
    print(f"<p>{escape(name)} is <b>{escape(value)}</b></p>")
print("<table><tr><th>Variable</th><th>Value</th></tr>")
for name, value in sorted(os.environ.items()):
    print(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>")
print("</table>")
print(page.END)
