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
inline constexpr int kSettingsVersion = 5;

inline constexpr uint64_t kDefaultStackBytes = uint64_t{1} << 20;

/// What a host call may need on the same stack, above the guest's own frames.
inline constexpr uint64_t kHostStackBytes = uint64_t{256} << 10;

/// What one instance may have. ruby-3.2.0 has 13,000 entries in its one table;
/// the rest is address space.
inline constexpr uint32_t kTableElements = 100'000;
inline constexpr uint32_t kTablesPerModule = 4;

/// What is compiled is not what came in (deps/wasmtime/src), but for a build that
/// has no bridge to the Rust side: code is interrupted at checks of ours instead of at
/// Wasmtime's, and exports what a run can leave behind.
#if WASMRT_HAS_BRIDGE && defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
#define WASMRT_HAS_CHECKS 1
#else
#define WASMRT_HAS_CHECKS 0
#endif
inline constexpr bool kHasChecks = WASMRT_HAS_CHECKS;

/// Its own one, and the one of the checks.
inline constexpr uint32_t kMemoriesPerModule = kHasChecks ? 2 : 1;

/// Names of such a kind are refused in modules.
inline constexpr std::string_view kReservedExports = "wasmrt:";
/// What a module that can be rewound exports besides its own exports (rewindable.rs).
inline constexpr std::string_view kMemoryExport = "wasmrt:memory";
/// Before the name of an entry point: the same, with globals as they were at first.
inline constexpr std::string_view kRunExport = "wasmrt:run:";
/// What a module with checks exports: the memory that they read, and its start function
/// (interruptible.rs).
inline constexpr std::string_view kInterruptExport = "wasmrt:interrupt";
inline constexpr std::string_view kStartExport = "wasmrt:start";

/// The configuration that says which modules are accepted.
ConfigHandle new_config(wasmrt_layout layout);

/// The same for what is compiled of them and run, which can be interrupted.
ConfigHandle new_interruptible_config(wasmrt_layout layout);

}  // namespace wasmrt
