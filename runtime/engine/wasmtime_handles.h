// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/: the only header that names Wasmtime's types.
#pragma once

#include <wasmtime.h>

#include <memory>
#include <string>

#include "support/text.h"

namespace wasmrt {

template <auto kDelete>
struct HandleDeleter {
  template <typename T>
  void operator()(T* handle) const {
    kDelete(handle);
  }
};

template <typename T, auto kDelete>
using Handle = std::unique_ptr<T, HandleDeleter<kDelete>>;

using ConfigHandle = Handle<wasm_config_t, wasm_config_delete>;
using EngineHandle = Handle<wasm_engine_t, wasm_engine_delete>;
using LinkerHandle = Handle<wasmtime_linker_t, wasmtime_linker_delete>;
using ModuleHandle = Handle<wasmtime_module_t, wasmtime_module_delete>;
using InstancePreHandle = Handle<wasmtime_instance_pre_t, wasmtime_instance_pre_delete>;
using StoreHandle = Handle<wasmtime_store_t, wasmtime_store_delete>;
using ErrorHandle = Handle<wasmtime_error_t, wasmtime_error_delete>;
using TrapHandle = Handle<wasm_trap_t, wasm_trap_delete>;
using FuncTypeHandle = Handle<wasm_functype_t, wasm_functype_delete>;
using PoolConfigHandle =
    Handle<wasmtime_pooling_allocation_config_t, wasmtime_pooling_allocation_config_delete>;

/// The error's text on one line. Wasmtime chains causes on lines of their own
/// ("Caused by:\n    0: ..."), which become "; ".
inline std::string error_text(const wasmtime_error_t* error) {
  wasm_name_t raw;
  wasmtime_error_message(error, &raw);
  std::string text;
  for (size_t i = 0; i < raw.size; ++i) {
    if (raw.data[i] != '\n') {
      text.push_back(raw.data[i]);
      continue;
    }
    while (i + 1 < raw.size && (raw.data[i + 1] == ' ' || raw.data[i + 1] == '\n')) ++i;
    text.append("; ");
  }
  wasm_byte_vec_delete(&raw);
  return printable(text, 800);
}

}  // namespace wasmrt
