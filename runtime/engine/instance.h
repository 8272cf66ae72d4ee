// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <atomic>
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
#include "engine/per_processor.h"
#include "engine/wasmtime_handles.h"
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
  ~Instance();
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

  /// To be called before the kernel writes into its memory: see WrittenPages.
  void lend_memory() { guest_.written.unseal(); }
  [[nodiscard]] bool is_sealed() const { return guest_.written.is_sealed(); }

  /// For the environment of a run. Kept from one to the next, unless it has become large.
  wasi::StringBlock& environment();

  /// Size of its memory, bytes; 0 if it has none.
  [[nodiscard]] uint64_t memory_bytes() const;

  [[nodiscard]] bool is_of(const Module& module) const { return &module_ == &module; }
  /// Its module has gone, and it may only be destroyed. With the mutex of IdleInstances held.
  [[nodiscard]] bool is_orphan() const { return *is_module_gone_; }
  [[nodiscard]] bool is_for(const Module& module, uint64_t memory_limit) const {
    return is_of(module) && memory_limit_ == memory_limit;
  }

 private:
  Instance(const Module& module, uint64_t memory_limit);
  /// Of a rewindable one, which is in a pool.
  [[nodiscard]] std::span<uint8_t> memory() const;
  const wasmtime_func_t& function(std::string_view name, bool begins_run);

  const Module& module_;
  const std::shared_ptr<const bool> is_module_gone_;
  const uint64_t memory_limit_;
  wasi::StringBlock environment_;
  GuestState guest_;
  StoreHandle store_;
  wasmtime_context_t* context_;
  wasmtime_instance_t instance_{};
  std::optional<Interrupt> interrupt_;  ///< goes before its page
  struct Called {
    std::string name;
    bool begins_run;
    wasmtime_func_t function;
  };
  std::vector<Called> functions_;  ///< that have been called
  bool is_instantiated_ = false;
  bool has_begun_ = false;  ///< a function was called since begin()
  size_t first_bytes_ = 0;  ///< of its memory
  const uint8_t* pristine_memory_ = nullptr;  ///< the module's; null: not looked up
  uint32_t runs_ = 0;
};

/// Rewound instances that wait for their next run. They keep the pages that
/// runs have written. Shared by all threads.
class IdleInstances {
 public:
  /// @param most  that wait at the same time; 1 or more.
  explicit IdleInstances(size_t most);
  ~IdleInstances();
  IdleInstances(const IdleInstances&) = delete;
  IdleInstances& operator=(const IdleInstances&) = delete;

  /// @return null if there is none.
  std::unique_ptr<Instance> take(const Module& module, uint64_t memory_limit);
  /// What has waited too long, or longest of too many, is let go.
  /// @param now_ns  CLOCK_MONOTONIC.
  void give(std::unique_ptr<Instance> instance, int64_t now_ns);
  void drop_all_of(const Module& module);

 private:
  struct Waiting {
    std::unique_ptr<Instance> instance;
    int64_t since_ns;
  };

  /// The one that a processor has run last, whose pages are likeliest in its caches. Apart from
  /// those of other processors: it takes no lock, and nothing from another one's cache.
  struct Last {
    std::atomic<Instance*> instance{nullptr};

    std::unique_ptr<Instance> exchange(std::unique_ptr<Instance> other) {
      return std::unique_ptr<Instance>(instance.exchange(other.release()));
    }
  };

  // With the mutex held. What they return, if anything, is let go without it.
  std::unique_ptr<Instance> keep(std::unique_ptr<Instance> instance, int64_t now_ns);
  std::unique_ptr<Instance> oldest();
  void note_oldest();

  static constexpr int64_t kNobody = INT64_MAX;

  PerProcessor<Last> lasts_;
  const size_t most_others_;
  std::mutex mutex_;
  std::vector<Waiting> others_;  ///< by `since_ns`
  std::atomic<int64_t> oldest_ns_{kNobody};  ///< since when the first of them waits
};

}  // namespace wasmrt
