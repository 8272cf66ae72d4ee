// SPDX-License-Identifier: Apache-2.0
#include "engine/instance.h"

#include <sched.h>

#include <algorithm>

#include "engine/engine_parts.h"
#include "engine/module_parts.h"
#include "engine/settings.h"

namespace wasmrt {
namespace {

// What is cheaper restored by a copy than mapped anew: a copied page costs a
// tenth of a fault. Also the memory that an idle instance keeps, at most.
constexpr size_t kMostWrittenBytes = size_t{16} << 20;

// A store is not made for ever: whatever the engine may gather in it goes.
constexpr uint32_t kMostRuns = 10'000;

constexpr std::chrono::seconds kLongestIdle{60};

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

std::unique_ptr<Instance> Instance::create(const Module& module, uint64_t memory_bytes) {
  return std::unique_ptr<Instance>(new Instance(module, memory_bytes));
}

void Instance::begin(wasi::Context& context, const wasmrt_streams& streams, void* baton) {
  written_.run_begins();
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
    } else {
      wasmtime_extern_delete(&item);
    }
  }
  for (const std::string& name : module.globals) {
    wasmtime_instance_export_get(context_, &instance_, name.data(), name.size(), &item);
    auto& [global, value] = globals_.emplace_back(item.of.global, wasmtime_val_t{});
    wasmtime_global_get(context_, &global, &value);
  }
  if (module.has_start) end = call(kStartExport);
  return !end;
}

const wasmtime_func_t& Instance::function(std::string_view name) {
  for (const auto& [known, function] : functions_) {
    if (known == name) return function;
  }
  wasmtime_extern_t item;
  wasmtime_instance_export_get(context_, &instance_, name.data(), name.size(), &item);
  return functions_.emplace_back(name, item.of.func).second;
}

Ending Instance::call(std::string_view name) {
  const wasmtime_func_t& called = function(name);
  std::optional<Interruptible> here;
  if (interrupt_) here.emplace(*interrupt_, guest_);
  wasm_trap_t* trap = nullptr;
  wasmtime_error_t* error =
      wasmtime_func_call_unchecked(context_, &called, nullptr, 0, &trap);
  return {TrapHandle(trap), ErrorHandle(error)};
}

bool Instance::rewind() {
  if (!module_.parts().is_rewindable || !guest_.has_memory || ++runs_ >= kMostRuns) return false;
  const Instance* pristine = module_.pristine();
  if (pristine == nullptr) return false;
  const std::span<uint8_t> memory = this->memory();
  // Memory cannot shrink.
  if (memory.size() != pristine->memory().size()) return false;
  if (!written_.restore(memory, pristine->memory().data(), kMostWrittenBytes)) return false;
  for (const auto& [global, value] : globals_) {
    if (const ErrorHandle error{wasmtime_global_set(context_, &global, &value)}) return false;
  }
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
  return {wasmtime_memory_data(context_, &guest_.memory),
          wasmtime_memory_data_size(context_, &guest_.memory)};
}

uint64_t Instance::memory_bytes() const {
  return guest_.has_memory ? wasmtime_memory_data_size(context_, &guest_.memory) : 0;
}

std::unique_ptr<Instance> IdleInstances::take(const Module& module, uint64_t memory_limit) {
  const int processor = sched_getcpu();
  const std::scoped_lock lock(mutex_);
  // Its pages are likeliest in this processor's caches: the last one that it ran, or else the last.
  auto best = waiting_.rend();
  for (auto waiting = waiting_.rbegin(); waiting != waiting_.rend(); ++waiting) {
    if (!waiting->instance->is_for(module, memory_limit)) continue;
    if (best == waiting_.rend() || waiting->processor == processor) best = waiting;
    if (best->processor == processor) break;
  }
  if (best == waiting_.rend()) return nullptr;
  std::unique_ptr<Instance> instance = std::move(best->instance);
  waiting_.erase(std::next(best).base());
  return instance;
}

void IdleInstances::give(std::unique_ptr<Instance> instance) {
  std::unique_ptr<Instance> surplus;  // goes after the lock
  const Clock::time_point now = Clock::now();
  const int processor = sched_getcpu();
  const std::scoped_lock lock(mutex_);
  if (!waiting_.empty() &&
      (waiting_.size() >= most_ || now - waiting_.front().since > kLongestIdle)) {
    surplus = std::move(waiting_.front().instance);
    waiting_.erase(waiting_.begin());
  }
  waiting_.push_back({std::move(instance), now, processor});
}

void IdleInstances::drop_all_of(const Module& module) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.instance->is_of(module); });
}

}  // namespace wasmrt
