// SPDX-License-Identifier: Apache-2.0
// Dumps arguments and environment, byte for byte, each ended by a NUL.

#include "query.h"

extern char **environ;

int main(int argc, char **argv) {
  fputs("Content-Type: application/octet-stream\n\n", stdout);
  for (int i = 0; i < argc; ++i) {
    fputs("arg ", stdout);
    fwrite(argv[i], 1, strlen(argv[i]) + 1, stdout);
  }
  for (char **entry = environ; *entry != NULL; ++entry) {
    fputs("env ", stdout);
    fwrite(*entry, 1, strlen(*entry) + 1, stdout);
  }
  return 0;
}
