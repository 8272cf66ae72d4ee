// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "engine/engine_parts.h"
#include "engine/host_call.h"
#include "engine/settings.h"
#include "engine/wasmtime_bridge.h"
#include "engine/written_pages.h"

namespace wasmrt {
namespace {

constexpr uint32_t kDefaultInstances = 64;
constexpr uint32_t kMaxInstances = 16384;

// A module with exceptions or GC types takes another memory for its heap.
constexpr uint32_t kMemoriesPerInstance = kMemoriesPerModule + 1;
// Modules whose instances can be rewound have one that never runs.
constexpr uint32_t kMostPristine = 64;
constexpr uint64_t kSlotBytes = (uint64_t{4} << 30) + (uint64_t{32} << 20);

// What stays in place of a memory after a run, to be reset by a copy: no page
// fault in the next run, no page table to be changed under all threads. Where
// the kernel tells which pages were written, these are reset, wherever they
// lie; php-cgi writes 3.5 MiB for a page. Where it does not, all below the mark
// is, written or not.
constexpr size_t kKeepWrittenBytes = size_t{4} << 20;
constexpr size_t kKeepLowestBytes = size_t{256} << 10;

// The same of a table: as much as the largest of known guests has, ruby's. Giving
// back what others have more interrupts every processor that runs a thread of the
// server. A place for a table serves any module, so what one guest filled would
// stay with all of them.
constexpr size_t kKeepTableBytes = size_t{128} << 10;

/// As many as run wait to be run again, at most.
uint32_t slots_for(uint32_t instances) { return 2 * instances + kMostPristine; }

uint64_t reserved_bytes(uint32_t instances) {
  return uint64_t{slots_for(instances)} *
             (kMemoriesPerInstance * kSlotBytes +
              kTablesPerModule * kTableElements * sizeof(void*)) +
         kSlotBytes;
}

// Whether pools can ask the kernel which pages a run has written. The first
// call opens what they ask through, for this process and its future children.
// They ask for pages that are in memory only, and would leave one that was
// written and then swapped out to the next run.
bool knows_written() {
  if constexpr (WASMRT_HAS_BRIDGE) return pool_knows_written() && !has_swap();
  return false;
}

void set_pool(wasm_config_t* config, uint32_t slots) {
  const PoolConfigHandle pool(wasmtime_pooling_allocation_config_new());
  wasmtime_pooling_allocation_config_t* p = pool.get();
  wasmtime_pooling_allocation_config_total_core_instances_set(p, slots);
  wasmtime_pooling_allocation_config_total_memories_set(p, slots * kMemoriesPerInstance);
  wasmtime_pooling_allocation_config_total_gc_heaps_set(p, slots);
  wasmtime_pooling_allocation_config_total_tables_set(p, slots * kTablesPerModule);
  wasmtime_pooling_allocation_config_max_memories_per_module_set(p, kMemoriesPerModule);
  wasmtime_pooling_allocation_config_max_tables_per_module_set(p, kTablesPerModule);
  wasmtime_pooling_allocation_config_table_elements_set(p, kTableElements);
  wasmtime_pooling_allocation_config_max_core_instance_size_set(p, size_t{16} << 20);
  wasmtime_pooling_allocation_config_max_memory_size_set(p, size_t{4} << 30);
  wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(
      p, knows_written() ? kKeepWrittenBytes : kKeepLowestBytes);
  wasmtime_pooling_allocation_config_table_keep_resident_set(p, kKeepTableBytes);
  wasmtime_pooling_allocation_config_max_unused_warm_slots_set(p, slots);
  if constexpr (WASMRT_HAS_BRIDGE) {
    if (knows_written()) pool_reset_written_set(p);
  }
  wasmtime_pooling_allocation_strategy_set(config, p);
}

}  // namespace

bool Engine::reserved_layout_fits(uint32_t max_instances) {
  if (max_instances == 0) max_instances = kDefaultInstances;
  // Here, since a server asks this before it forks and gives up its rights.
  knows_written();
  knows_written_pages();
  can_unprotect();
  const size_t bytes = reserved_bytes(std::min(max_instances, kMaxInstances));
  void* probe = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (probe == MAP_FAILED) return false;
  munmap(probe, bytes);
  return true;
}

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Engine::~Engine() = default;

wasmrt_layout Engine::layout() const { return parts_->layout; }
uint64_t Engine::stack_bytes() const { return parts_->stack_bytes; }

Result<std::shared_ptr<Engine>> Engine::create(const wasmrt_engine_config& config) {
  const uint32_t instances = config.max_instances == 0 ? kDefaultInstances : config.max_instances;
  const uint64_t stack = config.stack_bytes == 0 ? kDefaultStackBytes : config.stack_bytes;
  if (instances > kMaxInstances) {
    return Status::invalid(std::to_string(instances) + " instances at once are more than the " +
                           std::to_string(kMaxInstances) + " that are possible");
  }
  if (stack < (uint64_t{64} << 10) || stack > (uint64_t{1} << 30)) {
    return Status::invalid("a guest's stack has 64 KiB to 1 GiB, not " + std::to_string(stack) +
                           " bytes");
  }

  ConfigHandle wasm_config = new_interruptible_config(config.layout);
  wasmtime_config_max_wasm_stack_set(wasm_config.get(), stack);
  // Compilation belongs into a process of its own; a server's child must not
  // start a thread pool even if someone asked it to compile.
  wasmtime_config_parallel_compilation_set(wasm_config.get(), false);
  if (config.layout == WASMRT_LAYOUT_RESERVED) {
    // Wasmtime's C API aborts the process where the reservation fails.
    if (!reserved_layout_fits(instances)) {
      return Status::resources("this process may not reserve the " +
                               std::to_string(reserved_bytes(instances) >> 30) +
                               " GiB of address space that " + std::to_string(instances) +
                               " instances take (see `ulimit -v`)");
    }
    set_pool(wasm_config.get(), slots_for(instances));
  }

  EngineHandle engine(wasm_engine_new_with_config(wasm_config.release()));
  LinkerHandle linker(wasmtime_linker_new(engine.get()));
  if (Status status = define_host_functions(linker.get()); !status.is_ok()) return status;
  auto interrupts = kHasChecks ? std::make_unique<Interrupts>() : nullptr;
  std::unique_ptr<Parts> parts(new Parts{
      config.layout, stack, std::chrono::milliseconds(config.wait_ms), config.log, config.log_baton,
      std::move(engine), std::move(linker), std::move(interrupts), Places(instances),
      IdleInstances(instances), kMostPristine, nullptr});
  Result<std::unique_ptr<Ticker>> ticker = Ticker::start([all = parts.get()] {
    if constexpr (kHasChecks) {
      all->interrupts->raise();
    } else {
      wasmtime_engine_increment_epoch(all->engine.get());
    }
    return all->places.is_any_taken();
  });
  if (!ticker.is_ok()) return ticker.status();
  parts->ticker = ticker.take();
  return std::shared_ptr<Engine>(new Engine(std::move(parts)));
}

}  // namespace wasmrt
