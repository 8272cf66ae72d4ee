// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace wasmrt {

/// One T for each processor, so that what a thread changes is in the caches of the processor
/// that it is on. The thread may be elsewhere a moment later, and with fewer than there are
/// processors several have the same one: they are for all threads.
template <typename T>
class PerProcessor {
 public:
  /// Processors take two lines of 64 bytes from each other at once.
  struct alignas(128) Slot : T {};

  /// @param most  1 or more.
  explicit PerProcessor(size_t most = SIZE_MAX)
      : slots_(std::clamp<size_t>(
            static_cast<size_t>(std::max(sysconf(_SC_NPROCESSORS_CONF), 1L)), 1, most)) {}

  /// That of the processor that the calling thread is on.
  T& here() {
    const auto processor = static_cast<size_t>(std::max(sched_getcpu(), 0));
    return slots_[processor < slots_.size() ? processor : processor % slots_.size()];
  }

  [[nodiscard]] size_t size() const { return slots_.size(); }
  auto begin() { return slots_.begin(); }
  auto end() { return slots_.end(); }
  auto begin() const { return slots_.begin(); }
  auto end() const { return slots_.end(); }

 private:
  std::vector<Slot> slots_;
};

}  // namespace wasmrt
