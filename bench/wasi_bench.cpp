// SPDX-License-Identifier: Apache-2.0
// wasi_bench MODULE RUNS: as host_bench, with Wasmtime's own WASI host through
// Wasmtime's C API, and the same pooled instances.
#include <wasi.h>
#include <wasmtime.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "cgi_environment.h"
#include "timed_runs.h"

namespace {

ptrdiff_t count(void* baton, const unsigned char*, size_t length) {
  *static_cast<size_t*>(baton) += length;
  return static_cast<ptrdiff_t>(length);
}

int fail(wasmtime_error_t* error) {
  wasm_name_t text;
  wasmtime_error_message(error, &text);
  std::fprintf(stderr, "wasi_bench: %.*s\n", static_cast<int>(text.size), text.data);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "wasi_bench MODULE RUNS\n");
    return 2;
  }
  // As runtime/engine/settings.cpp and engine.cpp.
  wasm_config_t* config = wasm_config_new();
  wasmtime_config_epoch_interruption_set(config, true);
  wasmtime_config_memory_reservation_set(config, uint64_t{4} << 30);
  wasmtime_config_memory_guard_size_set(config, uint64_t{32} << 20);
  wasmtime_config_memory_may_move_set(config, false);
  wasmtime_pooling_allocation_config_t* pool = wasmtime_pooling_allocation_config_new();
  wasmtime_pooling_allocation_config_total_core_instances_set(pool, 64);
  wasmtime_pooling_allocation_config_total_memories_set(pool, 64);
  wasmtime_pooling_allocation_config_total_tables_set(pool, 64);
  wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, size_t{256} << 10);
  wasmtime_pooling_allocation_config_table_keep_resident_set(pool, size_t{16} << 10);
  wasmtime_pooling_allocation_strategy_set(config, pool);
  wasmtime_pooling_allocation_config_delete(pool);
  wasm_engine_t* engine = wasm_engine_new_with_config(config);

  std::ifstream file(argv[1], std::ios::binary);
  const std::string wasm{std::istreambuf_iterator<char>(file), {}};
  wasmtime_module_t* module = nullptr;
  if (wasmtime_error_t* error = wasmtime_module_new(
          engine, reinterpret_cast<const uint8_t*>(wasm.data()), wasm.size(), &module)) {
    return fail(error);
  }
  wasmtime_linker_t* linker = wasmtime_linker_new(engine);
  if (wasmtime_error_t* error = wasmtime_linker_define_wasi(linker)) return fail(error);
  wasmtime_instance_pre_t* pre = nullptr;
  if (wasmtime_error_t* error = wasmtime_linker_instantiate_pre(linker, module, &pre)) {
    return fail(error);
  }

  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : kCgiEnvironment) {
    names.push_back(name);
    values.push_back(value);
  }
  const char* arguments[] = {"hello"};

  const int status = print_time_of(std::atoi(argv[2]), [&] {
    size_t written = 0;
    wasmtime_store_t* store = wasmtime_store_new(engine, nullptr, nullptr);
    wasmtime_context_t* context = wasmtime_store_context(store);
    wasmtime_context_set_epoch_deadline(context, UINT64_C(1) << 40);
    wasi_config_t* wasi = wasi_config_new();
    wasi_config_set_argv(wasi, 1, arguments);
    wasi_config_set_env(wasi, names.size(), names.data(), values.data());
    wasi_config_set_stdout_custom(wasi, count, &written, nullptr);
    wasmtime_error_t* error = wasmtime_context_set_wasi(context, wasi);
    wasmtime_instance_t instance;
    wasm_trap_t* trap = nullptr;
    if (error == nullptr) error = wasmtime_instance_pre_instantiate(pre, context, &instance, &trap);
    if (error == nullptr && trap == nullptr) {
      wasmtime_extern_t start;
      wasmtime_instance_export_get(context, &instance, "_start", 6, &start);
      error = wasmtime_func_call(context, &start.of.func, nullptr, 0, nullptr, 0, &trap);
    }
    // Leaving by proc_exit is an error that carries the status.
    int exit_status = 0;
    if (error != nullptr && !wasmtime_error_exit_status(error, &exit_status)) {
      fail(error);
      return false;
    }
    if (error != nullptr) wasmtime_error_delete(error);
    if (trap != nullptr) wasm_trap_delete(trap);
    wasmtime_store_delete(store);
    if (exit_status != 0 || written == 0) {
      std::fprintf(stderr, "wasi_bench: the run failed with status %d\n", exit_status);
      return false;
    }
    return true;
  });
  wasmtime_instance_pre_delete(pre);
  wasmtime_linker_delete(linker);
  wasmtime_module_delete(module);
  wasm_engine_delete(engine);
  return status;
}
