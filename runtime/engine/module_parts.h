// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "engine/engine.h"
#include "engine/instance.h"
#include "engine/module.h"
#include "engine/wasmtime_handles.h"

namespace wasmrt {

struct Module::Parts {
  std::shared_ptr<Engine> engine;
  std::string path;
  ModuleHandle module;
  InstancePreHandle instance_pre;
  /// It exports "_initialize": a reactor, whose constructors run before any
  /// entry point but _start (WASI application ABI).
  bool is_reactor;
  /// Its start function is an export, so that it can be interrupted.
  bool has_start;
  /// All that a run can leave behind can be undone: the compiler found the module to
  /// be so (rewindable.rs), and the kernel tells which pages were written.
  bool is_rewindable;
  /// Instances may be destroyed a moment later. Guarded by the mutex of IdleInstances.
  std::shared_ptr<bool> is_gone = std::make_shared<bool>(false);
  /// An instance that never runs, made when it is first needed.
  std::once_flag pristine_once{};
  std::unique_ptr<Instance> pristine{};
};

}  // namespace wasmrt
