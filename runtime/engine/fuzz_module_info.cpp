// SPDX-License-Identifier: Apache-2.0
//
// Any bytes into the reader of module files, and all that is made from what it
// found.
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/module_info.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  wasmrt::ModuleInfo info;
  const wasmrt::Status status = info.read(std::span(data, size));
  if (!status.is_ok() && status.message().empty()) __builtin_trap();
  for (const wasmrt::ModuleImport& import : info.imports()) import_problem(info, import);
  for (const wasmrt::ModuleExport& item : info.exports()) {
    to_string(info.function_type(item.index));
    to_string(info.memory_type(item.index));
  }
  const wasmrt::Status checked = check_module(info, "_start");
  if (!checked.is_ok() && checked.message().empty()) __builtin_trap();
  return 0;
}
