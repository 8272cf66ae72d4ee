// SPDX-License-Identifier: Apache-2.0
// Writes all bytes there are to standard error, in lines that look like the
// server's own and in one that is longer than any line should be, and ends
// without an answer.

#include <stdio.h>

int main(void) {
  for (int byte = 0; byte < 256; ++byte) fputc(byte, stderr);
  fputs("\r\n[Thu Jan 01 00:00:00 1970] [core:emerg] [pid 1] forged\x1b[2J\n", stderr);
  for (int i = 0; i < 100000; ++i) fputc(0x9b, stderr);
  return 0;
}
