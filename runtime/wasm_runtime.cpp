// SPDX-License-Identifier: Apache-2.0
//
// The C ABI over engine/. The parts of it that cache/ and module_info provide
// lie beside them.
#include "wasm_runtime.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include "cache/image_handle.h"
#include "engine/command.h"
#include "engine/compiler.h"
#include "engine/engine.h"
#include "engine/module.h"
#include "engine/pre_initialize.h"
#include "engine/written_pages.h"
#include "support/abi.h"
#include "version.h"
#include "wasi/path.h"

using wasmrt::Command;
using wasmrt::Engine;
using wasmrt::Module;
using wasmrt::Result;
using wasmrt::Status;

struct wasmrt_engine {
  std::shared_ptr<Engine> engine;
};
struct wasmrt_module {
  std::shared_ptr<Module> module;
};
struct wasmrt_command {
  std::unique_ptr<Command> command;
};

namespace {

Status write_all(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return Status::io(std::string("the image cannot be written: ") + std::strerror(errno));
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return Status::ok();
}

/// Reads what does not map: a pipe.
Result<std::vector<uint8_t>> read_all(int fd) {
  std::vector<uint8_t> bytes;
  size_t used = 0;
  while (true) {
    if (bytes.size() - used < (size_t{1} << 16)) bytes.resize(bytes.size() * 2 + (size_t{1} << 16));
    const ssize_t got = read(fd, bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Status::io(std::string("the module cannot be read: ") + std::strerror(errno));
    }
    if (got == 0) break;
    used += static_cast<size_t>(got);
  }
  bytes.resize(used);
  return bytes;
}

/// The first call must come before a server gives up its rights, with which
/// the kernel may no longer let it open this file.
std::span<const char* const> kernel_lacks() {
  static const std::vector<const char*> lacks = [] {
    std::vector<const char*> found;
    if (!wasmrt::knows_written_pages()) {
      found.push_back(
          "the kernel does not tell which memory a run has written (PAGEMAP_SCAN, Linux 6.7), so "
          "what runs leave behind is removed more slowly");
    }
    if (!wasmrt::wasi::kernel_has_openat2()) {
      found.push_back(
          "the kernel, or the filter of a container, does not offer openat2 (Linux 5.6), so the "
          "paths of guests are looked up in single steps, which is slower");
    }
    return found;
  }();
  return lacks;
}

/// Runs a command for a caller that knows less than this library. Apart, since its frame would put
/// pages of the stack between a run and its caller.
[[gnu::noinline]] wasmrt_status run_for_older(const wasmrt::Command& command,
                                              const wasmrt_streams* streams, void* baton,
                                              wasmrt_result* result) {
  const wasmrt_streams ours = wasmrt::from_caller<wasmrt_streams>(streams);
  wasmrt_result filled;
  const wasmrt_status status = command.run(ours, baton, filled);
  wasmrt::to_caller(filled, result);
  return status;
}

}  // namespace

extern "C" {

int wasmrt_abi_version(void) { return WASMRT_ABI_VERSION; }
const char* wasmrt_version(void) { return WASMRT_VERSION_STRING; }
const char* wasmrt_engine_version(void) { return "Wasmtime " WASMRT_ENGINE_VERSION; }

wasmrt_status wasmrt_compile(int module_fd, wasmrt_layout layout, int image_fd,
                             wasmrt_error* error) {
  Result<std::vector<uint8_t>> wasm = read_all(module_fd);
  if (!wasm.is_ok()) return wasmrt::report(wasm.status(), error);
  return wasmrt::report(
      wasmrt::compile(wasm.value(), layout,
                      [image_fd](std::span<const uint8_t> image) { return write_all(image_fd, image); }),
      error);
}

wasmrt_status wasmrt_pre_initialize(int module_fd, const wasmrt_command_config* command,
                                    int output_fd, wasmrt_error* error) {
  Result<std::vector<uint8_t>> wasm = read_all(module_fd);
  if (!wasm.is_ok()) return wasmrt::report(wasm.status(), error);
  Result<wasmrt::PreInitialized> started = wasmrt::pre_initialize(
      wasm.value(), wasmrt::from_caller<wasmrt_command_config>(command));
  if (!started.is_ok()) return wasmrt::report(started.status(), error);
  if (error != nullptr) {
    wasmrt::copy_text(started.value().output, error->message, sizeof error->message);
  }
  return wasmrt::report(write_all(output_fd, started.value().module), error);
}

int wasmrt_layout_fits(uint32_t max_instances) {
  return Engine::reserved_layout_fits(max_instances) ? 1 : 0;
}

const char* wasmrt_kernel_lack(uint32_t index) {
  const std::span<const char* const> lacks = kernel_lacks();
  return index < lacks.size() ? lacks[index] : nullptr;
}

wasmrt_status wasmrt_engine_create(const wasmrt_engine_config* config, wasmrt_engine** engine,
                                   wasmrt_error* error) {
  Result<std::shared_ptr<Engine>> made =
      Engine::create(wasmrt::from_caller<wasmrt_engine_config>(config));
  if (!made.is_ok()) return wasmrt::report(made.status(), error);
  *engine = new wasmrt_engine{made.take()};
  return WASMRT_OK;
}

void wasmrt_engine_destroy(wasmrt_engine* engine) { delete engine; }

wasmrt_status wasmrt_module_load(wasmrt_engine* engine, const wasmrt_image* image,
                                 wasmrt_module** module, wasmrt_error* error) {
  Result<std::shared_ptr<Module>> made = Module::load(engine->engine, image->image);
  if (!made.is_ok()) return wasmrt::report(made.status(), error);
  *module = new wasmrt_module{made.take()};
  return WASMRT_OK;
}

void wasmrt_module_release(wasmrt_module* module) { delete module; }

wasmrt_status wasmrt_command_create(wasmrt_module* module, const wasmrt_command_config* config,
                                    wasmrt_command** command, wasmrt_error* error) {
  Result<std::unique_ptr<Command>> made =
      Command::create(module->module, wasmrt::from_caller<wasmrt_command_config>(config));
  if (!made.is_ok()) return wasmrt::report(made.status(), error);
  *command = new wasmrt_command{made.take()};
  return WASMRT_OK;
}

void wasmrt_command_release(wasmrt_command* command) { delete command; }

wasmrt_status wasmrt_run(const wasmrt_command* command, const wasmrt_streams* streams, void* baton,
                         wasmrt_result* result) {
  if (streams->size >= sizeof(wasmrt_streams) && result->size >= sizeof(wasmrt_result)) {
    return command->command->run(*streams, baton, *result);
  }
  return run_for_older(*command->command, streams, baton, result);
}

}  // extern "C"
