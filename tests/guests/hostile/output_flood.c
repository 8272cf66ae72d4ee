// SPDX-License-Identifier: Apache-2.0
// Answers without end.

#include <string.h>
#include <unistd.h>

int main(void) {
  static char block[65536];
  static const char headers[] = "Content-Type: text/plain\n\n";
  memset(block, 'x', sizeof block);
  write(1, headers, sizeof headers - 1);
  for (;;) write(1, block, sizeof block);
}
