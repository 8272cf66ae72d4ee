// SPDX-License-Identifier: Apache-2.0
// Sends ?bytes=N in writes of block=B bytes, past stdio.

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kMaxBlock = 1 << 20 };

static long long query_number(const char* name, long long otherwise) {
  const char* query = getenv("QUERY_STRING");
  const char* found = query != NULL ? strstr(query, name) : NULL;
  return found != NULL ? atoll(found + strlen(name)) : otherwise;
}

int main(void) {
  static char buffer[kMaxBlock];
  static const char kHeaders[] = "Content-Type: application/octet-stream\n\n";
  const long long block = query_number("block=", 65536);
  if (block < 1 || block > kMaxBlock) return 1;
  memset(buffer, 'w', (size_t)block);
  if (write(STDOUT_FILENO, kHeaders, sizeof kHeaders - 1) < 0) return 1;
  for (long long left = query_number("bytes=", 0); left > 0;) {
    const ssize_t n = write(STDOUT_FILENO, buffer, (size_t)(left < block ? left : block));
    if (n < 0) return 1;
    left -= n;
  }
  return 0;
}
