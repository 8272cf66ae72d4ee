# SPDX-License-Identifier: Apache-2.0
"""What a guest is told: arguments, variables, directories."""

import pytest


@pytest.fixture(scope="module", params=["event"])
def mpm(request):
    return request.param


@pytest.fixture(scope="module")
def configure():
    def add(conf, paths):
        guests = paths.test_guests
        data = f"{conf.env.server_dir}/data"
        env, files = f"{guests}/env.wasm", f"{guests}/files.wasm"
        with open(f"{conf.env.server_dir}/data/file.txt", "w") as out:
            out.write("a file\n")
        conf.add_wasm("/env", env, "WasmArg one", 'WasmArg "two words"',
                      "WasmEnv PLAIN value", 'WasmEnv EQUALS "a=b"',
                      "WasmEnv SERVER_NAME configured")
        conf.add_wasm("/plain", env, "WasmArg x", "WasmEnv ONLY this", cgi=False)
        conf.add_wasm("/dir", files, f'WasmDir "{data}"')
        conf.add_wasm("/map", files, f'WasmMapDir /mapped "{data}"')
        conf.add_wasm("/ro", files, f'WasmMapDir /mapped "{data}" ro')
        conf.add_wasm("/none", files)
        # A section without a module of its own adds to the one around it.
        conf.add_wasm("/inherit", env, "WasmArg outer", "WasmEnv OUTER 1", "WasmEnv BOTH outer")
        conf.add(['<Location "/inherit/more">', "    WasmArg inner", "    WasmEnv INNER 1",
                  "    WasmEnv BOTH inner", "</Location>"])
        # One with a module starts empty.
        conf.add_wasm("/inherit/own", env, "WasmArg own")
        conf.add(["SetEnvIf Request_URI . FROM_SERVER=yes"])
    return add


def dump(data):
    """Arguments and variables as the guest saw them, as bytes."""
    entries = data.split(b"\0")[:-1]
    arguments = [entry[4:] for entry in entries if entry.startswith(b"arg ")]
    variables = [entry[4:].split(b"=", 1) for entry in entries if entry.startswith(b"env ")]
    assert len(variables) == len({name for name, _ in variables}), "a variable occurs twice"
    return arguments, dict(variables)


@pytest.fixture(scope="module")
def ask(env):
    def get(path, headers=b""):
        got = env.raw_request(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n"
                              b"Connection: close\r\n" + headers + b"\r\n")
        head, body = got.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200"), got
        if b"chunked" in head:
            pieces = b""
            while body:
                size, body = body.split(b"\r\n", 1)
                pieces += body[:int(size, 16)]
                body = body[int(size, 16) + 2:]
            body = pieces
        return dump(body)
    return get


class TestVariables:

    def test_050_01_arguments(self, ask):
        arguments, _ = ask(b"/env")
        assert arguments == [b"env.wasm", b"one", b"two words"]

    def test_050_02_configured(self, ask):
        _, variables = ask(b"/env")
        assert variables[b"PLAIN"] == b"value"
        assert variables[b"EQUALS"] == b"a=b"
        assert variables[b"SERVER_NAME"] == b"configured"   # wins over the request's

    def test_050_03_cgi(self, ask):
        _, variables = ask(b"/env/more/path?a=b%20c&d", b"X-Two-Words: yes\r\n")
        expected = {
            b"GATEWAY_INTERFACE": b"CGI/1.1", b"REQUEST_METHOD": b"GET",
            b"QUERY_STRING": b"a=b%20c&d", b"SCRIPT_NAME": b"/env", b"PATH_INFO": b"/more/path",
            b"SERVER_PROTOCOL": b"HTTP/1.1",
            b"REMOTE_ADDR": b"127.0.0.1", b"HTTP_X_TWO_WORDS": b"yes", b"HTTP_HOST": b"localhost",
            b"REDIRECT_STATUS": b"200", b"FROM_SERVER": b"yes",
            b"REQUEST_URI": b"/env/more/path?a=b%20c&d",
        }
        assert {name: variables.get(name) for name in expected} == expected

    def test_050_04_no_proxy_from_a_header(self, ask):
        _, variables = ask(b"/env", b"Proxy: http://evil.test/\r\n")
        assert b"HTTP_PROXY" not in variables

    def test_050_05_no_credentials(self, ask):
        _, variables = ask(b"/env", b"Authorization: Basic YTpi\r\n")
        assert b"HTTP_AUTHORIZATION" not in variables

    def test_050_06_nothing_of_the_servers_own(self, ask):
        _, variables = ask(b"/env")
        assert b"HOME" not in variables
        assert b"APACHE_RUN_DIR" not in variables

    def test_050_07_plain_mode(self, env):
        arguments, variables = dump(env.curl_get(env.mkurl("/plain?a=b")).outraw.split(b"\n\n", 1)[1])
        assert arguments == [b"env.wasm", b"x"]
        assert variables == {b"ONLY": b"this"}


class TestBytes:

    def test_050_20_query_not_utf8(self, ask):
        _, variables = ask(b"/env?\x80\xff=\xc3\x28&%ff")
        assert variables[b"QUERY_STRING"] == b"\x80\xff=\xc3\x28&%ff"

    def test_050_21_header_not_utf8(self, ask):
        every_byte = bytes(b for b in range(0x80, 0x100))
        _, variables = ask(b"/env", b"X-Bytes: a" + every_byte + b"z\r\n")
        assert variables[b"HTTP_X_BYTES"] == b"a" + every_byte + b"z"

    def test_050_22_path_info_not_utf8(self, ask):
        _, variables = ask(b"/env/%80%ff")
        assert variables[b"PATH_INFO"] == b"/\x80\xff"


class TestDirectories:

    def test_050_40_same_name(self, env):
        data = f"{env.server_dir}/data"
        assert env.curl_get(env.mkurl(f"/dir?read:{data}/file.txt")).stdout == "a file\n"

    def test_050_41_mapped(self, env):
        assert env.curl_get(env.mkurl("/map?read:/mapped/file.txt")).stdout == "a file\n"
        assert "file.txt" in env.curl_get(env.mkurl("/map?list:/mapped")).stdout.split()
        assert env.curl_get(env.mkurl("/map?write:/mapped/new.txt")).stdout == "ok\n"
        with open(f"{env.server_dir}/data/new.txt") as file:
            assert file.read() == "written by the guest\n"

    @pytest.mark.parametrize("path", ["/mapped/new2.txt", "/mapped/file.txt"])
    def test_050_42_read_only(self, env, path):
        assert env.curl_get(env.mkurl(f"/ro?write:{path}")).stdout.startswith("write: ")
        assert env.curl_get(env.mkurl("/ro?read:/mapped/file.txt")).stdout == "a file\n"

    @pytest.mark.parametrize("path", ["/etc/passwd", "/mapped/../conf/httpd.conf", "../conf/httpd.conf"])
    def test_050_43_nothing_else(self, env, path):
        for route in ("/map", "/ro", "/none"):
            assert env.curl_get(env.mkurl(f"{route}?read:{path}")).stdout.startswith("read: ")


class TestMerging:

    def test_050_60_inherits_and_adds(self, ask):
        arguments, variables = ask(b"/inherit/more")
        assert arguments == [b"env.wasm", b"outer", b"inner"]
        assert (variables[b"OUTER"], variables[b"INNER"], variables[b"BOTH"]) == (b"1", b"1", b"inner")

    def test_050_61_outer_is_untouched(self, ask):
        arguments, variables = ask(b"/inherit")
        assert arguments == [b"env.wasm", b"outer"]
        assert variables[b"BOTH"] == b"outer" and b"INNER" not in variables

    def test_050_62_own_module_starts_empty(self, ask):
        arguments, variables = ask(b"/inherit/own")
        assert arguments == [b"env.wasm", b"own"]
        assert b"OUTER" not in variables and b"BOTH" not in variables
