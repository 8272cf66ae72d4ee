// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "support/unique_fd.h"
#include "wasi/directory_stream.h"
#include "wasi/types.h"

namespace wasmrt::wasi {

struct Preopen;

/// What stands behind one of a guest's descriptor numbers.
struct Descriptor {
  enum class Kind : uint8_t { kFree, kStream, kDirectory, kFile };

  Kind kind = Kind::kFree;
  FileType type = FileType::kUnknown;  ///< of files
  uint8_t stream = 0;                  ///< of streams: 0, 1 or 2
  bool read_only = false;              ///< beneath a read-only preopen
  bool exec = false;                   ///< beneath one where files have any mode
  bool readable = false;               ///< of files
  bool writable = false;               ///< of files
  uint16_t flags = 0;                  ///< fdflags of files: append, nonblock
  UniqueFd fd;                         ///< of preopens: opened by the first use
  const Preopen* preopen = nullptr;
  std::unique_ptr<DirectoryStream> entries;  ///< made by the first fd_readdir

  [[nodiscard]] bool is_stream() const { return kind == Kind::kStream; }
  [[nodiscard]] bool is_directory() const { return kind == Kind::kDirectory; }
  [[nodiscard]] bool is_file() const { return kind == Kind::kFile; }
};

/// A guest's descriptors: 0 to 2 are the standard streams, the preopens follow,
/// new ones take the lowest free number. Pointers into it are valid until the
/// next insert().
class FdTable {
 public:
  /// @param limit  descriptors open at once, at least the streams and preopens.
  FdTable(std::span<const Preopen> preopens, uint32_t limit);
  ~FdTable();
  FdTable(const FdTable&) = delete;
  FdTable& operator=(const FdTable&) = delete;

  /// @return nullptr if the number is not in use.
  [[nodiscard]] Descriptor* find(uint32_t number) {
    if (number >= end_ || slots_[number].kind == Descriptor::Kind::kFree) return nullptr;
    return &slots_[number];
  }

  /// kMfile at the limit, kNomem.
  Errno insert(Descriptor descriptor, uint32_t& number);
  /// Descriptors in use, streams and preopens among them.
  [[nodiscard]] uint32_t open_count() const { return open_; }
  /// What insert() would say.
  [[nodiscard]] Errno room() {
    if (open_ < limit_) return Errno::kSuccess;
    was_refused_ = true;
    return Errno::kMfile;
  }
  /// Whether the limit has ever been in the way.
  [[nodiscard]] bool was_refused() const { return was_refused_; }
  /// kBadf if the number is not in use.
  Errno close(uint32_t number);
  /// Puts what is at `from` in place of what is at `to`. kBadf unless both are
  /// in use.
  Errno renumber(uint32_t from, uint32_t to);

  /// The directory at a number, its descriptor open. kBadf if there is none.
  Errno directory(uint32_t number, Descriptor*& found);

 private:
  Errno grow();
  void drop_slots();

  static constexpr uint32_t kInline = 8;

  uint32_t limit_;
  uint32_t open_ = 0;
  bool was_refused_ = false;
  uint32_t lowest_free_ = 0;  ///< no free number is lower
  uint32_t end_ = 0;          ///< numbers that were ever in use are lower
  uint32_t capacity_ = kInline;
  // Most runs use the streams only: a slot is made, as free, by the first use of its number.
  alignas(Descriptor) std::array<std::byte, kInline * sizeof(Descriptor)> inline_;
  Descriptor* slots_ = reinterpret_cast<Descriptor*>(inline_.data());  ///< `end_` of them are made
};

}  // namespace wasmrt::wasi
