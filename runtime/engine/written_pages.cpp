// SPDX-License-Identifier: Apache-2.0
#include "engine/written_pages.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <string>

namespace wasmrt {
namespace {

// The interface is younger than the kernel headers of Debian 12. Names and
// values: Documentation/admin-guide/mm/pagemap.rst and linux/fs.h of Linux 6.7.
struct PageRegion {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};

struct ScanArguments {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walk_end;
  uint64_t regions;
  uint64_t region_count;
  uint64_t max_pages;
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_anyof_mask;
  uint64_t return_mask;
};

constexpr uint64_t kFile = 1 << 2;
constexpr uint64_t kPresent = 1 << 3;
constexpr uint64_t kSwapped = 1 << 4;
constexpr uint64_t kZeroPage = 1 << 5;

constexpr size_t kRegions = 128;

// Zeros are not copied, in pieces of this size: a page has often been written in part only.
constexpr size_t kPieceBytes = 512;

// A memory is sealed if that cuts it into no more pieces, and after as many runs that
// would not have needed more.
constexpr size_t kMostSealedPieces = 8;
constexpr uint32_t kQuietRuns = 16;

const unsigned long kScan = _IOWR('f', 16, ScanArguments);

const char* const kPagemap = "/proc/self/pagemap";

constexpr uint64_t kNoFaultCount = UINT64_MAX;

/// A descriptor for the page tables of this process, or -1.
int pagemap = -1;

/// Page faults of this thread when it last restored a memory. A child of the
/// process begins to count anew.
thread_local uint64_t faults_before = kNoFaultCount;

/// A descriptor that was inherited tells of the parent's memory. Only calls
/// that are safe between fork and exec.
void open_in_child() {
  faults_before = kNoFaultCount;
  if (pagemap < 0) return;
  const int own = open(kPagemap, O_RDONLY | O_CLOEXEC);
  if (own < 0) {
    close(pagemap);
    pagemap = -1;
    return;
  }
  if (dup3(own, pagemap, O_CLOEXEC) < 0) {
    close(pagemap);
    pagemap = -1;
  }
  close(own);
}

/// @return how many regions were found, up to `arguments.walk_end`; -1: the
///         kernel does not tell.
int scan(ScanArguments& arguments) { return ioctl(pagemap, kScan, &arguments); }

bool is_zero(const uint8_t* bytes, size_t count) {
  return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, count - 1) == 0;
}

uint64_t faults_of_thread() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return static_cast<uint64_t>(usage.ru_minflt) + static_cast<uint64_t>(usage.ru_majflt);
}

}  // namespace

bool knows_written_pages() {
  static const bool asked = [] {
    pagemap = open(kPagemap, O_RDONLY | O_CLOEXEC);
    if (pagemap < 0) return false;
    ScanArguments nothing{};
    nothing.size = sizeof nothing;
    if (scan(nothing) < 0 || pthread_atfork(nullptr, nullptr, open_in_child) != 0) {
      close(pagemap);
      pagemap = -1;
    }
    return true;
  }();
  return asked && pagemap >= 0;
}

bool can_unprotect() {
  static const bool can = [] {
    rlimit data{};
    char overcommit = 0;
    return getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur == RLIM_INFINITY &&
           std::ifstream("/proc/sys/vm/overcommit_memory").get(overcommit) && overcommit != '2';
  }();
  return can;
}

bool WrittenPages::find(std::span<uint8_t> memory, const uint8_t* pristine, size_t most_bytes) {
  // Else the kernel may join pages behind the guest's back, and one that had not
  // been written could then be written without a fault.
  if (!are_known_) madvise(memory.data(), memory.size(), MADV_NOHUGEPAGE);
  are_known_ = false;
  ranges_.clear();
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(memory.data());
  const uintptr_t end = start + memory.size();
  std::array<PageRegion, kRegions> regions;
  size_t left = most_bytes / page;
  for (uintptr_t at = start; at < end;) {
    ScanArguments arguments{};
    arguments.size = sizeof arguments;
    arguments.start = at;
    arguments.end = end;
    arguments.regions = reinterpret_cast<uintptr_t>(regions.data());
    arguments.region_count = regions.size();
    // A page of its own, be it in memory or swapped out, and not one of the
    // file that is mapped there or the one of zeros, which were read only.
    arguments.category_inverted = kFile | kZeroPage;
    arguments.category_mask = kFile | kZeroPage;
    arguments.category_anyof_mask = kPresent | kSwapped;
    arguments.max_pages = left + 1;
    const int found = scan(arguments);
    if (found < 0) return false;
    for (const PageRegion& region : std::span(regions).first(static_cast<size_t>(found))) {
      const size_t bytes = region.end - region.start;
      if (bytes / page > left) return false;
      left -= bytes / page;
      add(pristine, region.start - start, bytes);
    }
    at = arguments.walk_end;
  }
  are_known_ = true;
  return true;
}

void WrittenPages::add(const uint8_t* pristine, size_t offset, size_t bytes) {
  for (const size_t end = offset + bytes; offset < end; offset += kPieceBytes) {
    const bool zero = is_zero(pristine + offset, kPieceBytes);
    if (!ranges_.empty() && ranges_.back().zero == zero &&
        ranges_.back().offset + ranges_.back().bytes == offset) {
      ranges_.back().bytes += kPieceBytes;
    } else {
      ranges_.push_back({offset, kPieceBytes, zero});
    }
  }
}

void WrittenPages::run_begins() {
  // Unsealed by this run, the memory would be looked through anyway.
  if (is_sealed_) return;
  // What the thread knows already is no more than what it has had, and costs nothing.
  faults_at_begin_ = faults_before;
}

bool WrittenPages::restore(std::span<uint8_t> memory, const uint8_t* pristine, size_t most_bytes) {
  if (pagemap < 0) return false;
  if (!is_sealed_) {
    // A page becomes the process's own by a fault of the thread that writes it first,
    // and then stays so. To ask for the faults costs a third of asking for the pages.
    const uint64_t faults = faults_of_thread();
    // Since this run began, and not since the thread last asked: other runs may have begun
    // and ended within this one, in a filter that its output went through.
    const bool was_fault = faults != faults_at_begin_;
    faults_before = faults;
    const bool was_quiet = are_known_ && !was_fault;
    if (!was_quiet && !find(memory, pristine, most_bytes)) return false;
    quiet_runs_ = was_quiet ? quiet_runs_ + 1 : 0;
    if (may_seal_ && quiet_runs_ == kQuietRuns && !seal(memory)) return false;
  }
  for (const auto& [offset, bytes, zero] : ranges_) {
    if (zero) {
      std::memset(memory.data() + offset, 0, bytes);
    } else {
      std::memcpy(memory.data() + offset, pristine + offset, bytes);
    }
  }
  return true;
}

bool WrittenPages::seal(std::span<uint8_t> memory) {
  std::vector<std::span<uint8_t>> others;
  size_t at = 0;
  for (const Range& range : ranges_) {
    if (at < range.offset) others.push_back(memory.subspan(at, range.offset - at));
    at = range.offset + range.bytes;
  }
  if (at < memory.size()) others.push_back(memory.subspan(at));
  if (others.size() > kMostSealedPieces) return true;
  protected_ = memory;
  for (const std::span<uint8_t> other : others) {
    if (mprotect(other.data(), other.size(), PROT_READ) != 0) return unseal();
  }
  is_sealed_ = true;
  return true;
}

bool WrittenPages::unseal() {
  // Whoever has lent memory out once does so in other runs.
  may_seal_ = false;
  if (protected_.empty()) return true;
  is_sealed_ = false;
  are_known_ = false;
  if (mprotect(protected_.data(), protected_.size(), PROT_READ | PROT_WRITE) != 0) return false;
  protected_ = {};
  return true;
}

bool WrittenPages::unseal_for(const void* address) {
  const auto* at = static_cast<const uint8_t*>(address);
  if (at < protected_.data() || at >= protected_.data() + protected_.size()) return false;
  return unseal();
}

bool has_swap() {
  std::ifstream swaps("/proc/swaps");
  std::string line;
  std::getline(swaps, line);  // the names of the columns
  return static_cast<bool>(std::getline(swaps, line));
}

}  // namespace wasmrt
