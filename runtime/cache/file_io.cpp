// SPDX-License-Identifier: Apache-2.0
#include "cache/file_io.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace wasmrt {

std::string errno_text(const std::string& what, int error) {
  return what + ": " + std::strerror(error);
}

Status read_pieces(int fd, uint64_t bytes, const PieceSink& sink) {
  static constexpr uint64_t kPieceBytes = 256 << 10;
  const auto buffer = std::make_unique_for_overwrite<uint8_t[]>(kPieceBytes);
  for (uint64_t offset = 0; offset < bytes;) {
    const ssize_t count =
        pread(fd, buffer.get(), std::min(kPieceBytes, bytes - offset), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Status::io(errno_text("cannot be read", errno));
    if (count == 0) return Status::io("became shorter while it was read");
    if (Status status = sink(std::span(buffer.get(), static_cast<size_t>(count)));
        !status.is_ok()) {
      return status;
    }
    offset += static_cast<uint64_t>(count);
  }
  return Status::ok();
}

Status write_all(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Status::io(errno_text("cannot be written", errno));
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return Status::ok();
}

}  // namespace wasmrt
