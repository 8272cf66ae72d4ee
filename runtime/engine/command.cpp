// SPDX-License-Identifier: Apache-2.0
#include "engine/command.h"

#include <algorithm>
#include <cstring>

#include "engine/module.h"
#include "support/text.h"

namespace wasmrt {
namespace {

constexpr uint64_t kDefaultMemoryBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxMemoryBytes = uint64_t{4} << 30;
constexpr uint32_t kDefaultWallMs = 60'000;
constexpr uint32_t kDefaultDescriptors = 256;

}  // namespace

Result<CommandData> CommandData::from(const wasmrt_command_config& config) {
  CommandData data;
  if (config.arguments == nullptr || config.arguments[0] == nullptr) {
    return Status::invalid("a command needs at least argv[0]");
  }
  for (const char* const* argument = config.arguments; *argument != nullptr; ++argument) {
    data.arguments.append(*argument);
  }
  for (const wasmrt_variable& variable : std::span(config.environment, config.environment_count)) {
    const std::string_view name(variable.name);
    if (name.empty() || name.find('=') != std::string_view::npos) {
      return Status::invalid("\"" + printable(name) +
                             "\" is not a name for an environment variable: it must not be empty "
                             "nor hold an '='");
    }
    data.environment.append(std::string(name) + "=" + variable.value);
    data.variable_names.emplace_back(name);
  }
  for (const wasmrt_directory& directory : std::span(config.directories, config.directory_count)) {
    if (directory.host_path[0] != '/') {
      return Status::invalid("the host directory \"" + printable(directory.host_path) +
                             "\" is not an absolute path");
    }
    if (directory.guest_path[0] == '\0') {
      return Status::invalid("the host directory \"" + printable(directory.host_path) +
                             "\" has an empty name in the guest");
    }
    data.preopens.push_back({.guest_path = directory.guest_path,
                             .host_path = directory.host_path,
                             .read_only = directory.access == WASMRT_ACCESS_READ,
                             .exec = directory.access == WASMRT_ACCESS_EXEC});
  }

  wasmrt_limits& limits = data.limits;
  limits = config.limits;
  if (limits.memory_bytes == 0) limits.memory_bytes = kDefaultMemoryBytes;
  limits.memory_bytes = std::min(limits.memory_bytes, kMaxMemoryBytes);
  if (limits.wall_ms == 0) limits.wall_ms = kDefaultWallMs;
  if (limits.max_descriptors == 0) limits.max_descriptors = kDefaultDescriptors;
  return data;
}

bool CommandData::has_variable(std::string_view name) const {
  return std::any_of(variable_names.begin(), variable_names.end(),
                     [name](const std::string& configured) { return configured == name; });
}

Result<std::unique_ptr<Command>> Command::create(std::shared_ptr<Module> module,
                                                 const wasmrt_command_config& config) {
  std::unique_ptr<Command> command(new Command());
  command->entry_point_ = config.entry_point == nullptr ? "_start" : config.entry_point;
  if (Status status = module->check_entry_point(command->entry_point_); !status.is_ok()) {
    return status;
  }
  command->module_ = std::move(module);
  Result<CommandData> data = CommandData::from(config);
  if (!data.is_ok()) return data.status();
  command->data_ = data.take();
  return command;
}

}  // namespace wasmrt
