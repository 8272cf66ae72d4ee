// SPDX-License-Identifier: Apache-2.0
// A module with an entry point besides _start.

#include <stdio.h>

__attribute__((export_name("other_entry"))) void other_entry(void) {
  puts("other_entry was called");
  fflush(stdout);
}

__attribute__((export_name("takes_an_argument"))) int takes_an_argument(int n) { return n; }

int main(void) {
  puts("_start was called");
  return 0;
}
