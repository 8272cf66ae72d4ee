// SPDX-License-Identifier: Apache-2.0
#include "engine/settings.h"

namespace wasmrt {

ConfigHandle new_config(wasmrt_layout layout) {
  ConfigHandle config(wasm_config_new());
  wasm_config_t* c = config.get();
  wasmtime_config_memory_init_cow_set(c, true);
  // Guests that another thread could change under a host call are not
  // supported, so shared memory stays off.
  wasmtime_config_wasm_threads_set(c, false);
  wasmtime_config_shared_memory_set(c, false);
  if (layout == WASMRT_LAYOUT_RESERVED) {
    // Each memory gets all that a 32-bit index can reach, and a guard behind
    // it for the static offset of an access: no bounds checks are compiled.
    wasmtime_config_memory_reservation_set(c, uint64_t{4} << 30);
    wasmtime_config_memory_guard_size_set(c, uint64_t{32} << 20);
    wasmtime_config_memory_may_move_set(c, false);
  } else {
    wasmtime_config_memory_reservation_set(c, 0);
    wasmtime_config_memory_guard_size_set(c, 0);
    // A memory that grows past this is copied: by 1 MiB, one that came to 1 GiB took minutes.
    wasmtime_config_memory_reservation_for_growth_set(c, uint64_t{32} << 20);
    wasmtime_config_memory_may_move_set(c, true);
  }
  return config;
}

ConfigHandle new_interruptible_config(wasmrt_layout layout) {
  ConfigHandle config = new_config(layout);
  if constexpr (kHasChecks) {
    // The checks are atomic loads.
    wasmtime_config_wasm_threads_set(config.get(), true);
  } else {
    wasmtime_config_epoch_interruption_set(config.get(), true);
  }
  return config;
}

}  // namespace wasmrt
