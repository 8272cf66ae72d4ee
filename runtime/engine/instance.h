// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/ending.h"
#include "engine/host_call.h"
#include "engine/interrupts.h"
#include "engine/wasmtime_handles.h"
#include "engine/written_pages.h"
#include "wasi/context.h"
#include "wasm_runtime.h"

namespace wasmrt {

class Module;

/// An instance of a module, with the store it lives in. It serves one run; or,
/// if it can be rewound, one run after another, for each of which it is as if
/// it had just been made.
class Instance {
 public:
  /// Not instantiated yet. `module` outlives it. @param memory_bytes limit of its memory.
  static std::unique_ptr<Instance> create(const Module& module, uint64_t memory_bytes);
  ~Instance() = default;
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /// Begins a run, whose host calls go to `context`.
  void begin(wasi::Context& context, const wasmrt_streams& streams, void* baton);

  /// Does nothing the second time. @return false, and why in `end`, if it fails.
  bool instantiate(Ending& end);

  /// Calls an export that was checked to be `() -> ()`.
  Ending call(std::string_view name);

  /// Undoes what a run did. Only after one whose code was not interrupted by a trap
  /// of its own.
  /// @return false if that is not possible: the instance is of no more use.
  bool rewind();

  /// For the environment of a run. Kept from one to the next, unless it has become large.
  wasi::StringBlock& environment();

  /// Size of its memory, bytes; 0 if it has none.
  [[nodiscard]] uint64_t memory_bytes() const;

  [[nodiscard]] bool is_of(const Module& module) const { return &module_ == &module; }
  [[nodiscard]] bool is_for(const Module& module, uint64_t memory_limit) const {
    return is_of(module) && memory_limit_ == memory_limit;
  }

 private:
  Instance(const Module& module, uint64_t memory_limit);
  [[nodiscard]] std::span<uint8_t> memory() const;
  const wasmtime_func_t& function(std::string_view name);

  const Module& module_;
  const uint64_t memory_limit_;
  wasi::StringBlock environment_;
  GuestState guest_;
  StoreHandle store_;
  wasmtime_context_t* context_;
  wasmtime_instance_t instance_{};
  std::optional<Interrupt> interrupt_;  ///< goes before its page
  std::vector<std::pair<std::string, wasmtime_func_t>> functions_;  ///< that have been called
  bool is_instantiated_ = false;
  uint32_t runs_ = 0;
  std::vector<std::pair<wasmtime_global_t, wasmtime_val_t>> globals_;  ///< and first values
  WrittenPages written_;  ///< of its memory
};

/// Rewound instances that wait for their next run. They keep the pages that
/// runs have written. Shared by all threads.
class IdleInstances {
 public:
  explicit IdleInstances(size_t most) : most_(most) {}

  /// @return null if there is none.
  std::unique_ptr<Instance> take(const Module& module, uint64_t memory_limit);
  /// What has waited too long, or longest of too many, is let go.
  void give(std::unique_ptr<Instance> instance);
  void drop_all_of(const Module& module);

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    std::unique_ptr<Instance> instance;
    Clock::time_point since;
    int processor;  ///< on which its last run ended
  };

  const size_t most_;
  std::mutex mutex_;
  std::vector<Waiting> waiting_;  ///< by `since`
};

}  // namespace wasmrt
