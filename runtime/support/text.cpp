// SPDX-License-Identifier: Apache-2.0
#include "support/text.h"

#include <algorithm>
#include <cstring>

namespace wasmrt {

std::string printable(std::string_view text, size_t limit) {
  static constexpr char kHex[] = "0123456789abcdef";
  static constexpr std::string_view kCut = "...";
  std::string out;
  out.reserve(std::min(text.size(), limit));
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte >= 0x20 && byte < 0x7f && byte != '\\';
    const size_t width = plain ? 1 : 4;
    if (out.size() + width > limit) {
      // Make room for the mark without leaving half an escape behind.
      while (!out.empty() && out.size() + kCut.size() > limit) {
        const size_t escape = out.rfind("\\x");
        if (escape != std::string::npos && escape + 4 >= out.size()) {
          out.resize(escape);
        } else {
          out.pop_back();
        }
      }
      return out.append(kCut.substr(0, limit));
    }
    if (plain) {
      out.push_back(c);
    } else {
      out.append({'\\', 'x', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return out;
}

std::string one_line(std::string_view text, size_t limit) {
  std::string line(text.substr(0, text.find_last_not_of("\r\n ") + 1));
  for (size_t at = 0; (at = line.find('\n', at)) != std::string::npos;) line.replace(at, 1, "; ");
  return printable(line, limit);
}

void copy_text(std::string_view text, char* buffer, size_t size) {
  if (size == 0) return;
  const size_t length = std::min(text.size(), size - 1);
  std::memcpy(buffer, text.data(), length);
  buffer[length] = '\0';
}

}  // namespace wasmrt
