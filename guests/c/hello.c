// SPDX-License-Identifier: Apache-2.0
// The smallest CGI program: one header, one line. The load tests run this one.

#include <stdio.h>

int main(void) {
  puts("Content-Type: text/plain\n\nHello from C");
  return 0;
}
