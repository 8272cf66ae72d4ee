// SPDX-License-Identifier: Apache-2.0
// Reads a directory of very many entries, once through, and counts them.

#include <dirent.h>
#include <stdio.h>

int main(void) {
  long entries = 0;
  DIR *const directory = opendir("/huge");
  if (directory == NULL) return 2;
  while (readdir(directory) != NULL) ++entries;
  printf("Content-Type: text/plain\n\n%ld entries\n", entries);
  return 0;
}
