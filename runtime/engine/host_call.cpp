// SPDX-License-Identifier: Apache-2.0
#include "engine/host_call.h"

#include <string>
#include <string_view>
#include <utility>

#include "support/text.h"
#include "wasi/table.h"

namespace wasmrt {
namespace {

static_assert(sizeof(wasi::RawValue) == sizeof(wasmtime_val_raw_t));
static_assert(alignof(wasi::RawValue) >= alignof(wasmtime_val_raw_t));

constexpr std::string_view kMemory = "memory";

wasi::GuestMemory memory_of(wasmtime_caller_t* caller, wasmtime_context_t* context,
                            const GuestState& guest) {
  if (guest.has_memory) {
    uint8_t* base = guest.memory_base;
    if (base == nullptr) base = wasmtime_memory_data(context, &guest.memory);
    return {base, wasmtime_memory_data_size(context, &guest.memory)};
  }
  // The module's start function calls: the instance has no handle yet.
  wasmtime_extern_t item;
  if (wasmtime_caller_export_get(caller, kMemory.data(), kMemory.size(), &item)) {
    if (item.kind == WASMTIME_EXTERN_MEMORY) {
      return {wasmtime_memory_data(context, &item.of.memory),
              wasmtime_memory_data_size(context, &item.of.memory)};
    }
    wasmtime_extern_delete(&item);
  }
  return {nullptr, 0};
}

/// Which argument of a function is the first of a path's pointer and length.
constexpr std::pair<std::string_view, size_t> kPaths[] = {
    {"path_create_directory", 1},
    {"path_filestat_get", 2},
    {"path_filestat_set_times", 2},
    {"path_link", 2},
    {"path_open", 2},
    {"path_readlink", 1},
    {"path_remove_directory", 1},
    {"path_rename", 1},
    {"path_symlink", 0},
    {"path_unlink_file", 1},
};

std::string call_text(const wasi::HostFunction& function, const wasi::GuestMemory& memory,
                      const wasi::RawValue* values) {
  size_t path = function.parameters.size();
  for (const auto& [name, index] : kPaths) {
    if (name == function.name) path = index;
  }
  std::string text(function.name);
  text += '(';
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    if (i > 0) text += ", ";
    if (i == path) {
      const auto bytes = memory.string(static_cast<wasi::GuestPtr>(values[i].i32),
                                       static_cast<wasi::GuestSize>(values[i + 1].i32));
      text += bytes ? '"' + printable(*bytes, 256) + '"' : "outside of memory";
      ++i;
    } else if (function.parameters[i] == wasi::ValueType::kI32) {
      text += std::to_string(static_cast<uint32_t>(values[i].i32));
    } else {
      text += std::to_string(values[i].i64);
    }
  }
  return text + ")";
}

}  // namespace

wasm_trap_t* host_call(void* env, wasmtime_caller_t* caller, wasmtime_val_raw_t* values,
                       size_t /*value_count*/) noexcept {
  const auto* function = static_cast<const wasi::HostFunction*>(env);
  wasmtime_context_t* context = wasmtime_caller_context(caller);
  auto* guest = static_cast<GuestState*>(wasmtime_context_get_data(context));
  auto* arguments = reinterpret_cast<wasi::RawValue*>(values);
  const wasi::GuestMemory memory = memory_of(caller, context, *guest);
  if (guest->traced == nullptr) [[likely]] {
    function->call(*guest->wasi, memory, arguments);
  } else {
    std::string text = call_text(*function, memory, arguments);
    function->call(*guest->wasi, memory, arguments);
    if (function->has_result) text += " = " + std::to_string(arguments[0].i32);
    guest->traced->trace(guest->baton, text.c_str());
  }
  if (guest->wasi->stop() == wasi::Stop::kNone) [[likely]] {
    if (!guest->has_ticked() || guest->may_go_on()) return nullptr;
  }
  // Unwinds the guest. Nobody reads the text: run.cpp looks at stop() first.
  static constexpr std::string_view kStop = "stop";
  return wasmtime_trap_new(kStop.data(), kStop.size());
}

Status define_host_functions(wasmtime_linker_t* linker) {
  for (const wasi::HostFunction& function : wasi::host_functions()) {
    wasm_valtype_vec_t parameters;
    wasm_valtype_vec_new_uninitialized(&parameters, function.parameters.size());
    for (size_t i = 0; i < function.parameters.size(); ++i) {
      parameters.data[i] =
          wasm_valtype_new(function.parameters[i] == wasi::ValueType::kI32 ? WASM_I32 : WASM_I64);
    }
    wasm_valtype_vec_t results;
    if (function.has_result) {
      wasm_valtype_t* i32 = wasm_valtype_new(WASM_I32);
      wasm_valtype_vec_new(&results, 1, &i32);
    } else {
      wasm_valtype_vec_new_empty(&results);
    }
    const FuncTypeHandle type(wasm_functype_new(&parameters, &results));
    const ErrorHandle error(wasmtime_linker_define_func_unchecked(
        linker, function.module.data(), function.module.size(), function.name.data(),
        function.name.size(), type.get(), host_call, const_cast<wasi::HostFunction*>(&function),
        nullptr));
    if (error) return Status::invalid(error_text(error.get()));
  }
  return Status::ok();
}

}  // namespace wasmrt
