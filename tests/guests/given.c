// SPDX-License-Identifier: Apache-2.0
// Tells what it was given, a line each: where it was entered, whether it began from
// a start image and when that was made, arguments, variables, directories with the
// first word of their file "mark" and whether they can be written to, and the
// memory it got, in pages of 64 KiB.

#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

#include "query.h"

extern char **environ;
static long long image_made = 0;

__attribute__((export_name("wizer-initialize"))) void initialize(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  image_made = now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void tell_of_directory(int fd, size_t length) {
  char name[256] = "";
  char mark[64] = "-";
  if (length >= sizeof name || __wasi_fd_prestat_dir_name(fd, (uint8_t *)name, length) != 0) exit(1);
  const int file = openat(fd, "mark", O_RDONLY);
  const ssize_t got = file >= 0 ? read(file, mark, sizeof mark - 1) : 0;
  if (got > 0) mark[got] = '\0';
  const int new_file = openat(fd, "new", O_CREAT | O_WRONLY, 0600);
  printf("directory %s %s %s\n", name, mark, new_file >= 0 ? "rw" : "ro");
}

static int tell(const char *entry, int argc, char **argv) {
  fputs("Content-Type: text/x-given\n\n", stdout);
  printf("entry %s\nimage %lld\n", entry, image_made);
  for (int i = 0; i < argc; ++i) printf("argument %s\n", argv[i]);
  for (char **each = environ; each != NULL && *each != NULL; ++each) printf("variable %s\n", *each);
  __wasi_prestat_t preopen;
  for (int fd = 3; __wasi_fd_prestat_get(fd, &preopen) == 0; ++fd)
    tell_of_directory(fd, preopen.u.dir.pr_name_len);
  if (strstr(decoded_query(NULL), "memory") != NULL) {
    while (__builtin_wasm_memory_grow(0, 1) != (size_t)-1) continue;
    printf("pages %zu\n", (size_t)__builtin_wasm_memory_size(0));
  }
  fflush(stdout);
  return 0;
}

#define ENTRY(name) \
  __attribute__((export_name(#name))) void name(void) { tell(#name, 0, NULL); }
ENTRY(entry_0)
ENTRY(entry_1)
ENTRY(entry_2)
ENTRY(entry_3)
ENTRY(entry_4)
ENTRY(entry_5)
ENTRY(entry_6)

int main(int argc, char **argv) { return tell("_start", argc, argv); }
