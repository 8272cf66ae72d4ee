// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/. Compiler and engine must agree on these, or an image
// does not load: they are said once, here.
#pragma once

#include <string_view>

#include "engine/wasmtime_handles.h"
#include "wasm_runtime.h"

namespace wasmrt {

/// Raised when the settings below change in a way that Wasmtime's own check of
/// an image does not notice.
inline constexpr int kSettingsVersion = 2;

inline constexpr uint64_t kDefaultStackBytes = uint64_t{1} << 20;

/// What a host call may need on the same stack, above the guest's own frames.
inline constexpr uint64_t kHostStackBytes = uint64_t{256} << 10;

/// What one instance may have. ruby-3.2.0 has 13,000 entries in its one table;
/// the rest is address space.
inline constexpr uint32_t kTableElements = 100'000;
inline constexpr uint32_t kTablesPerModule = 4;
inline constexpr uint32_t kMemoriesPerModule = 1;

/// What a module that can be rewound exports besides its own exports
/// (rewindable.rs). Names of such a kind are refused in modules.
inline constexpr std::string_view kReservedExports = "wasmrt:";
inline constexpr std::string_view kMemoryExport = "wasmrt:memory";
inline constexpr std::string_view kGlobalExport = "wasmrt:global:";

/// The configuration that compiled code depends on.
ConfigHandle new_config(wasmrt_layout layout);

}  // namespace wasmrt
