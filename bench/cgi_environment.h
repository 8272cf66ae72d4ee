// SPDX-License-Identifier: Apache-2.0
// The variables that httpd gives to a CGI program for a plain GET, the same
// for both hosts that are compared.
#pragma once

#include <array>
#include <utility>

inline constexpr std::array<std::pair<const char*, const char*>, 23> kCgiEnvironment{{
    {"HTTP_HOST", "127.0.0.1:8080"},
    {"HTTP_USER_AGENT", "curl/7.88.1"},
    {"HTTP_ACCEPT", "*/*"},
    {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    {"SERVER_SIGNATURE", ""},
    {"SERVER_SOFTWARE", "Apache/2.4"},
    {"SERVER_NAME", "127.0.0.1"},
    {"SERVER_ADDR", "127.0.0.1"},
    {"SERVER_PORT", "8080"},
    {"REMOTE_ADDR", "127.0.0.1"},
    {"DOCUMENT_ROOT", "/var/www/html"},
    {"REQUEST_SCHEME", "http"},
    {"CONTEXT_PREFIX", ""},
    {"CONTEXT_DOCUMENT_ROOT", "/var/www/html"},
    {"SERVER_ADMIN", "webmaster@localhost"},
    {"SCRIPT_FILENAME", "/var/www/html/hello"},
    {"REMOTE_PORT", "40000"},
    {"GATEWAY_INTERFACE", "CGI/1.1"},
    {"SERVER_PROTOCOL", "HTTP/1.1"},
    {"REQUEST_METHOD", "GET"},
    {"QUERY_STRING", ""},
    {"REQUEST_URI", "/hello"},
    {"SCRIPT_NAME", "/hello"},
}};
