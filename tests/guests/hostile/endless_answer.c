// SPDX-License-Identifier: Apache-2.0
// Begins an answer, then goes on in the way that the query names: "compute",
// "sleep", "write", "flush" after each write, or "read" the request's body for ever.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(void) {
  static char block[65536];
  static const char start[] = "Content-Type: text/plain\n\nbegun\n";
  const char *query = getenv("QUERY_STRING");
  const char *path = getenv("PATH_INFO");
  if (query == NULL) return 1;
  if (path == NULL || strcmp(path, "/silent") != 0) {
    write(1, start, sizeof start - 1);
    fsync(1);
  }
  if (strcmp(query, "compute") == 0) {
    for (volatile unsigned i = 0;; ++i) continue;
  } else if (strcmp(query, "sleep") == 0) {
    const struct timespec hour = {3600, 0};
    for (;;) nanosleep(&hour, NULL);
  } else if (strcmp(query, "write") == 0) {
    for (;;) write(1, block, sizeof block);
  } else if (strcmp(query, "flush") == 0) {
    for (;;) {
      write(1, block, 4096);
      fsync(1);
    }
  } else if (strcmp(query, "read") == 0) {
    while (read(0, block, sizeof block) > 0) continue;
  }
  return 0;
}
