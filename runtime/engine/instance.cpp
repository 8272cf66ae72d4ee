// SPDX-License-Identifier: Apache-2.0
#include "engine/instance.h"

#include <algorithm>

#include "engine/engine_parts.h"
#include "engine/module_parts.h"
#include "engine/settings.h"
#include "support/clock.h"

namespace wasmrt {
namespace {

// What is cheaper restored by a copy than mapped anew: a copied page costs a
// tenth of a fault. Also the memory that an idle instance keeps, at most.
constexpr size_t kMostWrittenBytes = size_t{16} << 20;

// A store is not made for ever: whatever the engine may gather in it goes.
constexpr uint32_t kMostRuns = 10'000;

constexpr int64_t kLongestIdleNs = 60'000'000'000;

[[maybe_unused]] constexpr uint64_t kNever = uint64_t{1} << 62;  // ticks

/// Called by the guest's own code at each tick of the engine's clock, if it has no checks.
[[maybe_unused]] wasmtime_error_t* on_tick(wasmtime_context_t* /*context*/, void* data,
                                           uint64_t* ticks,
                                           wasmtime_update_deadline_kind_t* kind) noexcept {
  if (!static_cast<GuestState*>(data)->may_go_on()) return wasmtime_error_new("stop");
  *ticks = 1;
  *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
  return nullptr;
}

}  // namespace

Instance::Instance(const Module& module, uint64_t memory_limit)
    : module_(module),
      is_module_gone_(module.parts().is_gone),
      memory_limit_(memory_limit),
      store_(wasmtime_store_new(module.parts().engine->parts().engine.get(), &guest_, nullptr)),
      context_(wasmtime_store_context(store_.get())) {
  // The pool has no more room than this for tables and memories; without a pool
  // they would be as large and as many as the guest likes.
  wasmtime_store_limiter(store_.get(), static_cast<int64_t>(memory_limit), kTableElements, -1,
                         kTablesPerModule, kMemoriesPerModule);
  if constexpr (!kHasChecks) {
    wasmtime_store_epoch_deadline_callback(store_.get(), on_tick, &guest_, nullptr);
    // Until a run begins there is nobody whom a tick could ask.
    wasmtime_context_set_epoch_deadline(context_, kNever);
  }
}

Instance::~Instance() {
  // Its memory's place in the pool is another's next, or else nobody's.
  if (!guest_.written.unseal()) (void)store_.release();
}

std::unique_ptr<Instance> Instance::create(const Module& module, uint64_t memory_bytes) {
  return std::unique_ptr<Instance>(new Instance(module, memory_bytes));
}

void Instance::begin(wasi::Context& context, const wasmrt_streams& streams, void* baton) {
  guest_.written.run_begins();
  has_begun_ = false;
  guest_.wasi = &context;
  guest_.traced = streams.trace != nullptr ? &streams : nullptr;
  guest_.baton = baton;
  guest_.ticks = &module_.parts().engine->parts().ticker->ticks();
  guest_.last_tick = guest_.ticks->load(std::memory_order_relaxed);
  if constexpr (!kHasChecks) wasmtime_context_set_epoch_deadline(context_, 1);
}

bool Instance::instantiate(Ending& end) {
  if (is_instantiated_) return true;
  const Module::Parts& module = module_.parts();
  wasm_trap_t* trap = nullptr;
  wasmtime_error_t* error =
      wasmtime_instance_pre_instantiate(module.instance_pre.get(), context_, &instance_, &trap);
  end = {TrapHandle(trap), ErrorHandle(error)};
  if (end) return false;
  is_instantiated_ = true;

  wasmtime_extern_t item;
  if constexpr (kHasChecks) {
    wasmtime_instance_export_get(context_, &instance_, kInterruptExport.data(),
                                 kInterruptExport.size(), &item);
    interrupt_.emplace(*module.engine->parts().interrupts,
                       wasmtime_memory_data(context_, &item.of.memory));
  }
  if (wasmtime_instance_export_get(context_, &instance_, "memory", 6, &item)) {
    if (item.kind == WASMTIME_EXTERN_MEMORY) {
      guest_.memory = item.of.memory;
      guest_.has_memory = true;
      // The pool gives a memory a place in which it grows.
      if (module.engine->layout() == WASMRT_LAYOUT_RESERVED) {
        guest_.memory_base = wasmtime_memory_data(context_, &guest_.memory);
        first_bytes_ = memory().size();
      }
    } else {
      wasmtime_extern_delete(&item);
    }
  }
  if (module.has_start) end = call(kStartExport);
  return !end;
}

const wasmtime_func_t& Instance::function(std::string_view name, bool begins_run) {
  for (const Called& called : functions_) {
    if (called.name == name && called.begins_run == begins_run) return called.function;
  }
  const std::string exported = std::string(begins_run ? kRunExport : "").append(name);
  wasmtime_extern_t item;
  wasmtime_instance_export_get(context_, &instance_, exported.data(), exported.size(), &item);
  functions_.push_back({std::string(name), begins_run, item.of.func});
  return functions_.back().function;
}

Ending Instance::call(std::string_view name) {
  const bool begins_run = !std::exchange(has_begun_, true) && module_.parts().is_rewindable;
  const wasmtime_func_t& called = function(name, begins_run);
  std::optional<Interruptible> here;
  if (interrupt_) here.emplace(*interrupt_, guest_);
  wasm_trap_t* trap = nullptr;
  wasmtime_error_t* error =
      wasmtime_func_call_unchecked(context_, &called, nullptr, 0, &trap);
  return {TrapHandle(trap), ErrorHandle(error)};
}

bool Instance::rewind() {
  if (!module_.parts().is_rewindable || !guest_.has_memory || ++runs_ >= kMostRuns) return false;
  if (pristine_memory_ == nullptr) {
    const Instance* pristine = module_.pristine();
    if (pristine == nullptr) return false;
    pristine_memory_ = pristine->guest_.memory_base;
  }
  const std::span<uint8_t> memory = this->memory();
  // Memory cannot shrink.
  if (memory.size() != first_bytes_) return false;
  if (!guest_.written.restore(memory, pristine_memory_, kMostWrittenBytes)) return false;
  guest_.wasi = nullptr;
  guest_.traced = nullptr;
  guest_.baton = nullptr;
  return true;
}

wasi::StringBlock& Instance::environment() {
  constexpr size_t kKeptBytes = 64 << 10;
  if (environment_.bytes.capacity() > kKeptBytes) environment_.bytes = std::string();
  return environment_;
}

std::span<uint8_t> Instance::memory() const {
  return {guest_.memory_base, wasmtime_memory_data_size(context_, &guest_.memory)};
}

uint64_t Instance::memory_bytes() const {
  return guest_.has_memory ? wasmtime_memory_data_size(context_, &guest_.memory) : 0;
}

IdleInstances::IdleInstances(size_t most)
    : lasts_((most + 1) / 2), most_others_(most - lasts_.size()) {}

IdleInstances::~IdleInstances() {
  for (Last& last : lasts_) last.exchange(nullptr);
}

std::unique_ptr<Instance> IdleInstances::take(const Module& module, uint64_t memory_limit) {
  const auto is_right = [&](const std::unique_ptr<Instance>& instance) {
    return instance && instance->is_for(module, memory_limit);
  };
  std::unique_ptr<Instance> instance = lasts_.here().exchange(nullptr);
  if (is_right(instance)) return instance;
  std::vector<std::unique_ptr<Instance>> surplus;  // goes after the lock
  const std::scoped_lock lock(mutex_);
  const int64_t now = now_ns(CLOCK_MONOTONIC);
  if (instance) surplus.push_back(keep(std::move(instance), now));
  const auto found =
      std::find_if(others_.rbegin(), others_.rend(),
                   [&](const Waiting& waiting) { return is_right(waiting.instance); });
  if (found != others_.rend()) {
    instance = std::move(found->instance);
    others_.erase(std::next(found).base());
    note_oldest();
    return instance;
  }
  // From another processor it is still cheaper than a new one.
  for (Last& last : lasts_) {
    instance = last.exchange(nullptr);
    if (is_right(instance)) return instance;
    if (instance) surplus.push_back(keep(std::move(instance), now));
  }
  return nullptr;
}

void IdleInstances::give(std::unique_ptr<Instance> instance, int64_t now_ns) {
  const auto is_old = [now_ns](int64_t since_ns) { return now_ns - kLongestIdleNs > since_ns; };
  std::unique_ptr<Instance> before = lasts_.here().exchange(std::move(instance));
  if (!before && !is_old(oldest_ns_.load(std::memory_order_relaxed))) return;
  std::unique_ptr<Instance> surplus;  // goes after the lock
  const std::scoped_lock lock(mutex_);
  if (before) surplus = keep(std::move(before), now_ns);
  if (!surplus && !others_.empty() && is_old(others_.front().since_ns)) surplus = oldest();
}

std::unique_ptr<Instance> IdleInstances::keep(std::unique_ptr<Instance> instance, int64_t now_ns) {
  // Its module may have gone since it was taken from its processor's place.
  if (instance->is_orphan()) return instance;
  others_.push_back({std::move(instance), now_ns});
  if (others_.size() > most_others_) return oldest();
  note_oldest();
  return nullptr;
}

std::unique_ptr<Instance> IdleInstances::oldest() {
  std::unique_ptr<Instance> instance = std::move(others_.front().instance);
  others_.erase(others_.begin());
  note_oldest();
  return instance;
}

void IdleInstances::note_oldest() {
  oldest_ns_.store(others_.empty() ? kNobody : others_.front().since_ns,
                   std::memory_order_relaxed);
}

void IdleInstances::drop_all_of(const Module& module) {
  std::vector<std::unique_ptr<Instance>> dropped;  // goes after the lock
  const std::scoped_lock lock(mutex_);
  // Whoever holds an instance of it that is not its own has to come by here, in keep().
  *module.parts().is_gone = true;
  const int64_t now = now_ns(CLOCK_MONOTONIC);
  for (Last& last : lasts_) {
    if (auto instance = last.exchange(nullptr)) {
      dropped.push_back(keep(std::move(instance), now));
    }
  }
  for (Waiting& waiting : others_) {
    if (waiting.instance->is_of(module)) dropped.push_back(std::move(waiting.instance));
  }
  std::erase_if(others_, [](const Waiting& waiting) { return !waiting.instance; });
  note_oldest();
}

}  // namespace wasmrt
