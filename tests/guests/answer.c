// SPDX-License-Identifier: Apache-2.0
// Writes its first argument, with %0a decoded, as its whole response, and reads nothing.

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  for (const char *text = argc > 1 ? argv[1] : ""; *text != '\0'; ++text) {
    if (strncmp(text, "%0a", 3) == 0) {
      putchar('\n');
      text += 2;
    } else {
      putchar(*text);
    }
  }
  return 0;
}
