// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "support/status.h"
#include "support/unique_fd.h"

namespace wasmrt {

/// The right to compile the module of one key, held by at most one process.
/// Kept as a lock on a file in the cache, so that it ends with its holder.
class KeyLock {
 public:
  KeyLock(KeyLock&&) = default;
  KeyLock& operator=(KeyLock&&) = delete;
  ~KeyLock();

  /// Lets those who wait for this lock share a failure instead of running into
  /// the same one after another.
  void publish_failure(const Status& status);

 private:
  friend class Store;
  KeyLock(int directory, std::string name, UniqueFd file)
      : directory_(directory), name_(std::move(name)), file_(std::move(file)) {}

  int directory_;
  std::string name_;
  UniqueFd file_;
};

/// A directory of compiled images, each in a file `KEY.cwasm`: the image, then
/// a trailer with its size, its key and its checksum. The engine finds its way
/// in an ELF file by the header alone and does not see the trailer.
///
/// Compiled code is trusted code: a directory or a file that anyone but root
/// and this process's user could write is not used.
class Store {
 public:
  /// Creates the directory, and those above it, where they are missing.
  /// An error says why it cannot be used.
  static Result<Store> open(const std::string& directory);

  /// Whether the file system is mounted so that no code in it can be mapped.
  [[nodiscard]] bool is_noexec() const;

  struct Entry {
    UniqueFd file;  ///< read-only
    uint64_t image_bytes = 0;
  };

  /// The image of a key; nothing if there is none. One that may not be used is
  /// an error that says why; it has been removed if that was possible.
  Result<std::optional<Entry>> find(const std::string& key) const;

  /// Stores the first `bytes` bytes of `image` under `key`. Call it with the
  /// key's lock held.
  Result<Entry> put(const std::string& key, int image, uint64_t bytes) const;

  enum class Wait {
    kLocked,       ///< the lock is ours
    kOtherDone,    ///< another process held it and has finished: look again
    kOtherFailed,  ///< another process held it and failed: `failure`
    kTooLong,      ///< another process holds it still
  };
  struct LockResult {
    Wait wait;
    std::optional<KeyLock> lock;
    Status failure = Status::ok();
  };

  /// Takes the lock of a key, waiting up to `limit`; `progress` is called every
  /// five seconds. An error says why there can be no lock: the directory is not
  /// writable, as a rule.
  Result<LockResult> lock(const std::string& key, std::chrono::seconds limit,
                          const std::function<void(unsigned seconds)>& progress) const;

 private:
  explicit Store(UniqueFd directory) : directory_(std::move(directory)) {}

  Result<Entry> check(const std::string& key, UniqueFd file) const;
  void remove_stale_files() const;

  UniqueFd directory_;
};

}  // namespace wasmrt
