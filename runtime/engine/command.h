// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/time_slice.h"
#include "support/status.h"
#include "wasi/context.h"
#include "wasm_runtime.h"

namespace wasmrt {

class Module;

/// A wasmrt_command_config, checked, copied, and with its defaults filled in.
struct CommandData {
  wasi::StringBlock arguments;
  wasi::StringBlock environment;
  std::vector<std::string> variable_names;
  std::vector<wasi::Preopen> preopens;
  wasmrt_limits limits{};

  static Result<CommandData> from(const wasmrt_command_config& config);

  [[nodiscard]] bool has_variable(std::string_view name) const;
};

/// A module with all that is the same for each of its runs. Immutable but for what
/// is learned of its runs; shared by all threads.
class Command {
 public:
  static Result<std::unique_ptr<Command>> create(std::shared_ptr<Module> module,
                                                 const wasmrt_command_config& config);

  /// Runs it once on the calling thread; see wasmrt_run().
  wasmrt_status run(const wasmrt_streams& streams, void* baton, wasmrt_result& result) const;

 private:
  Command() = default;

  std::shared_ptr<Module> module_;
  std::string entry_point_;
  CommandData data_;
  mutable RunTimes times_;
};

}  // namespace wasmrt
