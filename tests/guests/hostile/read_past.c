// SPDX-License-Identifier: Apache-2.0
// Reads the body to its end, and then a thousand times again, each time into
// an address near the end of memory.

#include <stdio.h>
#include <unistd.h>

int main(void) {
  static char buffer[65536];
  long bytes = 0, past = 0;
  ssize_t got;
  while ((got = read(0, buffer, sizeof buffer)) > 0) bytes += got;
  for (int i = 0; i < 1000; ++i) past += read(0, buffer, sizeof buffer) != 0;
  char *const end = (char *)(__builtin_wasm_memory_size(0) * 65536);
  past += read(0, end - 1, 100) != -1;
  past += read(0, (char *)-1, 100) != -1;
  printf("Content-Type: text/plain\n\n%ld bytes, %ld past the end\n", bytes, past);
  return 0;
}
