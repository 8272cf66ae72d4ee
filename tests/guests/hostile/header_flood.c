// SPDX-License-Identifier: Apache-2.0
// Sends one header after the other, without end.

#include <stdio.h>

int main(void) {
  for (unsigned i = 0;; ++i) printf("X-Header-%u: and on and on and on\n", i);
}
