// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "engine/engine.h"
#include "engine/instance.h"
#include "engine/interrupts.h"
#include "engine/places.h"
#include "engine/ticker.h"
#include "engine/wasmtime_handles.h"

namespace wasmrt {

struct Engine::Parts {
  wasmrt_layout layout;
  uint64_t stack_bytes;
  std::chrono::milliseconds wait;
  wasmrt_log_fn log;
  void* log_baton;
  // Destroyed from the last to the first: the ticker stops before the engine
  // that it ticks goes away.
  EngineHandle engine;
  LinkerHandle linker;
  /// Null if code has no checks.
  std::unique_ptr<Interrupts> interrupts;
  Places places;
  IdleInstances idle;
  /// How many more modules can have an instance to restore others from.
  std::atomic<uint32_t> pristine_left;
  std::unique_ptr<Ticker> ticker;

  void say(wasmrt_log_level level, const std::string& message) const {
    if (log != nullptr) log(log_baton, level, message.c_str());
  }
};

}  // namespace wasmrt
