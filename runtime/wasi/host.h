// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wasmrt::wasi {

/// Why a run must end before the guest ends by itself.
enum class Stop : uint8_t {
  kNone,         ///< it need not
  kExit,         ///< the guest called proc_exit
  kTimedOut,     ///< wall or processor time used up
  kOutputLimit,  ///< standard output past its limit
  kAborted,      ///< nobody wants the result any more
};

/// Strings as the guest gets them: each followed by a NUL byte, one behind
/// the other, so that args_get and environ_get are one copy and a scan.
struct StringBlock {
  std::string bytes;
  uint32_t count = 0;

  void append(std::string_view text) {
    bytes.append(text);
    bytes.push_back('\0');
    ++count;
  }
};

/// What a host stream answered.
struct StreamResult {
  uint64_t bytes = 0;       ///< moved; 0 on reading is the end of the stream
  Stop stop = Stop::kNone;  ///< anything else ends the run
  int error = 0;            ///< an errno value, 0 for none
};

/// What a standard stream looks like to the guest.
struct StreamInfo {
  /// The host's own descriptor behind the stream, -1 if there is none (a
  /// server's request). With one, the guest can learn whether it is a terminal
  /// and poll_oneoff waits for it; without, the stream is no terminal and
  /// always ready. As in Wasmtime, a stream is never sought and has no size.
  int descriptor = -1;
};

/// The outside world of one run, so far as it is not the file system: the
/// environment, the standard streams, the time that is left, the wish to go on. One small
/// interface, so that a test can stand in for it. Used by one thread.
class Host {
 public:
  virtual ~Host() = default;

  /// The guest's variables, "name=value" each; the same ones whenever it asks. They live as
  /// long as the host.
  virtual const StringBlock& environment() = 0;

  /// Reads standard input; may block, but no longer than the run may last.
  virtual StreamResult read_stdin(std::span<uint8_t> buffer) = 0;
  /// Writes standard output; takes all of it or stops the run.
  virtual StreamResult write_stdout(std::span<const uint8_t> bytes) = 0;
  virtual StreamResult write_stderr(std::span<const uint8_t> bytes) = 0;
  /// Sends what standard output holds back. Called before the guest waits.
  virtual StreamResult flush_stdout() = 0;

  /// `fd` is 0, 1 or 2.
  virtual StreamInfo stream_info(int fd) const = 0;

  /// Whether the run may go on. Called at least every 100 ms by any host
  /// function that waits or repeats work, and after it.
  virtual Stop check() = 0;

  /// Nanoseconds on CLOCK_MONOTONIC at which the run's wall time ends.
  virtual int64_t deadline_ns() const = 0;

  /// The kernel is about to write into the guest's memory.
  virtual void lend_memory() {}

  /// The guest has opened a file or a directory by a path. `descriptor` is the
  /// host's, still the guest's.
  virtual void opened(int /*descriptor*/) {}
};

}  // namespace wasmrt::wasi
