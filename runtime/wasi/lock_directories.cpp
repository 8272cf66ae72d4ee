// SPDX-License-Identifier: Apache-2.0
#include "wasi/lock_directories.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

namespace wasmrt::wasi {
namespace {

constexpr std::string_view kSuffix = ".lock";
// How a database begins. One that is about to be made is empty.
constexpr std::string_view kMagic("SQLite format 3\0", 16);
// Each holds a descriptor of the host. A program has a few databases open.
constexpr size_t kMaxHeld = 8;

/// Whether `name` is a lock on a database that lies in the same directory.
bool is_lock(int parent, std::string_view name) {
  if (!name.ends_with(kSuffix)) return false;
  const std::string database(name.substr(0, name.size() - kSuffix.size()));
  const UniqueFd fd(
      openat(parent, database.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status;
  if (!fd.valid() || fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  if (status.st_size == 0) return true;
  char start[kMagic.size()];
  return pread(fd.get(), start, sizeof start, 0) == static_cast<ssize_t>(sizeof start) &&
         std::string_view(start, sizeof start) == kMagic;
}

Errno from_result(int result) { return result == 0 ? Errno::kSuccess : errno_from_host(errno); }

/// Whether `name` stands for the directory that `status` tells of.
bool is_named(int parent, const char* name, const struct stat& status) {
  struct stat now;
  return fstatat(parent, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == status.st_dev &&
         now.st_ino == status.st_ino;
}

}  // namespace

LockDirectories::~LockDirectories() {
  for (const Held& held : held_) {
    const UniqueFd parent(openat(held.fd.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat status;
    if (parent.valid() && fstat(held.fd.get(), &status) == 0 &&
        is_named(parent.get(), held.name.c_str(), status)) {
      unlinkat(parent.get(), held.name.c_str(), AT_REMOVEDIR);
    }
  }
}

Errno LockDirectories::make(int parent, const char* name, mode_t mode) {
  if (held_.size() == kMaxHeld || !is_lock(parent, name)) {
    return from_result(mkdirat(parent, name, mode));
  }
  const bool made = mkdirat(parent, name, mode | S_ISVTX) == 0;
  if (!made && errno != EEXIST) return errno_from_host(errno);
  // From here on whoever gets the lock on the directory that has the name is its
  // holder, no matter who made it.
  UniqueFd fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!fd.valid() || fstat(fd.get(), &status) != 0) return Errno::kExist;
  if (!made && (status.st_mode & S_ISVTX) == 0) return Errno::kExist;
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    // Some file systems have no such lock: then nobody takes the directory over.
    if (!made || errno == EWOULDBLOCK) return Errno::kExist;
  }
  if (!is_named(parent, name, status)) return Errno::kExist;
  held_.push_back({std::move(fd), status.st_dev, status.st_ino, name});
  return Errno::kSuccess;
}

Errno LockDirectories::remove(int parent, const char* name) {
  struct stat status;
  const bool known =
      !held_.empty() && fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && holds(status);
  const Errno result = from_result(unlinkat(parent, name, AT_REMOVEDIR));
  if (known && result == Errno::kSuccess) {
    std::erase_if(held_, [&](const Held& held) {
      return held.device == status.st_dev && held.inode == status.st_ino;
    });
  }
  return result;
}

bool LockDirectories::holds(const struct stat& status) const {
  return std::any_of(held_.begin(), held_.end(), [&](const Held& held) {
    return held.device == status.st_dev && held.inode == status.st_ino;
  });
}

}  // namespace wasmrt::wasi
