// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdio>

/// Calls `once` some times unmeasured, then `runs` times, and prints the
/// nanoseconds that one call takes. @return main's exit status.
template <typename Once>
int print_time_of(int runs, Once once) {
  for (int i = 0; i < runs / 10 + 10; ++i) {
    if (!once()) return 1;
  }
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < runs; ++i) {
    if (!once()) return 1;
  }
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
  std::printf("%.0f\n", spent.count() / runs);
  return 0;
}
