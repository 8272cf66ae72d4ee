// SPDX-License-Identifier: Apache-2.0
#include "wasi/directory_stream.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "wasi/file_status.h"

namespace wasmrt::wasi {
namespace {

// struct linux_dirent64, which has no header: what getdents64 writes.
constexpr size_t kInodeAt = 0;
constexpr size_t kNextAt = 8;
constexpr size_t kLengthAt = 16;
constexpr size_t kTypeAt = 18;
constexpr size_t kNameAt = 19;

template <typename T>
T load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

// The kernel's positions start with 0 and are not negative.
uint64_t cookie_of(int64_t position) {
  return static_cast<uint64_t>(position) + DirectoryStream::kStart;
}

FileType type_of(unsigned char type, int directory, const char* name) {
  switch (type) {
    case DT_REG:
      return FileType::kRegularFile;
    case DT_DIR:
      return FileType::kDirectory;
    case DT_LNK:
      return FileType::kSymbolicLink;
    case DT_CHR:
      return FileType::kCharacterDevice;
    case DT_BLK:
      return FileType::kBlockDevice;
    case DT_SOCK:
      return FileType::kSocketStream;
    case DT_UNKNOWN: {
      // Not every file system tells.
      struct stat status;
      if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        return file_type(status.st_mode);
      }
      return FileType::kUnknown;
    }
    default:
      return FileType::kUnknown;
  }
}

}  // namespace

size_t DirectoryStream::record_length(size_t at) const {
  return load<uint16_t>(buffer_.data() + at + kLengthAt);
}

uint64_t DirectoryStream::record_next(size_t at) const {
  return cookie_of(load<int64_t>(buffer_.data() + at + kNextAt));
}

Errno DirectoryStream::seek(uint64_t cookie) {
  if (cookie != kStart && !past_end_) {
    if (cookie == before_) return Errno::kSuccess;
    // Mostly the caller goes back to an entry that did not fit into its buffer.
    uint64_t before = block_;
    for (size_t at = 0; at < used_; at += record_length(at)) {
      if (before == cookie) {
        at_ = at;
        before_ = before;
        return Errno::kSuccess;
      }
      before = record_next(at);
    }
    if (before == cookie) {
      at_ = used_;
      before_ = before;
      return Errno::kSuccess;
    }
  }
  const auto position = static_cast<off_t>(cookie - kStart);
  at_ = used_ = 0;
  before_ = block_ = cookie;
  past_end_ = position < 0 || lseek(fd_, position, SEEK_SET) < 0;
  if (past_end_ && position >= 0 && errno != EINVAL) return errno_from_host(errno);
  return Errno::kSuccess;
}

Errno DirectoryStream::fill() {
  const long got = syscall(SYS_getdents64, fd_, buffer_.data(), buffer_.size());
  if (got < 0) {
    // A directory that was removed meanwhile has no entries.
    if (errno != ENOENT) return errno_from_host(errno);
  }
  at_ = 0;
  used_ = got > 0 ? static_cast<size_t>(got) : 0;
  block_ = before_;
  return Errno::kSuccess;
}

Errno DirectoryStream::peek(Entry& entry, bool& at_end) {
  at_end = past_end_;
  while (!past_end_) {
    if (at_ == used_) {
      const Errno filled = fill();
      if (filled != Errno::kSuccess) return filled;
      if (used_ == 0) {
        at_end = true;
        return Errno::kSuccess;
      }
    }
    const char* record = buffer_.data() + at_;
    const std::string_view name = record + kNameAt;
    if (name != "." && name != "..") {
      entry = {.inode = load<uint64_t>(record + kInodeAt),
               .next = record_next(at_),
               .type = type_of(load<unsigned char>(record + kTypeAt), fd_, name.data()),
               .name = name.data(),
               .name_length = name.size()};
      return Errno::kSuccess;
    }
    advance();
  }
  return Errno::kSuccess;
}

void DirectoryStream::advance() {
  before_ = record_next(at_);
  at_ += record_length(at_);
}

}  // namespace wasmrt::wasi
