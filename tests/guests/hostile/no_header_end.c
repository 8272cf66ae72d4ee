// SPDX-License-Identifier: Apache-2.0
// Sends headers, but not the empty line that ends them.

#include <stdio.h>

int main(void) {
  fputs("Content-Type: text/plain\nX-Last: there is no end", stdout);
  return 0;
}
