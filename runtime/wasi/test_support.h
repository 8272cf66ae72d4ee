// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "wasi/context.h"
#include "wasi/guest_memory.h"
#include "wasi/host.h"
#include "wasi/table.h"
#include "wasi/types.h"

// What the tests of the WASI functions stand on: a directory, an outside world
// and a guest without an engine. The functions are called through the table,
// as the engine calls them.

namespace wasmrt::wasi {

/// For messages of failed expectations.
inline void PrintTo(Errno error, std::ostream* stream) {
  *stream << "errno " << static_cast<int>(error);
}

/// A directory that is removed with all it holds.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] std::string path(std::string_view name = "") const;
  void write(std::string_view name, std::string_view content) const;
  [[nodiscard]] std::string read(std::string_view name) const;
  [[nodiscard]] bool exists(std::string_view name) const;
  void make_directory(std::string_view name) const;
  void make_link(std::string_view target, std::string_view name) const;
  void make_fifo(std::string_view name) const;

 private:
  std::filesystem::path root_;
};

/// An outside world that remembers what it was told.
class FakeHost : public Host {
 public:
  const StringBlock& environment() override { return variables; }
  StreamResult read_stdin(std::span<uint8_t> buffer) override;
  StreamResult write_stdout(std::span<const uint8_t> bytes) override;
  StreamResult write_stderr(std::span<const uint8_t> bytes) override;
  StreamResult flush_stdout() override;
  StreamInfo stream_info(int fd) const override { return {descriptors[fd]}; }
  Stop check() override;
  int64_t deadline_ns() const override { return std::numeric_limits<int64_t>::max(); }

  StringBlock variables;
  std::string input;
  std::string output;
  std::string errors;
  int flushes = 0;
  int checks = 0;
  /// The check that answers stop_answer; 0: none.
  int stop_at_check = 0;
  Stop stop_answer = Stop::kTimedOut;
  /// Called by each check, before it answers.
  std::function<void()> on_check;
  /// What the streams answer instead of moving bytes, if set.
  StreamResult failure;
  int descriptors[3] = {-1, -1, -1};
};

/// A guest: memory, a context, and calls by name.
class TestGuest {
 public:
  static constexpr uint32_t kMemorySize = 1 << 20;
  /// A pointer that no object fits behind.
  static constexpr uint32_t kBadPointer = kMemorySize - 1;
  /// The descriptor of the first preopen.
  static constexpr uint32_t kRoot = 3;

  explicit TestGuest(std::vector<Preopen> preopens = {}, PathWalk walk = PathWalk::kAutomatic,
                     uint32_t max_descriptors = 256);

  Errno call(std::string_view name, std::initializer_list<uint64_t> arguments);
  Errno call_own(std::string_view name, std::initializer_list<uint64_t> arguments);
  Errno call_unstable(std::string_view name, std::initializer_list<uint64_t> arguments);

  /// Memory of `size` bytes for the guest's use, aligned to 8 and zeroed.
  uint32_t allocate(uint32_t size);
  uint32_t store(std::string_view bytes);
  /// Stores `vectors` as an array of iovecs.
  uint32_t store_vectors(const std::vector<Iovec>& vectors);

  template <typename T>
  T load(uint32_t ptr) const {
    T value{};
    EXPECT_TRUE(memory().load(ptr, value));
    return value;
  }
  [[nodiscard]] std::string text(uint32_t ptr, uint32_t length) const;

  // The calls that most tests need.
  struct Opened {
    Errno error;
    uint32_t fd;
  };
  Opened open(uint32_t directory, std::string_view path, uint32_t open_flags = 0,
              uint64_t rights_base = rights::kFdRead, uint32_t fd_flags = 0,
              uint32_t lookup = lookupflags::kSymlinkFollow);
  /// Opens or fails the test.
  uint32_t must_open(uint32_t directory, std::string_view path, uint32_t open_flags = 0,
                     uint64_t rights_base = rights::kFdRead, uint32_t fd_flags = 0);
  /// A call whose arguments are a descriptor and one path.
  Errno path_call(std::string_view name, uint32_t directory, std::string_view path);
  Errno write(uint32_t fd, std::string_view bytes);
  Errno read(uint32_t fd, uint32_t size, std::string& bytes);
  Errno link(uint32_t old_fd, std::string_view old_path, uint32_t new_fd, std::string_view new_path,
             uint32_t flags = 0);
  Errno rename(uint32_t old_fd, std::string_view old_path, uint32_t new_fd,
               std::string_view new_path);
  Errno symlink(std::string_view target, uint32_t fd, std::string_view path);
  Errno readlink(uint32_t fd, std::string_view path, std::string& target);
  Errno stat(uint32_t fd, std::string_view path, Filestat& filestat, uint32_t lookup = 0);

  [[nodiscard]] GuestMemory memory() const {
    return {const_cast<uint8_t*>(memory_.data()), memory_.size()};
  }
  /// Gives all memory that was allocated back.
  void reset_memory() { next_ = 8; }

  FakeHost host;
  StringBlock arguments;

 private:
  Errno call(std::string_view module, std::string_view name,
             std::initializer_list<uint64_t> arguments);

  std::vector<Preopen> preopens_;
  std::vector<uint8_t> memory_;
  uint32_t next_ = 8;

 public:
  Context context;
};

}  // namespace wasmrt::wasi
