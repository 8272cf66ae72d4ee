// SPDX-License-Identifier: Apache-2.0
#include "engine/compiler.h"

#include <sys/auxv.h>

#include <cstdio>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "engine/module_info.h"
#include "engine/settings.h"
#include "engine/wasmtime_bridge.h"
#include "support/text.h"
#include "version.h"

namespace wasmrt {
namespace {

/// What the processor offers, as far as a compiler could use it.
std::string processor_tag() {
  std::string tag;
  char part[64];
#if defined(__x86_64__)
  for (const auto& [leaf, subleaf] : {std::pair{1U, 0U}, {7U, 0U}, {7U, 1U}, {0x80000001U, 0U}}) {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    __get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx);
    // Leaf 1's EBX holds the number of the core that answered.
    if (leaf == 1) ebx = 0;
    std::snprintf(part, sizeof part, "-%x.%x.%x", ebx, ecx, edx);
    tag += part;
  }
#endif
  std::snprintf(part, sizeof part, "-%lx.%lx", getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
  return tag + part;
}

/// The module in the form that can be interrupted, and rewound if it has such a form; empty if
/// it is to be compiled as it is.
Result<std::vector<uint8_t>> prepared(std::span<const uint8_t> wasm) {
  struct Answer {
    std::vector<uint8_t> module;
    std::string problem;
  };
  const auto done = [](void* baton, const uint8_t* bytes, size_t size) {
    static_cast<Answer*>(baton)->module.assign(bytes, bytes + size);
  };
  const auto failed = [](void* baton, const uint8_t* text, size_t length) {
    static_cast<Answer*>(baton)->problem.assign(reinterpret_cast<const char*>(text), length);
  };
  Answer rewindable;
  if constexpr (WASMRT_HAS_BRIDGE) {
    module_with_state_exported(wasm.data(), wasm.size(), done, &rewindable);
  }
  if constexpr (kHasChecks) {
    if (!rewindable.module.empty()) wasm = rewindable.module;
    Answer interruptible;
    module_with_checks(wasm.data(), wasm.size(), done, failed, &interruptible);
    if (!interruptible.problem.empty()) {
      return Status::invalid("it cannot be made interruptible: " +
                             printable(interruptible.problem));
    }
    return std::move(interruptible.module);
  }
  return std::move(rewindable.module);
}

/// Whether it is a module, before anything is added to it: its own code must not reach what is.
Status validate(std::span<const uint8_t> wasm, wasmrt_layout layout) {
  ConfigHandle config = new_config(layout);
  const EngineHandle engine(wasm_engine_new_with_config(config.release()));
  if (const ErrorHandle error{wasmtime_module_validate(engine.get(), wasm.data(), wasm.size())}) {
    return Status::invalid("not a module that the engine accepts: " + error_text(error.get()));
  }
  ModuleInfo info;
  if (Status status = info.read(wasm); !status.is_ok()) return status;
  if (info.memory_type(1)) return Status::invalid("it has more memories than one");
  for (const ModuleExport& item : info.exports()) {
    if (item.name.starts_with(kReservedExports)) {
      // Whoever loads the image would take it for ours.
      return Status::invalid("it exports \"" + printable(item.name) +
                             "\"; names that begin with \"wasmrt:\" are reserved");
    }
  }
  return Status::ok();
}

}  // namespace

Status compile(std::span<const uint8_t> wasm, wasmrt_layout layout,
               const std::function<Status(std::span<const uint8_t>)>& sink) {
  if (Status status = validate(wasm, layout); !status.is_ok()) return status;
  Result<std::vector<uint8_t>> changed = prepared(wasm);
  if (!changed.is_ok()) return changed.status();
  if (!changed.value().empty()) wasm = changed.value();
  ConfigHandle config = new_interruptible_config(layout);
  wasmtime_config_parallel_compilation_set(config.get(), true);
  const EngineHandle engine(wasm_engine_new_with_config(config.release()));
  wasmtime_module_t* raw_module = nullptr;
  if (const ErrorHandle error{
          wasmtime_module_new(engine.get(), wasm.data(), wasm.size(), &raw_module)}) {
    return Status::invalid("not a module that the engine accepts: " + error_text(error.get()));
  }
  const ModuleHandle module(raw_module);
  wasm_byte_vec_t image;
  if (const ErrorHandle error{wasmtime_module_serialize(module.get(), &image)}) {
    return Status::resources("the compiled code could not be written out: " +
                             error_text(error.get()));
  }
  const Status status =
      sink(std::span(reinterpret_cast<const uint8_t*>(image.data), image.size));
  wasm_byte_vec_delete(&image);
  return status;
}

std::string compatibility_tag(wasmrt_layout layout) {
  return std::string("wasmtime-" WASMRT_ENGINE_VERSION "-settings-") +
         std::to_string(kSettingsVersion) + "-layout-" + std::to_string(layout) +
         (kHasChecks ? "-checks" : "-epochs") + processor_tag();
}

}  // namespace wasmrt
