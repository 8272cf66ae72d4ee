/* SPDX-License-Identifier: Apache-2.0 */

/* What a C program sees of the file system: run with the name of a check,
 * with "/rw" to write, "/ro" to read. Ends with status 0, or says which line
 * did not hold. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HOLDS(condition)                                                                   \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      fprintf(stderr, "line %d: %s (errno: %s)\n", __LINE__, #condition, strerror(errno)); \
      exit(1);                                                                             \
    }                                                                                      \
  } while (0)
#define FAILS(call, error)   \
  do {                       \
    errno = 0;               \
    HOLDS((call) == -1);     \
    HOLDS(errno == (error)); \
  } while (0)

static void put(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  HOLDS(fd >= 0);
  HOLDS(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  HOLDS(close(fd) == 0);
}

static const char* get(const char* path) {
  static char text[100];
  int fd = open(path, O_RDONLY);
  HOLDS(fd >= 0);
  ssize_t length = read(fd, text, sizeof(text) - 1);
  HOLDS(length >= 0);
  text[length] = '\0';
  HOLDS(close(fd) == 0);
  return text;
}

static void check_files(void) {
  struct stat a, b;
  char target[20] = "";
  put("/rw/a", "0123456789");
  HOLDS(strcmp(get("/rw/a"), "0123456789") == 0);
  int fd = open("/rw/a", O_RDWR | O_APPEND);
  HOLDS(fd >= 3);
  HOLDS(lseek(fd, 0, SEEK_END) == 10 && lseek(fd, -4, SEEK_CUR) == 6);
  HOLDS(write(fd, "x", 1) == 1);
  HOLDS(fcntl(fd, F_SETFL, 0) == 0);
  HOLDS(pwrite(fd, "y", 1, 0) == 1);
  HOLDS(strcmp(get("/rw/a"), "y123456789x") == 0);
  HOLDS(ftruncate(fd, 3) == 0);
  HOLDS(fsync(fd) == 0 && fdatasync(fd) == 0);
  HOLDS(fstat(fd, &a) == 0 && a.st_size == 3 && S_ISREG(a.st_mode));
  HOLDS(close(fd) == 0);
  FAILS(close(fd), EBADF);
  HOLDS(mkdir("/rw/dir", 0777) == 0);
  FAILS(mkdir("/rw/dir", 0777), EEXIST);
  HOLDS(rename("/rw/a", "/rw/dir/b") == 0);
  HOLDS(link("/rw/dir/b", "/rw/c") == 0);
  HOLDS(stat("/rw/c", &b) == 0 && b.st_ino == a.st_ino && b.st_nlink == 2);
  HOLDS(symlink("dir/b", "/rw/link") == 0);
  HOLDS(readlink("/rw/link", target, sizeof(target)) == 5 && strcmp(target, "dir/b") == 0);
  HOLDS(lstat("/rw/link", &b) == 0 && S_ISLNK(b.st_mode));
  HOLDS(stat("/rw/link", &b) == 0 && S_ISREG(b.st_mode));
  struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000, .tv_nsec = 5}};
  HOLDS(utimensat(AT_FDCWD, "/rw/link", times, 0) == 0);
  HOLDS(stat("/rw/c", &b) == 0 && b.st_atim.tv_sec == 1000 && b.st_mtim.tv_nsec == 5);
  FAILS(rmdir("/rw/dir"), ENOTEMPTY);
  FAILS(unlink("/rw/dir"), EISDIR);
  FAILS(rmdir("/rw/c"), ENOTDIR);
  HOLDS(unlink("/rw/dir/b") == 0 && rmdir("/rw/dir") == 0);
  FAILS(open("/rw/link", O_RDONLY), ENOENT);
  HOLDS(unlink("/rw/link") == 0 && unlink("/rw/c") == 0);
  FAILS(open("/elsewhere", O_RDONLY), ENOTCAPABLE); /* beneath no preopen */
}

static void check_directory(void) {
  char path[40];
  int seen = 0, dots = 0;
  for (int i = 0; i < 500; ++i) {
    snprintf(path, sizeof(path), "/rw/%03d", i);
    put(path, "");
  }
  DIR* dir = opendir("/rw");
  HOLDS(dir != NULL);
  for (struct dirent* entry; (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] == '.') {
      ++dots;
      continue;
    }
    /* Everything is removed while it is listed. */
    ++seen;
    snprintf(path, sizeof(path), "/rw/%s", entry->d_name);
    HOLDS(unlink(path) == 0);
  }
  HOLDS(seen == 500 && dots == 2);
  rewinddir(dir);
  HOLDS(readdir(dir) != NULL && readdir(dir) != NULL && readdir(dir) == NULL);
  HOLDS(closedir(dir) == 0);
}

static void check_escape(void) {
  static const char* const names[] = {"/rw/../secret", "/rw/up/secret",   "/rw/out",
                                      "/rw/out_dir/x", "/rw/absolute",    "/rw/up/ro/file",
                                      "/rw/./..",      "/rw/dir/../../x", "/rw/slash/none/file"};
  for (unsigned i = 0; i < sizeof(names) / sizeof(*names); ++i) {
    struct stat status;
    FAILS(open(names[i], O_RDONLY), EPERM);
    FAILS(open(names[i], O_RDWR | O_CREAT | O_TRUNC, 0666), EPERM);
    FAILS(stat(names[i], &status), EPERM);
    FAILS(utimensat(AT_FDCWD, names[i], NULL, 0), EPERM);
  }
  FAILS(mkdir("/rw/up/made", 0777), EPERM);
  FAILS(unlink("/rw/up/secret"), EPERM);
  FAILS(rename("/rw/up/secret", "/rw/taken"), EPERM);
  FAILS(link("/rw/up/secret", "/rw/taken"), EPERM);
  FAILS(symlink("/etc/passwd", "/rw/taken"), EPERM);
  FAILS(rmdir("/rw/out_dir/"), ENOTDIR);
}

static void check_readonly(void) {
  struct stat status;
  HOLDS(strcmp(get("/ro/file"), "read only") == 0);
  FAILS(open("/ro/file", O_WRONLY), EPERM);
  FAILS(open("/ro/file", O_RDONLY | O_TRUNC), EPERM);
  FAILS(open("/ro/new", O_RDWR | O_CREAT, 0666), EPERM);
  FAILS(mkdir("/ro/new", 0777), EPERM);
  FAILS(unlink("/ro/file"), EPERM);
  FAILS(rename("/ro/file", "/rw/file"), EPERM);
  FAILS(link("/ro/file", "/rw/file"), EPERM);
  FAILS(symlink("file", "/ro/link"), EPERM);
  FAILS(utimensat(AT_FDCWD, "/ro/file", NULL, 0), EPERM);
  int fd = open("/ro/file", O_RDONLY);
  FAILS(ftruncate(fd, 0), EPERM);
  FAILS(futimens(fd, NULL), EPERM);
  FAILS(write(fd, "x", 1), EBADF);
  HOLDS(stat("/ro/file", &status) == 0 && status.st_size == 9);
}

static void check_waiting(void) {
  struct timespec before, after, pause = {.tv_nsec = 20000000};
  HOLDS(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
  HOLDS(nanosleep(&pause, NULL) == 0);
  HOLDS(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
  HOLDS((after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec >= 20000000);
  /* Standard input is at its end, so it can be read. */
  struct pollfd input = {.fd = 0, .events = POLLIN};
  HOLDS(poll(&input, 1, 1000) == 1);
  char byte;
  HOLDS(read(0, &byte, 1) == 0);
  HOLDS(!isatty(0) && !isatty(1));
  FAILS(lseek(1, 0, SEEK_CUR), ESPIPE);
}

static void check_fifo(void) {
  /* Both ends are open, nobody writes: waits until its time is up. */
  char byte;
  int fd = open("/rw/fifo", O_RDWR);
  HOLDS(fd >= 0);
  read(fd, &byte, 1);
}

static void check_limit(void) {
  /* No file may be larger than 64 MiB. */
  int fd = open("/rw/a", O_RDWR | O_CREAT, 0666);
  HOLDS(fd >= 0);
  FAILS(pwrite(fd, "x", 1, 1 << 26), EFBIG);
  FAILS(ftruncate(fd, (1 << 26) + 1), EFBIG);
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } checks[] = {{"files", check_files},     {"directory", check_directory},
                {"escape", check_escape},   {"readonly", check_readonly},
                {"waiting", check_waiting}, {"fifo", check_fifo},
                {"limit", check_limit}};
  for (unsigned i = 0; argc == 2 && i < sizeof(checks) / sizeof(*checks); ++i) {
    if (strcmp(argv[1], checks[i].name) != 0) continue;
    checks[i].run();
    return 0;
  }
  return 2;
}
