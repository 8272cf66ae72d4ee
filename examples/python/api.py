# SPDX-License-Identifier: Apache-2.0
"""A JSON service. Two routes share this module and this script; an argument
and a variable of their configuration tell them apart."""

import json
import os
import sys
from urllib.parse import parse_qs

request = {
    "service": sys.argv[1] if len(sys.argv) > 1 else "",
    "greeting": os.environ.get("GREETING", ""),
    "method": os.environ["REQUEST_METHOD"],
    "path_info": os.environ.get("PATH_INFO", ""),
    "query": parse_qs(os.environ["QUERY_STRING"]),
    "body": sys.stdin.read(),
}
print("Content-Type: application/json\n")
print(json.dumps(request, indent=2))
