// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "support/unique_fd.h"
#include "wasi/types.h"

namespace wasmrt::wasi {

/// The directories FILE.lock that a run has made beside databases.
///
/// SQLite locks a database so where it was built without locks on files, as it
/// is for WASI: who makes the directory has the lock, and removing it gives the
/// lock back. A run that ends without removing it would leave the database
/// locked for ever. Therefore a run holds, for as long as it has such a
/// directory, a lock (flock) on it as well, which the kernel drops when the
/// process dies; and what it has not removed is removed when it ends. A
/// directory of ours on which nobody has that lock belongs to nobody, and goes
/// to the next run that tries to make it. Ours carry the sticky bit: a
/// directory without it was made by somebody who takes no such lock.
class LockDirectories {
 public:
  LockDirectories() = default;
  ~LockDirectories();
  LockDirectories(const LockDirectories&) = delete;
  LockDirectories& operator=(const LockDirectories&) = delete;

  /// mkdir in `parent`. kExist also if another run has the lock.
  Errno make(int parent, const char* name, mode_t mode);
  /// rmdir in `parent`.
  Errno remove(int parent, const char* name);

  /// Whether this run holds the directory. SQLite of this kind takes the lock,
  /// then asks whether the directory is there to learn if somebody else is
  /// writing, finds its own, and so takes the journal of a writer that died for
  /// that of one at work: it would read what was written in part. To its holder
  /// the directory does therefore not exist.
  [[nodiscard]] bool holds(const struct stat& status) const;

 private:
  struct Held {
    UniqueFd fd;  ///< has the lock
    dev_t device;
    ino_t inode;
    std::string name;
  };

  std::vector<Held> held_;
};

}  // namespace wasmrt::wasi
