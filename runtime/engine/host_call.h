// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/settings.h"
#include "engine/wasmtime_handles.h"
#include "engine/written_pages.h"
#include "support/status.h"
#include "wasi/context.h"
#include "wasm_runtime.h"

namespace wasmrt {

/// What a store's data pointer points to while a guest runs.
struct GuestState {
  wasi::Context* wasi = nullptr;
  wasmtime_memory_t memory{};
  bool has_memory = false;                 ///< false while the module is being instantiated
  uint8_t* memory_base = nullptr;          ///< of a memory that never moves; null: it may
  const wasmrt_streams* traced = nullptr;  ///< not null if host calls are traced
  void* baton = nullptr;                   ///< of `traced`
  const std::atomic<uint32_t>* ticks = nullptr;  ///< the clock's; null: nobody asks it
  uint32_t last_tick = 0;                        ///< at which a host call asked it
  /// Of its memory. Faults in it come by the checks' way.
  WrittenPages written{kHasChecks && can_unprotect()};

  /// Asks whether the run may go on. @return false if it is to end at once.
  [[nodiscard]] bool may_go_on() const {
    const wasi::Stop stop = wasi->host().check();
    if (stop == wasi::Stop::kNone) return true;
    wasi->stop_with(stop);
    return false;
  }

  /// Whether may_go_on() is to be asked at the end of a host call, which is once a tick: a guest
  /// can make many calls, one behind the other, without being interrupted between them.
  [[nodiscard]] bool has_ticked() {
    if (ticks == nullptr) return false;
    const uint32_t before = last_tick;
    last_tick = ticks->load(std::memory_order_relaxed);
    return last_tick != before;
  }
};

/// The one callback behind all host functions; `env` is the wasi::HostFunction.
wasm_trap_t* host_call(void* env, wasmtime_caller_t* caller, wasmtime_val_raw_t* values,
                       size_t value_count) noexcept;

/// Defines each function of the WASI table in a linker.
Status define_host_functions(wasmtime_linker_t* linker);

}  // namespace wasmrt
