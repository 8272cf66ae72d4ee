// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <atomic>
#include <cstdint>

namespace wasmrt {

/// What the runs of one command usually take, as a moving average. Shared by all
/// threads: what two of them add at the same time may count once.
class UsualTime {
 public:
  /// More than the kernel lets a thread compute at a time where others wait.
  static constexpr int64_t kLongUs = 2'000;

  [[nodiscard]] bool is_long() const { return us_.load(std::memory_order_relaxed) >= kLongUs; }

  /// One run that was much longer than the others does not make them long.
  void add(uint64_t ns);

 private:
  std::atomic<int64_t> us_{0};
};

struct RunTimes {
  UsualTime wall;       ///< whoever has the run adds it
  UsualTime computing;  ///< RunSlice does, if `wall` is long: it costs a system call
};

/// One run on the calling thread, from its begin until this is destroyed. A run of a
/// command that usually computes for long has longer time slices meanwhile, so that a
/// thread that has little to do goes before it (Documentation/scheduler/sched-eevdf.rst of
/// Linux: the shorter the slice, the earlier the deadline). Before Linux 6.12, and where
/// the thread may not be or is not scheduled that way, nothing changes.
class RunSlice {
 public:
  explicit RunSlice(RunTimes& times);
  ~RunSlice();
  RunSlice(const RunSlice&) = delete;
  RunSlice& operator=(const RunSlice&) = delete;

 private:
  RunTimes& times_;
  int64_t computing_start_ns_ = -1;  ///< -1: not looked at
  uint64_t slice_before_ns_ = 0;     ///< 0: was not changed
};

/// The time slice of the calling thread, in nanoseconds; 0 if the kernel has no such thing.
uint64_t time_slice_ns();

}  // namespace wasmrt
