// SPDX-License-Identifier: Apache-2.0
// Asks the host for ever: for the time, random bytes, what its descriptors are.

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int main(void) {
  struct timespec now;
  struct stat status;
  char bytes[256];
  for (;;) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    getentropy(bytes, sizeof bytes);
    fstat(1, &status);
  }
}
