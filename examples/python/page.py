# SPDX-License-Identifier: Apache-2.0
"""What every HTML page of the Python demos begins and ends with."""


def begin(title):
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<nav><a href="/">mod_wasm</a><span>{title}</span></nav>
<main>
<h1>{title}</h1>
"""


END = "</main>\n</body>\n</html>\n"
