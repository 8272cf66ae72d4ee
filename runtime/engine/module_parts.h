// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.h"
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
};

}  // namespace wasmrt
