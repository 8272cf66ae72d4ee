// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "support/status.h"
#include "wasm_runtime.h"

namespace wasmrt {

/// Compiles `wasm` for an engine of `layout` on this machine's processor and
/// gives the image to `sink`. Starts threads: only for a process of its own.
Status compile(std::span<const uint8_t> wasm, wasmrt_layout layout,
               const std::function<Status(std::span<const uint8_t>)>& sink);

/// Everything besides the module's own bytes that decides whether an image
/// fits: engine version, settings, layout, processor features. Part of the key
/// under which the cache keeps an image. Creates no engine, so it may be called
/// before a fork.
std::string compatibility_tag(wasmrt_layout layout);

}  // namespace wasmrt
