# SPDX-License-Identifier: Apache-2.0
"""A configuration in the making."""


class HttpdConf:

    def __init__(self, env):
        self.env = env
        self._lines = []
        self._indent = 0

    def __repr__(self):
        return "\n".join(self._lines)

    @property
    def lines(self):
        return list(self._lines)

    def add(self, text):
        """Adds a line, several lines of one string, or a list of lines."""
        for line in text.splitlines() if isinstance(text, str) else text:
            self._lines.append("    " * self._indent + line)
        return self

    def start_vhost(self, domains, port=None, doc_root="htdocs"):
        port = port or self.env.http_port
        domains = [domains] if isinstance(domains, str) else domains
        self.add(["", f"<VirtualHost 127.0.0.1:{port}>"])
        self._indent += 1
        self.add(f"ServerName {domains[0]}")
        for alias in domains[1:]:
            self.add(f"ServerAlias {alias}")
        return self.add(f'DocumentRoot "{doc_root}"')

    def end_vhost(self):
        self._indent -= 1
        return self.add("</VirtualHost>")

    def add_wasm(self, path, module, *directives, cgi=True):
        """A <Location> that runs a module."""
        self.add([f'<Location "{path}">', "    SetHandler wasm-handler",
                  f'    WasmModule "{module}"'])
        if cgi:
            self.add("    WasmEnableCGI On")
        return self.add([f"    {line}" for line in directives] + ["</Location>"])

    def install(self):
        self.env.install_test_conf(self._lines)
        return self
