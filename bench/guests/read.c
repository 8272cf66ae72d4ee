// SPDX-License-Identifier: Apache-2.0
// Reads the request body to its end, 64 KiB at once, and answers with its size.

#include <stdio.h>
#include <unistd.h>

int main(void) {
  static char buffer[65536];
  long long total = 0;
  ssize_t n;
  while ((n = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) total += n;
  if (n < 0) return 1;
  printf("Content-Type: text/plain\n\n%lld\n", total);
  return 0;
}
