// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wasmrt {

/// Whether the kernel tells which pages of a private mapping a process has
/// written (PAGEMAP_SCAN, Linux 6.7). The first call opens what the kernel is
/// asked through, for this process and its future children; one that has
/// changed its user may no longer be let.
bool knows_written_pages();

/// Brings one memory back to what it was, by a copy of the pages that were written.
class WrittenPages {
 public:
  /// To be called by the thread of a run, before the run writes anything.
  void run_begins();

  /// Gives each page of `memory` that was written since it was mapped the bytes
  /// that `pristine` has in its place. `memory` begins and ends at a page's
  /// boundary and is the same each time; `pristine` has its size. Only the
  /// calling thread has written to `memory` since it called run_begins().
  /// @return false if it was more than `most_bytes`, or if the kernel does not
  ///         tell: then only some of them may have been restored.
  bool restore(std::span<uint8_t> memory, const uint8_t* pristine, size_t most_bytes);

 private:
  struct Range {
    size_t offset;
    size_t bytes;
    bool zero;  ///< so were they: most of what a guest writes is memory that it had not used
  };

  bool find(std::span<uint8_t> memory, const uint8_t* pristine, size_t most_bytes);
  void add(const uint8_t* pristine, size_t offset, size_t bytes, size_t page);

  uint64_t faults_at_begin_ = 0;  ///< of the thread, or fewer
  bool are_known_ = false;
  std::vector<Range> ranges_;  ///< that were written up to the last time
};

/// Whether the kernel may write pages of this process out to a swap device.
bool has_swap();

}  // namespace wasmrt
