// SPDX-License-Identifier: Apache-2.0
#include "wasi/context.h"

#include "support/clock.h"

namespace wasmrt::wasi {

int64_t Context::cpu_time_ns() {
  const int64_t now = now_ns(CLOCK_THREAD_CPUTIME_ID);
  if (cpu_start_ns_ < 0) cpu_start_ns_ = now;
  return now - cpu_start_ns_;
}

}  // namespace wasmrt::wasi
