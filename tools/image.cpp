// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <string>
#include <vector>

#include "command_line.h"
#include "transform.h"

namespace wasmctl {
namespace {

constexpr const char* kUsage =
    "usage: wasmctl image [OPTION...] INPUT OUTPUT [ARGUMENT...]\n"
    "\n"
    "Runs the init function of the WebAssembly module INPUT and writes a module to\n"
    "OUTPUT that continues where it ended: what memory and globals held then is its\n"
    "data. A run of OUTPUT needs the same directories and arguments, and brings its\n"
    "own environment. '-' is standard input or output. The server runs this by\n"
    "itself for routes with 'WasmSnapshot On'.\n"
    "\n"
    "  --init NAME               the init function (default: wizer-initialize)\n"
    "  --dir HOST[::GUEST][:ro|:exec]\n"
    "                            the directory HOST under the name GUEST (default:\n"
    "                            the same name); ':ro' forbids changes below it,\n"
    "                            ':exec' lets it make files executable there\n"
    "  --env NAME=VALUE          an environment variable of the init function\n"
    "  --env-prefix PREFIX       all variables of this process that start with\n"
    "                            PREFIX, without it\n"
    "  --memory BYTES            linear memory it may have, as 256M, 1G (default: 1G)\n"
    "  --argv0 NAME              what it sees as argv[0] (default: INPUT's file name)\n"
    "  --user UID:GID            become this user and group before anything is read;\n"
    "                            needs root\n"
    "\n"
    "Exit status: as wasmctl compile.\n";

struct Settings {
  std::optional<std::string> init;
  std::optional<std::string> argv0;
  std::optional<User> user;
  std::vector<Directory> directories;
  std::vector<std::pair<std::string, std::string>> environment;
  uint64_t memory_bytes = 0;
};

void add_variable(Settings& settings, std::string_view text) {
  const size_t equals = text.find('=');
  settings.environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
}

Settings read_options(OptionReader& options) {
  Settings settings;
  for (int found = options.next(); found != -1; found = options.next()) {
    const std::string_view value = options.value();
    switch (found) {
      case 'i':
        settings.init = value;
        break;
      case 'd':
        // Not looked at yet: it is `user` who must be able to open it.
        settings.directories.push_back(parse_directory(value));
        break;
      case 'e':
        if (value.find('=') == std::string_view::npos || value.starts_with('=')) {
          options.fail("--env needs NAME=VALUE");
        } else {
          add_variable(settings, value);
        }
        break;
      case 'p':
        for (char** variable = environ; *variable != nullptr; ++variable) {
          const std::string_view text(*variable);
          if (text.starts_with(value) && text.find('=') > value.size()) {
            add_variable(settings, text.substr(value.size()));
          }
        }
        break;
      case 'm': {
        const std::optional<uint64_t> bytes = parse_bytes(value);
        if (!bytes) options.fail("--memory needs a size, such as 256M");
        settings.memory_bytes = bytes.value_or(0);
        break;
      }
      case 'a':
        settings.argv0 = value;
        break;
      default:
        settings.user = parse_user(value);
        if (!settings.user) options.fail("a user is UID:GID, both numbers");
    }
    if (options.exit_status()) break;
  }
  return settings;
}

wasmrt_status pre_initialize(const Settings& settings, const std::vector<const char*>& arguments,
                             int module_fd, int output_fd, wasmrt_error& error) {
  std::vector<wasmrt_variable> variables;
  for (const auto& [name, value] : settings.environment) {
    variables.push_back({name.c_str(), value.c_str()});
  }
  std::vector<wasmrt_directory> directories;
  for (const Directory& directory : settings.directories) {
    directories.push_back({directory.guest.c_str(), directory.host.c_str(), directory.access});
  }
  wasmrt_command_config config{};
  config.size = sizeof config;
  config.entry_point = settings.init ? settings.init->c_str() : nullptr;
  config.arguments = arguments.data();
  config.environment = variables.data();
  config.environment_count = variables.size();
  config.directories = directories.data();
  config.directory_count = directories.size();
  config.limits.memory_bytes = settings.memory_bytes;
  return wasmrt_pre_initialize(module_fd, &config, output_fd, &error);
}

}  // namespace

int image(int argc, char** argv) {
  static const option kOptions[] = {{"init", required_argument, nullptr, 'i'},
                                    {"dir", required_argument, nullptr, 'd'},
                                    {"env", required_argument, nullptr, 'e'},
                                    {"env-prefix", required_argument, nullptr, 'p'},
                                    {"memory", required_argument, nullptr, 'm'},
                                    {"argv0", required_argument, nullptr, 'a'},
                                    {"user", required_argument, nullptr, 'u'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {}};
  OptionReader options(argc, argv, kOptions, kUsage);
  const Settings settings = read_options(options);
  if (!options.exit_status() && options.word_count() < 2) {
    options.fail("an input and an output are expected");
  }
  if (options.exit_status()) return *options.exit_status();

  const std::string input = options.words()[0];
  const std::string argv0 = settings.argv0 ? *settings.argv0 : base_name(input);
  std::vector<const char*> arguments = {argv0.c_str()};
  // The words are ended by a null pointer, as argv is.
  for (char** word = options.words() + 2; *word != nullptr; ++word) arguments.push_back(*word);
  arguments.push_back(nullptr);
  return transform(settings.user, input, options.words()[1],
                   [&](int module_fd, int output_fd, wasmrt_error& error) {
                     for (const Directory& directory : settings.directories) {
                       const std::string problem = check_directory(directory);
                       if (!problem.empty()) {
                         problem.copy(error.message, sizeof error.message - 1);
                         return WASMRT_INVALID;
                       }
                     }
                     const wasmrt_status status =
                         pre_initialize(settings, arguments, module_fd, output_fd, error);
                     if (status == WASMRT_OK && error.message[0] != 0) {
                       std::fprintf(stderr, "%s\n", error.message);
                     }
                     return status;
                   });
}

}  // namespace wasmctl
