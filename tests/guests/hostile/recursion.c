// SPDX-License-Identifier: Apache-2.0
// Calls itself as often as the query says, with frames that take no linear
// memory.

#include <stdio.h>
#include <stdlib.h>

static volatile int one = 1;

__attribute__((noinline)) int deeper(int depth) {
  return depth == 0 ? 0 : deeper(depth - 1) + one;
}

int main(void) {
  const char *query = getenv("QUERY_STRING");
  printf("Content-Type: text/plain\n\n%d calls deep\n", deeper(query == NULL ? 0 : atoi(query)));
  return 0;
}
