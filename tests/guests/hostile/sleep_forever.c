// SPDX-License-Identifier: Apache-2.0
// Sleeps, in one host call, for longer than anyone lives.

#include <time.h>

int main(void) {
  const struct timespec century = {100LL * 365 * 24 * 3600, 0};
  for (;;) nanosleep(&century, NULL);
}
