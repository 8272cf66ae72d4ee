// SPDX-License-Identifier: Apache-2.0
// Does one thing with a file. The query is "read:PATH", "write:PATH" or
// "list:PATH"; answers with what it read, or with the error.

#include <dirent.h>
#include <errno.h>

#include "query.h"

static int fail(const char *verb) {
  printf("%s: %s\n", verb, strerror(errno));
  return 0;
}

int main(void) {
  char *query = decoded_query(NULL);
  fputs("Content-Type: text/plain\n\n", stdout);
  char *path = strchr(query, ':');
  if (path == NULL) return 1;
  *path++ = '\0';
  if (strcmp(query, "read") == 0) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return fail("read");
    for (int c; (c = getc(file)) != EOF;) putchar(c);
  } else if (strcmp(query, "write") == 0) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fputs("written by the guest\n", file) < 0 || fclose(file) != 0)
      return fail("write");
    puts("ok");
  } else if (strcmp(query, "list") == 0) {
    DIR *directory = opendir(path);
    if (directory == NULL) return fail("list");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) puts(entry->d_name);
  }
  return 0;
}
