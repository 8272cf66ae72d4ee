// SPDX-License-Identifier: Apache-2.0
// Writes the first of "bytes" bytes, then waits until the file /gate/open
// exists, then writes the rest.

#include <time.h>
#include <unistd.h>

#include "query.h"

int main(void) {
  static char block[65536];
  memset(block, 'x', sizeof block);
  long left = query_number("bytes", 1) - 1;
  fputs("Content-Type: text/plain\n\n>", stdout);
  fflush(stdout);
  const struct timespec pause = {0, 20 * 1000 * 1000};
  while (access("/gate/open", F_OK) != 0) nanosleep(&pause, NULL);
  for (; left > 0; left -= (long)sizeof block)
    fwrite(block, 1, left < (long)sizeof block ? (size_t)left : sizeof block, stdout);
  return 0;
}
