// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace wasmrt {

/// `text` for a log line: control characters, bytes above 0x7e and backslashes
/// as \xNN, so that what a guest or a module file chose can neither break a
/// line nor drive a terminal. Cut to `limit` bytes with "..." at the end.
std::string printable(std::string_view text, size_t limit = 512);

/// printable() for what somebody wrote in lines: "; " stands between them, what is
/// blank at the end is left out.
std::string one_line(std::string_view text, size_t limit = 512);

/// Copies into a caller's fixed buffer, NUL-terminated, cut if need be.
void copy_text(std::string_view text, char* buffer, size_t size);

}  // namespace wasmrt
