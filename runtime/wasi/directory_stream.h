// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "wasi/types.h"

namespace wasmrt::wasi {

/// The reading position of one open directory, in constant memory.
///
/// A cookie is the kernel's own position behind an entry (what telldir gives),
/// so it stays valid while other entries come and go, and whoever reads on
/// where the last call ended gets every lasting entry exactly once.
class DirectoryStream {
 public:
  /// The cookie before the first entry. 0 and 1 are left for "." and "..",
  /// which the caller makes up.
  static constexpr uint64_t kStart = 2;

  struct Entry {
    uint64_t inode;
    uint64_t next;  ///< cookie
    FileType type;
    const char* name;  ///< valid until the next call
    size_t name_length;
  };

  /// @param directory  opened for reading; its position is this stream's.
  explicit DirectoryStream(int directory) : fd_(directory) {}

  /// Goes to the entry behind `cookie`; what is no position is taken as past
  /// the end. kStart looks at the directory anew.
  Errno seek(uint64_t cookie);

  /// The entry at the position, without moving on; "." and ".." are left out.
  /// @param at_end  set if there is none.
  Errno peek(Entry& entry, bool& at_end);

  /// Goes past the entry that peek() gave.
  void advance();

 private:
  Errno fill();
  [[nodiscard]] size_t record_length(size_t at) const;
  [[nodiscard]] uint64_t record_next(size_t at) const;

  int fd_;
  uint64_t before_ = kStart;  ///< cookie before the record at at_
  uint64_t block_ = kStart;   ///< cookie before the first record of buffer_
  size_t at_ = 0;
  size_t used_ = 0;
  bool past_end_ = false;
  std::array<char, 16384> buffer_;
};

}  // namespace wasmrt::wasi
