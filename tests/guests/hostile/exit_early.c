// SPDX-License-Identifier: Apache-2.0
// Answers and ends before it has read a byte of the request's body.

#include <stdio.h>
#include <stdlib.h>

int main(void) {
  fputs("Content-Type: text/plain\n\nnot interested\n", stdout);
  fflush(stdout);
  _Exit(0);
}
