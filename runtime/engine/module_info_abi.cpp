// SPDX-License-Identifier: Apache-2.0
//
// The part of the public ABI that looks at module files without an engine.
#include <string>

#include "engine/module_info.h"
#include "support/abi.h"
#include "support/text.h"
#include "wasm_runtime.h"

namespace {

using wasmrt::printable;
using wasmrt::Status;

/// Opens and reads a module; messages name the path.
Status read_file(const std::string& path, wasmrt::ModuleInfo& info) {
  const wasmrt::Result<wasmrt::UniqueFd> file = wasmrt::open_module_file(path);
  if (!file.is_ok()) return file.status();
  const Status status = info.read(file.value().get());
  return status.is_ok() ? status : status.with_context(printable(path));
}

Status check_file(const std::string& path, const char* entry_point) {
  wasmrt::ModuleInfo info;
  if (Status status = read_file(path, info); !status.is_ok()) return status;
  const Status status = check_module(info, entry_point != nullptr ? entry_point : "_start");
  return status.is_ok() ? status : status.with_context(printable(path));
}

Status inspect_file(const std::string& path, wasmrt_item_fn each, void* baton) {
  wasmrt::ModuleInfo info;
  Status status = read_file(path, info);
  const auto type_of = [&](wasmrt::ExternKind kind, uint32_t index) -> std::string {
    if (kind == wasmrt::ExternKind::kFunction) return to_string(info.function_type(index));
    if (kind == wasmrt::ExternKind::kMemory) return to_string(info.memory_type(index));
    return "";
  };
  const auto give = [&](const std::string* module, const std::string& name, wasmrt::ExternKind kind,
                        const std::string& type, bool supported) {
    const std::string shown_module = module != nullptr ? printable(*module) : "";
    const std::string shown_name = printable(name);
    wasmrt_item item{};
    item.direction = module != nullptr ? wasmrt_item::WASMRT_IMPORT : wasmrt_item::WASMRT_EXPORT;
    item.kind = wasmrt::to_string(kind);
    item.module = module != nullptr ? shown_module.c_str() : nullptr;
    item.name = shown_name.c_str();
    item.type = type.c_str();
    item.supported = supported ? 1 : 0;
    each(baton, &item);
  };
  for (const wasmrt::ModuleImport& import : info.imports()) {
    give(&import.module, import.name, import.kind, type_of(import.kind, import.index),
         import_problem(info, import).empty());
  }
  for (const wasmrt::ModuleExport& item : info.exports()) {
    give(nullptr, item.name, item.kind, type_of(item.kind, item.index), false);
  }
  return status;
}

}  // namespace

extern "C" wasmrt_status wasmrt_check_file(const char* path, const char* entry_point,
                                           wasmrt_error* error) {
  return wasmrt::report(check_file(path, entry_point), error);
}

extern "C" wasmrt_status wasmrt_inspect_file(const char* path, wasmrt_item_fn each, void* baton,
                                             wasmrt_error* error) {
  return wasmrt::report(inspect_file(path, each, baton), error);
}
