// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wasi/guest_memory.h"
#include "wasi/host.h"

namespace wasmrt::wasi {

class FdTable;

/// A directory given to the guest. Fixed for a command, shared by its runs.
struct Preopen {
  std::string guest_path;
  std::string host_path;  ///< absolute; opened by the first host call that uses it
  bool read_only = false;
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

/// What a Context is made from. All of it must outlive the Context.
struct ContextConfig {
  const StringBlock* arguments = nullptr;
  const StringBlock* environment = nullptr;
  std::span<const Preopen> preopens;
  uint32_t max_descriptors = 256;
};

/// The state that WASI preview 1 keeps for one instance: its descriptors, its
/// exit status, the wish to stop. The 46 functions (table.h) work on it.
///
/// Not thread safe: one instance, one thread.
class Context {
 public:
  Context(const ContextConfig& config, Host& host);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] const StringBlock& arguments() const { return *config_.arguments; }
  [[nodiscard]] const StringBlock& environment() const { return *config_.environment; }
  [[nodiscard]] Host& host() { return host_; }
  [[nodiscard]] FdTable& fds() { return *fds_; }

  /// Set by a host function that the guest must not return from. The engine
  /// looks at it after each host call and unwinds the guest if it is not
  /// Stop::kNone.
  [[nodiscard]] Stop stop() const { return stop_; }
  void stop_with(Stop reason) { stop_ = reason; }
  void exit_with(int32_t status) {
    stop_ = Stop::kExit;
    exit_status_ = status;
  }
  [[nodiscard]] int32_t exit_status() const { return exit_status_; }

 private:
  ContextConfig config_;
  Host& host_;
  std::unique_ptr<FdTable> fds_;
  Stop stop_ = Stop::kNone;
  int32_t exit_status_ = 0;
};

}  // namespace wasmrt::wasi
