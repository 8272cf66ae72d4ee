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

/// Whether memory that was made read-only can be made writable again whenever that is needed:
/// not where the kernel counts writable memory against a limit (RLIMIT_DATA, or
/// vm.overcommit_memory = 2). The first call looks it up.
bool can_unprotect();

/// Brings one memory back to what it was, by a copy of the pages that were written.
///
/// Where runs go on writing the same few pages, all others become read-only: the memory is sealed.
/// Then nobody has to be asked what a run has written. What first writes another page must
/// unseal() the memory, or have it unsealed by the handler of the fault.
class WrittenPages {
 public:
  /// @param may_seal  whether faults in the memory come to unseal_for(), and can_unprotect().
  explicit WrittenPages(bool may_seal) : may_seal_(may_seal) {}
  /// Must be unsealed if the memory outlives it.
  ~WrittenPages() = default;
  WrittenPages(const WrittenPages&) = delete;
  WrittenPages& operator=(const WrittenPages&) = delete;

  /// To be called by the thread of a run, before the run writes anything.
  void run_begins();

  /// Gives each page of `memory` that was written since it was mapped the bytes
  /// that `pristine` has in its place. `memory` begins and ends at a page's
  /// boundary and is the same each time; `pristine` has its size. Only the
  /// calling thread has written to `memory` since it called run_begins().
  /// @return false if it was more than `most_bytes`, or if the kernel does not
  ///         tell: then only some of them may have been restored.
  bool restore(std::span<uint8_t> memory, const uint8_t* pristine, size_t most_bytes);

  /// Makes all of the memory writable, for good. @return false if the kernel refuses.
  bool unseal();

  /// The same if `address` lies in a sealed memory. May be called by a signal handler of the
  /// thread that runs. @return whether what has written there can do it again.
  bool unseal_for(const void* address);

  [[nodiscard]] bool is_sealed() const { return is_sealed_; }

 private:
  struct Range {
    size_t offset;
    size_t bytes;
    bool zero;  ///< so were they: most of what a guest writes is memory that it had not used
  };

  bool find(std::span<uint8_t> memory, const uint8_t* pristine, size_t most_bytes);
  void add(const uint8_t* pristine, size_t offset, size_t bytes);
  /// @return false if pages are read-only that should not be.
  bool seal(std::span<uint8_t> memory);

  uint64_t faults_at_begin_ = 0;  ///< of the thread, or fewer; not of a run that began sealed
  bool are_known_ = false;
  bool may_seal_;
  uint32_t quiet_runs_ = 0;  ///< that wrote no other pages, one behind the other
  bool is_sealed_ = false;
  std::span<uint8_t> protected_;  ///< of this, pages may be read-only
  std::vector<Range> ranges_;  ///< that were written up to the last time
};

/// Whether the kernel may write pages of this process out to a swap device.
bool has_swap();

}  // namespace wasmrt
