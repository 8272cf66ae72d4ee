// SPDX-License-Identifier: Apache-2.0
#include "wasi/context.h"

#include <ctime>

namespace wasmrt::wasi {

int64_t Context::cpu_time_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  const int64_t now = int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  if (cpu_start_ns_ < 0) cpu_start_ns_ = now;
  return now - cpu_start_ns_;
}

}  // namespace wasmrt::wasi
