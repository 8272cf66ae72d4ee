// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "wasi/context.h"
#include "wasi/guest_memory.h"

namespace wasmrt::wasi {

/// One slot of an argument list as the engine passes it: 16 bytes, of which a
/// number uses the lowest 4 or 8.
union alignas(16) RawValue {
  int32_t i32;
  int64_t i64;
  uint8_t bytes[16];
};

/// Parameter and result types of the functions here: i32 and i64 suffice.
enum class ValueType : uint8_t { kI32, kI64 };

/// One host function. The wasm signature follows from the type of the C++
/// function behind `call`.
struct HostFunction {
  /// "wasi_snapshot_preview1", "wasi_unstable" or "mod_wasm".
  std::string_view module;
  std::string_view name;
  std::span<const ValueType> parameters;
  /// True if it returns an i32 (an errno); false only for proc_exit.
  bool has_result;
  /// Reads the arguments from `values` and writes the result to values[0].
  /// The caller looks at context.stop() afterwards.
  void (*call)(Context& context, GuestMemory memory, RawValue* values) noexcept;
};

/// All functions of preview 1, then all of the older wasi_unstable, then our own.
std::span<const HostFunction> host_functions();

/// @return nullptr if there is no such function.
const HostFunction* find_host_function(std::string_view module, std::string_view name);

}  // namespace wasmrt::wasi
