// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "support/status.h"
#include "support/unique_fd.h"
#include "wasm_runtime.h"

namespace wasmrt {

/// How to run the compiler: wasmctl with a command that reads a module from
/// standard input and writes what it makes of it to standard output.
struct CompilerJob {
  std::string program;  ///< absolute path of wasmctl
  /// wasmctl's command and its options; where it reads and writes is added.
  std::vector<std::string> command;
  /// Words behind the input and the output.
  std::vector<std::string> words;
  /// "NAME=value" beside the few variables that it always gets.
  std::vector<std::string> environment;
  /// What the output of a success starts with.
  std::string_view magic;
  /// Whom the compiler becomes before it looks at the module; -1: nobody else.
  /// Without effect in a process that is not root.
  int64_t uid = -1;
  int64_t gid = -1;
  uint64_t memory_bytes = 0;  ///< its address space
  uint32_t seconds = 0;       ///< its wall time
};

/// Runs the compiler in a process of its own: no descriptor but the module,
/// the image and a pipe for its message; limits on its memory, time and
/// output; gone when this process goes. Safe in a process with threads and
/// with any handling of SIGCHLD: nothing else in this process can notice or
/// reap the compiler.
///
/// wasmctl says by its exit status, a wasmrt_status, why it failed.
///
/// @param module_fd  the module; the compiler reads it from its start.
/// @param progress   called every five seconds with the seconds since start.
/// @param message    if not null, has after a success what the compiler said,
///                   as one line.
/// @return a sealed memfd that holds the output: nobody can change it any more.
///         WASMRT_INVALID if the compiler refused the module, WASMRT_RESOURCES
///         if it exceeded a limit or crashed, WASMRT_IO if it did not run.
Result<UniqueFd> run_compiler(const CompilerJob& job, int module_fd,
                              const std::function<void(unsigned seconds)>& progress,
                              std::string* message = nullptr);

/// A file in memory that run_compiler() and others can read; `name` is for
/// people who look at /proc.
Result<UniqueFd> make_memory_file(const char* name);

/// Makes a memory file unchangeable.
Status seal_memory_file(int fd);

}  // namespace wasmrt
