// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "command_line.h"

namespace wasmctl {
namespace {

constexpr const char* kUsage =
    "usage: wasmctl run [OPTION...] MODULE [ARGUMENT...]\n"
    "\n"
    "Runs the WebAssembly command MODULE (WASI preview 1). Options end at MODULE:\n"
    "what follows goes to the guest, which sees the module's file name as argv[0].\n"
    "The guest has this program's standard streams and nothing else of the machine,\n"
    "but for what these give it:\n"
    "\n"
    "  --dir HOST[::GUEST][:ro|:exec]\n"
    "                            the directory HOST under the name GUEST (default:\n"
    "                            the same name); ':ro' forbids changes below it,\n"
    "                            ':exec' lets it make files executable there\n"
    "  --env NAME=VALUE          an environment variable\n"
    "  --env NAME                the same with the value it has here, if it has one\n"
    "\n"
    "More options:\n"
    "\n"
    "  --entry NAME      the exported function to start at (default: _start)\n"
    "  --timeout SECONDS end the guest after this time (default: never)\n"
    "  --memory BYTES    linear memory the guest may have, as 65536, 64K, 256M, 1G\n"
    "                    (default: 4G)\n"
    "  --cache-dir DIR   where compiled code is kept (default:\n"
    "                    $XDG_CACHE_HOME/mod_wasm/images, ~/.cache/mod_wasm/images)\n"
    "  --no-cache        compile now and keep nothing\n"
    "\n"
    "Exit status: the guest's; 134 if it was ended for what it did (a trap), 124 if\n"
    "its time was up, 141 if nobody reads its output, 1 if it could not be run, 2\n"
    "for a wrong command line.\n";

/// The whole of what a wasm32 guest can address.
constexpr uint64_t kDefaultMemory = uint64_t{4} << 30;

struct Settings {
  std::vector<Directory> directories;
  std::vector<std::pair<std::string, std::string>> environment;
  std::optional<std::string> entry;
  std::optional<std::string> cache_directory;
  uint32_t wall_ms = UINT32_MAX;
  uint64_t memory_bytes = kDefaultMemory;
};

std::optional<std::string> default_cache_directory() {
  const char* base = std::getenv("XDG_CACHE_HOME");
  if (base != nullptr && base[0] == '/') return std::string(base) + "/mod_wasm/images";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.cache/mod_wasm/images";
  return std::nullopt;
}

void add_variable(Settings& settings, std::string_view text) {
  const size_t equals = text.find('=');
  const std::string name(text.substr(0, equals));
  std::string value;
  if (equals != std::string_view::npos) {
    value = text.substr(equals + 1);
  } else if (const char* inherited = std::getenv(name.c_str()); inherited != nullptr) {
    value = inherited;
  } else {
    return;
  }
  for (auto& [known, old] : settings.environment) {
    if (known == name) {
      old = value;
      return;
    }
  }
  settings.environment.emplace_back(name, value);
}

/// Reads the options; what is wrong is told by `options.exit_status()`.
Settings read_options(OptionReader& options) {
  Settings settings;
  settings.cache_directory = default_cache_directory();
  for (int found = options.next(); found != -1; found = options.next()) {
    const std::string_view value = found == 'n' ? std::string_view() : options.value();
    switch (found) {
      case 'd': {
        Directory directory = parse_directory(value);
        if (const std::string problem = check_directory(directory); !problem.empty()) {
          options.fail(problem);
        }
        settings.directories.push_back(std::move(directory));
        break;
      }
      case 'e':
        if (value.empty() || value.starts_with('=')) options.fail("--env needs a name");
        add_variable(settings, value);
        break;
      case 'f':
        settings.entry = value;
        break;
      case 't': {
        const std::optional<uint32_t> wall_ms = parse_seconds(value);
        if (!wall_ms) options.fail("--timeout needs a number of seconds above 0");
        settings.wall_ms = wall_ms.value_or(0);
        break;
      }
      case 'm': {
        const std::optional<uint64_t> bytes = parse_bytes(value);
        if (!bytes || *bytes > kDefaultMemory) {
          options.fail("--memory needs a size of 1 byte to 4G, such as 256M");
        }
        settings.memory_bytes = bytes.value_or(0);
        break;
      }
      case 'c':
        settings.cache_directory = absolute(std::string(value));
        break;
      default:
        settings.cache_directory.reset();
    }
    if (options.exit_status()) break;
  }
  return settings;
}

void log(void*, wasmrt_log_level level, const char* message) {
  // Progress is for those who watch; what degrades service is for all.
  static const bool watched = isatty(STDERR_FILENO) != 0;
  if (level <= (watched ? WASMRT_LOG_NOTICE : WASMRT_LOG_WARNING)) complain(message);
}

/// The guest's standard streams: this process's own.
struct Streams {
  int write_error = 0;  ///< errno of the first failed write to standard output
};

int64_t read_stdin(void*, void* buffer, size_t length, uint32_t timeout_ms) {
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  while (true) {
    const int timeout = timeout_ms > INT_MAX ? -1 : static_cast<int>(timeout_ms);
    const int ready = poll(&input, 1, timeout);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return -2;
    const ssize_t count = read(STDIN_FILENO, buffer, length);
    if (count >= 0) return count;
    if (errno == EINTR || errno == EAGAIN) continue;
    // A stream that is closed or cannot be read has nothing to give.
    return 0;
  }
}

/// @return 0 or an errno value.
int write_fully(int fd, const void* buffer, size_t length) {
  const auto* bytes = static_cast<const char*>(buffer);
  while (length > 0) {
    const ssize_t count = write(fd, bytes, length);
    if (count >= 0) {
      bytes += count;
      length -= static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      pollfd output = {fd, POLLOUT, 0};
      poll(&output, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

int write_stdout(void* baton, const void* buffer, size_t length) {
  auto& streams = *static_cast<Streams*>(baton);
  const int error = write_fully(STDOUT_FILENO, buffer, length);
  if (error == 0) return 0;
  streams.write_error = error;
  return -1;
}

int flush_stdout(void*) { return 0; }

void write_stderr(void*, const void* buffer, size_t length) {
  // There is no other place to complain.
  write_fully(STDERR_FILENO, buffer, length);
}

int never_aborted(void*) { return 0; }

template <auto Release>
struct Releaser {
  template <typename T>
  void operator()(T* object) const {
    Release(object);
  }
};
using ImageHandle = std::unique_ptr<wasmrt_image, Releaser<wasmrt_image_release>>;
using EngineHandle = std::unique_ptr<wasmrt_engine, Releaser<wasmrt_engine_destroy>>;
using ModuleHandle = std::unique_ptr<wasmrt_module, Releaser<wasmrt_module_release>>;
using CommandHandle = std::unique_ptr<wasmrt_command, Releaser<wasmrt_command_release>>;

/// Everything that must live while a guest runs, released in reverse order.
struct Program {
  ImageHandle image;
  EngineHandle engine;
  ModuleHandle module;
  CommandHandle command;
};

wasmrt_status prepare(const Settings& settings, const std::string& path, Program& program,
                      wasmrt_error& error) {
  const wasmrt_layout layout =
      wasmrt_layout_fits(1) != 0 ? WASMRT_LAYOUT_RESERVED : WASMRT_LAYOUT_COMPACT;
  wasmrt_cache_config cache{};
  cache.size = sizeof cache;
  cache.directory = settings.cache_directory ? settings.cache_directory->c_str() : nullptr;
  cache.compiler = "/proc/self/exe";
  cache.compiler_uid = -1;
  cache.compiler_gid = -1;
  cache.layout = layout;
  cache.log = log;
  wasmrt_image* image = nullptr;
  wasmrt_status status = wasmrt_image_prepare(&cache, path.c_str(), &image, &error);
  if (status != WASMRT_OK) return status;
  program.image.reset(image);

  wasmrt_engine_config engine_config{};
  engine_config.size = sizeof engine_config;
  engine_config.layout = layout;
  engine_config.max_instances = 1;
  engine_config.log = log;
  wasmrt_engine* engine = nullptr;
  status = wasmrt_engine_create(&engine_config, &engine, &error);
  if (status != WASMRT_OK) return status;
  program.engine.reset(engine);

  wasmrt_module* module = nullptr;
  status = wasmrt_module_load(engine, image, &module, &error);
  if (status == WASMRT_OK) program.module.reset(module);
  return status;
}

wasmrt_status bind(const Settings& settings, std::vector<const char*> arguments, Program& program,
                   wasmrt_error& error) {
  std::vector<wasmrt_variable> variables;
  for (const auto& [name, value] : settings.environment) {
    variables.push_back({name.c_str(), value.c_str()});
  }
  std::vector<wasmrt_directory> directories;
  for (const Directory& directory : settings.directories) {
    directories.push_back({directory.guest.c_str(), directory.host.c_str(), directory.access});
  }
  arguments.push_back(nullptr);
  wasmrt_command_config config{};
  config.size = sizeof config;
  config.entry_point = settings.entry ? settings.entry->c_str() : nullptr;
  config.arguments = arguments.data();
  config.environment = variables.data();
  config.environment_count = variables.size();
  config.directories = directories.data();
  config.directory_count = directories.size();
  config.limits.memory_bytes = settings.memory_bytes;
  config.limits.wall_ms = settings.wall_ms;
  wasmrt_command* command = nullptr;
  const wasmrt_status status =
      wasmrt_command_create(program.module.get(), &config, &command, &error);
  if (status == WASMRT_OK) program.command.reset(command);
  return status;
}

/// One frame a line.
void print_backtrace(std::string_view backtrace) {
  static constexpr std::string_view kBetween = " <- ";
  while (!backtrace.empty()) {
    const size_t end = backtrace.find(kBetween);
    std::fprintf(stderr, "    at %s\n", std::string(backtrace.substr(0, end)).c_str());
    backtrace.remove_prefix(end == std::string_view::npos ? backtrace.size()
                                                          : end + kBetween.size());
  }
}

int exit_status_of(const std::string& name, const wasmrt_result& result, const Streams& streams) {
  switch (result.outcome) {
    case WASMRT_EXITED:
      return result.exit_status & 0xff;
    case WASMRT_TRAPPED:
    case WASMRT_OUT_OF_MEMORY:
      complain(name + ": " + result.message);
      print_backtrace(result.backtrace);
      // A guest that ran out of memory may have noticed and chosen its status.
      return result.exit_status != 0 ? result.exit_status & 0xff : kExitTrapped;
    case WASMRT_TIMED_OUT:
      complain(name + ": " + result.message);
      return kExitTimedOut;
    case WASMRT_ABORTED:
      if (streams.write_error == EPIPE) return kExitBrokenPipe;
      complain(name + ": cannot write its output: " + std::strerror(streams.write_error));
      return kExitFailure;
    case WASMRT_OUTPUT_LIMIT:
    case WASMRT_FAILED:
      break;
  }
  complain(name + ": " + result.message);
  return kExitFailure;
}

}  // namespace

int run(int argc, char** argv) {
  static const option kOptions[] = {{"dir", required_argument, nullptr, 'd'},
                                    {"env", required_argument, nullptr, 'e'},
                                    {"entry", required_argument, nullptr, 'f'},
                                    {"timeout", required_argument, nullptr, 't'},
                                    {"memory", required_argument, nullptr, 'm'},
                                    {"cache-dir", required_argument, nullptr, 'c'},
                                    {"no-cache", no_argument, nullptr, 'n'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {}};
  OptionReader options(argc, argv, kOptions, kUsage);
  const Settings settings = read_options(options);
  if (!options.exit_status() && options.word_count() == 0) options.fail("a module is expected");
  if (options.exit_status()) return *options.exit_status();

  // Who writes into a closed pipe gets an error and not the signal, wherever
  // the guest's own descriptors lead.
  signal(SIGPIPE, SIG_IGN);
  // Under `ulimit -f` a guest's write fails with an errno, as in httpd.
  signal(SIGXFSZ, SIG_IGN);
  const std::string path = options.words()[0];
  const std::string name = base_name(path);
  std::vector<const char*> arguments(options.words(), options.words() + options.word_count());
  arguments[0] = name.c_str();

  Program program;
  wasmrt_error error{};
  const char* entry = settings.entry ? settings.entry->c_str() : nullptr;
  if (wasmrt_check_file(path.c_str(), entry, &error) != WASMRT_OK ||
      prepare(settings, path, program, error) != WASMRT_OK ||
      bind(settings, std::move(arguments), program, error) != WASMRT_OK) {
    complain(error.message);
    return kExitFailure;
  }

  Streams streams;
  wasmrt_streams functions{};
  functions.size = sizeof functions;
  functions.descriptors[0] = STDIN_FILENO;
  functions.descriptors[1] = STDOUT_FILENO;
  functions.descriptors[2] = STDERR_FILENO;
  functions.read = read_stdin;
  functions.write = write_stdout;
  functions.flush = flush_stdout;
  functions.write_error = write_stderr;
  functions.aborted = never_aborted;
  wasmrt_result result{};
  result.size = sizeof result;
  if (wasmrt_run(program.command.get(), &functions, &streams, &result) != WASMRT_OK) {
    complain(name + ": " + result.message);
    return kExitFailure;
  }
  return exit_status_of(name, result, streams);
}

}  // namespace wasmctl
