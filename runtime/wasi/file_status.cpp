// SPDX-License-Identifier: Apache-2.0
#include "wasi/file_status.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace wasmrt::wasi {
namespace {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;

uint64_t nanoseconds(const timespec& time) {
  if (time.tv_sec < 0) return 0;
  uint64_t result;
  if (__builtin_mul_overflow(static_cast<uint64_t>(time.tv_sec), kNanosecondsPerSecond, &result) ||
      __builtin_add_overflow(result, static_cast<uint64_t>(time.tv_nsec), &result)) {
    return std::numeric_limits<uint64_t>::max();
  }
  return result;
}

bool time_from(uint64_t time, bool set, bool now, timespec& result) {
  if (set && now) return false;
  result = {};
  if (set) {
    result.tv_sec = static_cast<time_t>(time / kNanosecondsPerSecond);
    result.tv_nsec = static_cast<long>(time % kNanosecondsPerSecond);
  } else {
    result.tv_nsec = now ? UTIME_NOW : UTIME_OMIT;
  }
  return true;
}

}  // namespace

FileType file_type(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return FileType::kRegularFile;
    case S_IFDIR:
      return FileType::kDirectory;
    case S_IFLNK:
      return FileType::kSymbolicLink;
    case S_IFCHR:
      return FileType::kCharacterDevice;
    case S_IFBLK:
      return FileType::kBlockDevice;
    case S_IFSOCK:
      return FileType::kSocketStream;
    default:  // preview 1 has no type for FIFOs
      return FileType::kUnknown;
  }
}

Filestat filestat_of(const struct stat& status) {
  return {.dev = status.st_dev,
          .ino = status.st_ino,
          .filetype = file_type(status.st_mode),
          .nlink = status.st_nlink,
          .size = static_cast<uint64_t>(status.st_size),
          .atim = nanoseconds(status.st_atim),
          .mtim = nanoseconds(status.st_mtim),
          .ctim = nanoseconds(status.st_ctim)};
}

UnstableFilestat to_unstable(const Filestat& filestat) {
  return {.dev = filestat.dev,
          .ino = filestat.ino,
          .filetype = filestat.filetype,
          .nlink = static_cast<uint32_t>(
              std::min<uint64_t>(filestat.nlink, std::numeric_limits<uint32_t>::max())),
          .size = filestat.size,
          .atim = filestat.atim,
          .mtim = filestat.mtim,
          .ctim = filestat.ctim};
}

Errno times_from(uint64_t atim, uint64_t mtim, uint32_t flags, timespec times[2]) {
  using namespace fstflags;
  if ((flags & ~kAll) != 0) return Errno::kInval;
  if (!time_from(atim, (flags & kAtime) != 0, (flags & kAtimeNow) != 0, times[0]) ||
      !time_from(mtim, (flags & kMtime) != 0, (flags & kMtimeNow) != 0, times[1])) {
    return Errno::kInval;
  }
  return Errno::kSuccess;
}

}  // namespace wasmrt::wasi
