# SPDX-License-Identifier: Apache-2.0
"""A small WSGI application. wsgi.py runs it."""

import json
from html import escape
from urllib.parse import parse_qs

import page


def index(environ, start_response):
    query = parse_qs(environ.get("QUERY_STRING", ""))
    name = query.get("name", ["world"])[0]
    here = escape(environ["SCRIPT_NAME"])
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("X-Framework", "WSGI")])
    yield page.begin("A WSGI application").encode()
    yield (f"<p>Hello, <b>{escape(name)}</b>.</p>\n<ul>\n"
           f'<li><a href="{here}?name=Grace">with a name</a></li>\n'
           f'<li><a href="{here}/sum?n=1&amp;n=2&amp;n=39">a sum, as JSON</a></li>\n'
           f'<li><a href="{here}/nowhere">a page that is not there</a></li>\n</ul>\n').encode()
    yield page.END.encode()


def total(environ, start_response):
    numbers = parse_qs(environ.get("QUERY_STRING", "")).get("n", [])
    try:
        body = json.dumps({"sum": sum(map(float, numbers))})
    except ValueError:
        start_response("400 Bad Request", [("Content-Type", "text/plain")])
        return [b"Each n must be a number.\n"]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body.encode()]


def application(environ, start_response):
    route = {"": index, "/": index, "/sum": total}.get(environ.get("PATH_INFO", ""))
    if route is None:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"The application has no such page.\n"]
    return route(environ, start_response)
