// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace wasmctl {

void complain(const std::string& message) {
  std::fprintf(stderr, "wasmctl: %s\n", message.c_str());
}

OptionReader::OptionReader(int argc, char** argv, const option* options, const char* usage)
    : argc_(argc), argv_(argv), options_(options), usage_(usage) {
  optind = 1;
  opterr = 0;
}

int OptionReader::next() {
  const int index = optind;
  const int found = getopt_long(argc_, argv_, "+:h", options_, nullptr);
  if (found == 'h') {
    std::fputs(usage_, stdout);
    exit_status_ = 0;
    return -1;
  }
  if (found == '?') fail(std::string("unknown option ") + argv_[index]);
  if (found == ':') fail(std::string("the option ") + argv_[index] + " needs a value");
  return exit_status_ ? -1 : found;
}

void OptionReader::fail(const std::string& message) {
  complain(std::string(argv_[0]) + ": " + message + "; see wasmctl " + argv_[0] + " --help");
  exit_status_ = kExitUsage;
}

std::optional<uint64_t> parse_bytes(std::string_view text) {
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc()) return std::nullopt;
  int shift = 0;
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  if (unit == "K" || unit == "k") {
    shift = 10;
  } else if (unit == "M" || unit == "m") {
    shift = 20;
  } else if (unit == "G" || unit == "g") {
    shift = 30;
  } else if (!unit.empty()) {
    return std::nullopt;
  }
  if (value == 0 || value > (UINT64_MAX >> shift)) return std::nullopt;
  return value << shift;
}

std::optional<uint32_t> parse_seconds(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || !(value > 0)) return std::nullopt;
  const double milliseconds = std::ceil(value * 1000);
  if (milliseconds > UINT32_MAX) return std::nullopt;
  return static_cast<uint32_t>(milliseconds);
}

std::optional<wasmrt_layout> parse_layout(std::string_view text) {
  if (text == "reserved") return WASMRT_LAYOUT_RESERVED;
  if (text == "compact") return WASMRT_LAYOUT_COMPACT;
  return std::nullopt;
}

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

Directory parse_directory(std::string_view text) {
  static constexpr std::pair<std::string_view, wasmrt_access> kSuffixes[] = {
      {":ro", WASMRT_ACCESS_READ}, {":exec", WASMRT_ACCESS_EXEC}};
  Directory directory{};
  for (const auto& [suffix, access] : kSuffixes) {
    if (!text.ends_with(suffix)) continue;
    directory.access = access;
    text.remove_suffix(suffix.size());
    break;
  }
  const size_t separator = text.find("::");
  const std::string_view host = text.substr(0, separator);
  directory.guest = separator == std::string_view::npos ? host : text.substr(separator + 2);
  directory.host = absolute(std::string(host));
  return directory;
}

std::string check_directory(const Directory& directory) {
  struct stat info {};
  if (stat(directory.host.c_str(), &info) != 0) {
    return "--dir " + directory.host + ": " + std::strerror(errno);
  }
  return S_ISDIR(info.st_mode) ? "" : "--dir " + directory.host + " is not a directory";
}

std::string absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  const std::unique_ptr<char, decltype(&std::free)> here(getcwd(nullptr, 0), std::free);
  return here == nullptr ? path : std::string(here.get()) + "/" + path;
}

}  // namespace wasmctl
