// SPDX-License-Identifier: Apache-2.0
#include "engine/module.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "cache/image.h"
#include "engine/engine_parts.h"
#include "engine/module_parts.h"
#include "engine/settings.h"
#include "engine/written_pages.h"

namespace wasmrt {
namespace {

/// Loads without mapping the file executable: where it lies on a file system
/// mounted noexec, or in a memfd that may not be executed.
Result<ModuleHandle> load_copy(wasm_engine_t* engine, const Image& image) {
  const size_t size = image.image_bytes();
  void* map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, image.file().get(), 0);
  if (map == MAP_FAILED) {
    return Status::resources(std::string("its image cannot be mapped: ") + std::strerror(errno));
  }
  wasmtime_module_t* module = nullptr;
  const ErrorHandle error(
      wasmtime_module_deserialize(engine, static_cast<const uint8_t*>(map), size, &module));
  munmap(map, size);
  if (error) return Status::invalid("its image does not load: " + error_text(error.get()));
  return ModuleHandle(module);
}

Result<ModuleHandle> load_image(const Engine::Parts& engine, const Image& image) {
  // By descriptor, so that it is the very file that was verified.
  const std::string file = "/proc/self/fd/" + std::to_string(image.file().get());
  wasmtime_module_t* module = nullptr;
  const ErrorHandle error(
      wasmtime_module_deserialize_file(engine.engine.get(), file.c_str(), &module));
  if (!error) return ModuleHandle(module);
  Result<ModuleHandle> copy = load_copy(engine.engine.get(), image);
  if (copy.is_ok()) {
    engine.say(WASMRT_LOG_INFO,
               printable(image.path()) +
                   ": the cached code cannot be mapped executable and was copied into this "
                   "process, which takes memory in each child; put WasmCacheDir on a file system "
                   "that is not mounted noexec (" +
                   error_text(error.get()) + ")");
  }
  return copy;
}

constexpr uint64_t kLargestMemory = uint64_t{4} << 30;

bool exports(const wasm_exporttype_t* item, std::string_view name) {
  const wasm_name_t* exported = wasm_exporttype_name(item);
  return std::string_view(exported->data, exported->size) == name;
}

/// Calls `found` with the export's type if there is one of that name.
template <typename Found>
void with_export(const wasmtime_module_t* module, std::string_view name, Found found) {
  wasm_exporttype_vec_t items;
  wasmtime_module_exports(module, &items);
  for (size_t i = 0; i < items.size; ++i) {
    if (exports(items.data[i], name)) {
      found(wasm_exporttype_type(items.data[i]));
      break;
    }
  }
  wasm_exporttype_vec_delete(&items);
}

bool has_export(const wasmtime_module_t* module, std::string_view name) {
  bool has = false;
  with_export(module, name, [&](const wasm_externtype_t* /*type*/) { has = true; });
  return has;
}

bool is_plain_function(const wasm_externtype_t* type) {
  const wasm_functype_t* function = wasm_externtype_as_functype_const(type);
  return function != nullptr && wasm_functype_params(function)->size == 0 &&
         wasm_functype_results(function)->size == 0;
}

}  // namespace

Module::Module(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Module::~Module() {
  Engine::Parts& engine = parts_->engine->parts();
  engine.idle.drop_all_of(*this);
  if (parts_->pristine) engine.pristine_left.fetch_add(1);
}

const std::string& Module::path() const { return parts_->path; }
Engine& Module::engine() const { return *parts_->engine; }

Result<std::shared_ptr<Module>> Module::load(std::shared_ptr<Engine> engine, const Image& image) {
  if (image.layout() != engine->layout()) {
    return Status::invalid(printable(image.path()) +
                           " was compiled for another memory layout than this engine's");
  }
  Result<ModuleHandle> module = load_image(engine->parts(), image);
  if (!module.is_ok()) return module.status().with_context(printable(image.path()));

  wasmtime_instance_pre_t* raw_pre = nullptr;
  if (const ErrorHandle error{wasmtime_linker_instantiate_pre(
          engine->parts().linker.get(), module.value().get(), &raw_pre)}) {
    return Status::invalid(printable(image.path()) + ": " + error_text(error.get()));
  }
  bool is_reactor = false;
  with_export(module.value().get(), "_initialize",
              [&](const wasm_externtype_t* type) { is_reactor = is_plain_function(type); });
  const bool has_start = has_export(module.value().get(), kStartExport);
  const bool is_rewindable = engine->layout() == WASMRT_LAYOUT_RESERVED && knows_written_pages() &&
                             has_export(module.value().get(), kMemoryExport);
  std::unique_ptr<Parts> parts(new Parts{std::move(engine), image.path(), module.take(),
                                         InstancePreHandle(raw_pre), is_reactor, has_start,
                                         is_rewindable});
  return std::shared_ptr<Module>(new Module(std::move(parts)));
}

const Instance* Module::pristine() const {
  std::call_once(parts_->pristine_once, [this] {
    Engine::Parts& engine = parts_->engine->parts();
    uint32_t left = engine.pristine_left.load();
    while (left > 0 && !engine.pristine_left.compare_exchange_weak(left, left - 1)) continue;
    if (left == 0) return;
    std::unique_ptr<Instance> instance = Instance::create(*this, kLargestMemory);
    if (Ending end; instance->instantiate(end)) {
      parts_->pristine = std::move(instance);
    } else {
      engine.pristine_left.fetch_add(1);
    }
  });
  return parts_->pristine.get();
}

Status Module::check_entry_point(const std::string& name) const {
  Status status = Status::not_found(printable(path()) + " exports no function \"" +
                                    printable(name) + "\" to start at");
  with_export(parts_->module.get(), name, [&](const wasm_externtype_t* type) {
    status = is_plain_function(type)
                 ? Status::ok()
                 : Status::invalid(printable(path()) + ": \"" + printable(name) +
                                   "\" is not a function without parameters and results");
  });
  return status;
}

}  // namespace wasmrt
