// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "wasi/fd_table.h"
#include "wasi/guest_memory.h"
#include "wasi/host.h"
#include "wasi/lock_directories.h"
#include "wasi/path.h"

namespace wasmrt::wasi {

/// A directory given to the guest. Fixed for a command, shared by its runs.
struct Preopen {
  std::string guest_path;
  std::string host_path;  ///< absolute; opened by the first host call that uses it
  bool read_only = false;
  bool exec = false;  ///< beneath it a file may have and get any mode
};

/// What a Context is made from. All of it must outlive the Context.
struct ContextConfig {
  const StringBlock* arguments = nullptr;
  std::span<const Preopen> preopens;
  uint32_t max_descriptors = 256;
  PathWalk path_walk = PathWalk::kAutomatic;
  /// The native stack that the guest may use: bytes, and the address where they end. 0 if nobody
  /// will ask.
  uint64_t stack_bytes = 0;
  uintptr_t stack_end = 0;
};

/// The state that WASI preview 1 keeps for one instance: its descriptors, its
/// locks by directories, its exit status, the wish to stop. The functions (table.h) work on it.
///
/// Not thread safe: one instance, one thread.
class Context {
 public:
  Context(const ContextConfig& config, Host& host)
      : config_(config), host_(host), fds_(config.preopens, config.max_descriptors) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] const StringBlock& arguments() const { return *config_.arguments; }
  [[nodiscard]] Host& host() { return host_; }
  [[nodiscard]] FdTable& fds() { return fds_; }
  [[nodiscard]] LockDirectories& lock_directories() { return lock_directories_; }
  [[nodiscard]] uint64_t stack_bytes() const { return config_.stack_bytes; }
  [[nodiscard]] uintptr_t stack_end() const { return config_.stack_end; }
  [[nodiscard]] PathWalk path_walk() const { return config_.path_walk; }

  /// What new files and directories lack beside the process's umask.
  [[nodiscard]] mode_t umask() const { return umask_; }
  void set_umask(mode_t mask) { umask_ = mask; }

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

  /// Processor time as the guest sees it. Starts with the first question, so
  /// that it tells nothing of what this thread did before.
  [[nodiscard]] int64_t cpu_time_ns();

 private:
  ContextConfig config_;
  Host& host_;
  FdTable fds_;
  LockDirectories lock_directories_;
  mode_t umask_ = 0;
  Stop stop_ = Stop::kNone;
  int32_t exit_status_ = 0;
  int64_t cpu_start_ns_ = -1;
};

}  // namespace wasmrt::wasi
