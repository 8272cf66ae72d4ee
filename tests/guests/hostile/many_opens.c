// SPDX-License-Identifier: Apache-2.0
// Opens files until that is refused, a thousand times over, and dies.

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
  int highest = -1;
  for (int i = 0; i < 100000; ++i) {
    const int fd = open("/data/file", O_RDONLY);
    if (fd < 0) break;
    highest = fd;
  }
  fprintf(stderr, "the highest descriptor is %d\n", highest);
  __builtin_trap();
}
