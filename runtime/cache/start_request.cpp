// SPDX-License-Identifier: Apache-2.0
#include "cache/start_request.h"

#include <unistd.h>

#include <array>
#include <ctime>

#include "cache/compiler_process.h"
#include "cache/file_io.h"
#include "support/text.h"

namespace wasmrt {
namespace {

/// Keeps the guest's variables apart from those of the process around it.
constexpr const char* kVariablePrefix = "WASM_ENV_";

/// Of a directory for --dir.
const char* suffix_of(wasmrt_access access) {
  switch (access) {
    case WASMRT_ACCESS_READ:
      return ":ro";
    case WASMRT_ACCESS_EXEC:
      return ":exec";
    default:
      return "";
  }
}

struct Footer {
  std::array<char, 16> magic;
  int64_t made;
  uint64_t text_bytes;  ///< of the text before the footer
};

constexpr std::array<char, 16> kMagic = {'m', 'o', 'd', '_', 'w', 'a', 's', 'm',
                                         ' ', 's', 't', 'a', 'r', 't', '1', '\n'};

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

std::string StartRequest::key_text() const {
  std::string text("start\0", 6);
  for (const std::vector<std::string>& list : {options(), words(), variables()}) {
    for (const std::string& word : list) text.append(word).push_back('\0');
    text.push_back('\0');
  }
  return text;
}

std::vector<std::string> StartRequest::options() const {
  std::vector<std::string> list = {"image"};
  if (command_.entry_point != nullptr) list.insert(list.end(), {"--init", command_.entry_point});
  if (command_.limits.memory_bytes != 0) {
    list.insert(list.end(), {"--memory", std::to_string(command_.limits.memory_bytes)});
  }
  for (size_t i = 0; i < command_.directory_count; ++i) {
    const wasmrt_directory& directory = command_.directories[i];
    list.insert(list.end(),
                {"--dir", std::string(directory.host_path) + "::" + directory.guest_path +
                              suffix_of(directory.access)});
  }
  list.insert(list.end(), {"--env-prefix", kVariablePrefix});
  list.insert(list.end(), {"--argv0", command_.arguments[0]});
  return list;
}

std::vector<std::string> StartRequest::words() const {
  std::vector<std::string> list;
  for (size_t i = 1; command_.arguments[i] != nullptr; ++i)
    list.emplace_back(command_.arguments[i]);
  return list;
}

std::vector<std::string> StartRequest::variables() const {
  std::vector<std::string> list;
  for (size_t i = 0; i < command_.environment_count; ++i) {
    const wasmrt_variable& variable = command_.environment[i];
    list.push_back(std::string(kVariablePrefix) + variable.name + "=" + variable.value);
  }
  return list;
}

std::optional<std::string> StartRequest::outdated(int64_t made,
                                                  std::span<const OpenedFile> files) const {
  if (max_age_ != 0 && std::time(nullptr) - made >= int64_t{max_age_}) {
    return "it is more than " + std::to_string(max_age_) + " s old";
  }
  for (const OpenedFile& file : files) {
    if (!file.is_current()) return printable(file.path) + " has changed";
  }
  return std::nullopt;
}

Result<UniqueFd> append_record(int image, uint64_t bytes, const StartRecord& record,
                               uint64_t& total) {
  Result<UniqueFd> copy = make_memory_file("wasm-start-image");
  if (!copy.is_ok()) return copy;
  const int fd = copy.value().get();
  Status status = read_pieces(
      image, bytes, [fd](std::span<const uint8_t> piece) { return write_all(fd, piece); });
  const std::string text = files_text(record.files);
  const Footer footer = {kMagic, record.made, text.size()};
  if (status.is_ok()) status = write_all(fd, bytes_of(text));
  if (status.is_ok()) {
    status = write_all(fd, {reinterpret_cast<const uint8_t*>(&footer), sizeof footer});
  }
  if (status.is_ok()) status = seal_memory_file(fd);
  if (!status.is_ok()) return status;
  total = bytes + text.size() + sizeof footer;
  return copy;
}

Result<StartRecord> read_record(int image, uint64_t bytes) {
  const Status bad = Status::invalid("holds no record of how it was made");
  Footer footer{};
  if (bytes < sizeof footer ||
      pread(image, &footer, sizeof footer, static_cast<off_t>(bytes - sizeof footer)) !=
          static_cast<ssize_t>(sizeof footer) ||
      footer.magic != kMagic || footer.text_bytes > bytes - sizeof footer) {
    return bad;
  }
  std::string text(footer.text_bytes, '\0');
  if (pread(image, text.data(), text.size(),
            static_cast<off_t>(bytes - sizeof footer - text.size())) !=
      static_cast<ssize_t>(text.size())) {
    return bad;
  }
  Result<std::vector<OpenedFile>> files = parse_files(text);
  if (!files.is_ok()) return files.status();
  return StartRecord{footer.made, files.take()};
}

}  // namespace wasmrt
