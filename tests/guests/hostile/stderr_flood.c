// SPDX-License-Identifier: Apache-2.0
// Complains without end.

#include <stdio.h>

int main(void) {
  for (unsigned i = 0;; ++i) fprintf(stderr, "complaint %u\n", i);
}
