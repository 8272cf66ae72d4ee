// SPDX-License-Identifier: Apache-2.0
#include "engine/time_slice.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "support/clock.h"

namespace wasmrt {
namespace {

constexpr uint64_t kLongSliceNs = 25'000'000;

// Older C libraries have neither the call nor the structure, which is the first
// version of struct sched_attr: sched_setattr(2).
struct SchedulingAttributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns;  ///< the time slice, for the usual policies
  uint64_t deadline_ns;
  uint64_t period_ns;
};

bool get_attributes(SchedulingAttributes& attributes) {
  return syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0 &&
         (attributes.policy == SCHED_OTHER || attributes.policy == SCHED_BATCH);
}

bool set_attributes(SchedulingAttributes& attributes) {
  attributes.size = sizeof attributes;
  return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}

/// Whether this process may ask for slices. A filter for system calls may end who makes
/// one, rather than refuse it (systemd.exec(5): SystemCallFilter=~@resources does): where
/// there is a filter, a process tries it that nobody needs.
bool may_ask() {
  if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0) return true;
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    SchedulingAttributes attributes{};
    _exit(get_attributes(attributes) && set_attributes(attributes) ? 0 : 1);
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// @return the slice before; 0 if it could not be changed.
uint64_t set_slice(uint64_t ns) {
  static const bool may = may_ask();
  SchedulingAttributes attributes{};
  if (!may || !get_attributes(attributes) || attributes.runtime_ns == 0) return 0;
  const uint64_t before = attributes.runtime_ns;
  attributes.runtime_ns = ns;
  return set_attributes(attributes) ? before : 0;
}

}  // namespace

void UsualTime::add(uint64_t ns) {
  constexpr int64_t kWeight = 8;
  constexpr uint64_t kMostUs = 4 * kLongUs;
  const int64_t before = us_.load(std::memory_order_relaxed);
  const int64_t change = (static_cast<int64_t>(std::min(ns / 1000, kMostUs)) - before) / kWeight;
  // What does not change is not taken away from other processors' caches.
  if (change != 0) us_.store(before + change, std::memory_order_relaxed);
}

RunSlice::RunSlice(RunTimes& times) : times_(times) {
  if (!times.wall.is_long()) return;
  computing_start_ns_ = now_ns(CLOCK_THREAD_CPUTIME_ID);
  if (times.computing.is_long()) slice_before_ns_ = set_slice(kLongSliceNs);
}

RunSlice::~RunSlice() {
  if (slice_before_ns_ != 0) set_slice(slice_before_ns_);
  if (computing_start_ns_ >= 0) {
    times_.computing.add(
        static_cast<uint64_t>(now_ns(CLOCK_THREAD_CPUTIME_ID) - computing_start_ns_));
  }
}

uint64_t time_slice_ns() {
  SchedulingAttributes attributes{};
  return get_attributes(attributes) ? attributes.runtime_ns : 0;
}

}  // namespace wasmrt
