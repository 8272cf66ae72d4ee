// SPDX-License-Identifier: Apache-2.0
#include "wasi/file_status.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <limits>

namespace wasmrt::wasi {
namespace {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr mode_t kExecute = S_IXUSR | S_IXGRP | S_IXOTH;
constexpr mode_t kSpecial = kModeBits & ~kPermissions;

uint64_t nanoseconds(const timespec& time) {
  if (time.tv_sec < 0) return 0;
  uint64_t result;
  if (__builtin_mul_overflow(static_cast<uint64_t>(time.tv_sec), kNanosecondsPerSecond, &result) ||
      __builtin_add_overflow(result, static_cast<uint64_t>(time.tv_nsec), &result)) {
    return std::numeric_limits<uint64_t>::max();
  }
  return result;
}

Time time_of(const timespec& time) {
  return {.seconds = time.tv_sec, .nanoseconds = static_cast<uint32_t>(time.tv_nsec)};
}

bool time_from(const timespec& time, bool set, bool now, timespec& result) {
  if (set && now) return false;
  result = {};
  if (set) {
    result = time;
  } else {
    result.tv_nsec = now ? UTIME_NOW : UTIME_OMIT;
  }
  return true;
}

/// For calls that take no descriptor which is only a place.
struct DescriptorPath {
  explicit DescriptorPath(int fd) { std::snprintf(text, sizeof(text), "/proc/self/fd/%d", fd); }

  char text[32];
};

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

Status status_of(const struct stat& status, bool exec) {
  return {.dev = status.st_dev,
          .ino = status.st_ino,
          .nlink = status.st_nlink,
          .size = static_cast<uint64_t>(status.st_size),
          .blocks = static_cast<uint64_t>(status.st_blocks),
          .atim = time_of(status.st_atim),
          .mtim = time_of(status.st_mtim),
          .ctim = time_of(status.st_ctim),
          .mode = status.st_mode & (S_IFMT | (exec ? kModeBits : kPermissions))};
}

Errno change_mode(int fd, const struct stat& status, mode_t mode, bool exec) {
  if (S_ISLNK(status.st_mode)) return Errno::kNotsup;
  if (!exec) {
    mode &= kPermissions;
    if (S_ISDIR(status.st_mode)) {
      mode |= status.st_mode & kSpecial;
    } else {
      mode &= ~kExecute | status.st_mode;
    }
  }
  constexpr long kFchmodat2 = 452;  // Linux 6.6, on every architecture
  if (syscall(kFchmodat2, fd, "", mode, AT_EMPTY_PATH) == 0) return Errno::kSuccess;
  const int error = errno;
  // Old kernels answer ENOSYS; the filters of some containers EPERM.
  if (error != ENOSYS && error != EPERM) return errno_from_host(error);
  if (chmod(DescriptorPath(fd).text, mode) == 0) return Errno::kSuccess;
  return errno_from_host(errno == ENOENT ? error : errno);  // ENOENT: no /proc
}

Errno check_access(int fd, int mode) {
  if (faccessat(fd, "", mode, AT_EACCESS | AT_EMPTY_PATH) == 0) return Errno::kSuccess;
  // Before Linux 5.8 the C library has to do without the kernel, and knows no empty path.
  if (errno != EINVAL && errno != ENOSYS && errno != EPERM) return errno_from_host(errno);
  if (faccessat(AT_FDCWD, DescriptorPath(fd).text, mode, AT_EACCESS) == 0) return Errno::kSuccess;
  return errno_from_host(errno);
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

timespec timespec_of(uint64_t nanoseconds) {
  return {.tv_sec = static_cast<time_t>(nanoseconds / kNanosecondsPerSecond),
          .tv_nsec = static_cast<long>(nanoseconds % kNanosecondsPerSecond)};
}

Errno times_from(const timespec& atim, const timespec& mtim, uint32_t flags, timespec times[2]) {
  using namespace fstflags;
  if ((flags & ~kAll) != 0) return Errno::kInval;
  if (!time_from(atim, (flags & kAtime) != 0, (flags & kAtimeNow) != 0, times[0]) ||
      !time_from(mtim, (flags & kMtime) != 0, (flags & kMtimeNow) != 0, times[1])) {
    return Errno::kInval;
  }
  return Errno::kSuccess;
}

}  // namespace wasmrt::wasi
