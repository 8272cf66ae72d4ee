// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "support/status.h"
#include "wasm_runtime.h"

namespace wasmrt {

class Image;
class Places;
class Ticker;

/// The process's engine: the reserved address space, the host functions, the
/// clock that interrupts guests. One a process, made after the last fork; see
/// wasm_runtime.h. Shared by all threads.
class Engine {
 public:
  static Result<std::shared_ptr<Engine>> create(const wasmrt_engine_config& config);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] wasmrt_layout layout() const;
  [[nodiscard]] uint64_t stack_bytes() const;

  /// Whether an engine of the reserved layout finds its address space here.
  /// See wasmrt_layout_fits() for what else it does.
  static bool reserved_layout_fits(uint32_t max_instances);

  /// What the other classes of engine/ see of it; its type is theirs alone.
  struct Parts;
  [[nodiscard]] Parts& parts() const { return *parts_; }

 private:
  explicit Engine(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace wasmrt
