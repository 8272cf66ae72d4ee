// SPDX-License-Identifier: Apache-2.0
#include "engine/host_call.h"

#include <string_view>

#include "wasi/table.h"

namespace wasmrt {
namespace {

static_assert(sizeof(wasi::RawValue) == sizeof(wasmtime_val_raw_t));
static_assert(alignof(wasi::RawValue) >= alignof(wasmtime_val_raw_t));

constexpr std::string_view kMemory = "memory";

wasi::GuestMemory memory_of(wasmtime_caller_t* caller, wasmtime_context_t* context,
                            const GuestState& guest) {
  if (guest.has_memory) {
    return {wasmtime_memory_data(context, &guest.memory),
            wasmtime_memory_data_size(context, &guest.memory)};
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

}  // namespace

wasm_trap_t* host_call(void* env, wasmtime_caller_t* caller, wasmtime_val_raw_t* values,
                       size_t /*value_count*/) noexcept {
  const auto* function = static_cast<const wasi::HostFunction*>(env);
  wasmtime_context_t* context = wasmtime_caller_context(caller);
  const auto* guest = static_cast<GuestState*>(wasmtime_context_get_data(context));
  function->call(*guest->wasi, memory_of(caller, context, *guest),
                 reinterpret_cast<wasi::RawValue*>(values));
  if (guest->wasi->stop() == wasi::Stop::kNone) [[likely]] return nullptr;
  // Unwinds the guest. Nobody reads the text: run.cpp looks at stop() first.
  static constexpr std::string_view kStop = "stop";
  return wasmtime_trap_new(kStop.data(), kStop.size());
}

}  // namespace wasmrt
