// SPDX-License-Identifier: Apache-2.0
//
// Symbolic links to absolute paths. To the host the guest's absolute paths mean nothing, and it makes
// no such links. They are made relative, in a spelling that is as good and tells them from others:
// with .// in front. Who reads one here gets the absolute path.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char kMark[] = ".//";
enum { kMarkLength = sizeof kMark - 1 };

// The directory in which `path` lies, without links as far as it can be found out, and with a
// slash behind it.
static int directory_of(const char *path, char directory[PATH_MAX]) {
  char name[PATH_MAX];
  size_t length = strlen(path);
  while (length > 0 && path[length - 1] == '/') --length;
  while (length > 0 && path[length - 1] != '/') --length;
  if (length >= sizeof name) return -1;
  memcpy(name, length == 0 ? "." : path, length == 0 ? 1 : length);
  name[length == 0 ? 1 : length] = 0;
  // Directories above those that were given to the guest do not exist for it.
  if (realpath(name, directory) == NULL) {
    if (name[0] != '/') return -1;
    strcpy(directory, name);
  }
  length = strlen(directory);
  if (directory[length - 1] == '/') return 0;
  if (length + 1 >= PATH_MAX) return -1;
  strcpy(directory + length, "/");
  return 0;
}

// The mark, and the way from `directory` to `target`.
static int relative_target(const char *directory, const char *target, char relative[PATH_MAX]) {
  size_t common = 0;  // directories of both, with the slash behind
  size_t i = 0;
  for (; target[i] != 0 && target[i] == directory[i]; ++i) {
    if (target[i] == '/') common = i + 1;
  }
  if (target[i] == 0 && directory[i] == '/') common = i + 1;
  strcpy(relative, kMark);
  size_t length = kMarkLength;
  for (const char *rest = directory + common; (rest = strchr(rest, '/')) != NULL; ++rest) {
    if (length + 3 >= PATH_MAX) return -1;
    strcpy(relative + length, "../");
    length += 3;
  }
  const char *below = common > i ? "" : target + common;
  if (length + strlen(below) >= PATH_MAX) return -1;
  strcpy(relative + length, below);
  return 0;
}

// The other way round: the absolute path that a marked link in `directory` leads to.
static int absolute_target(char directory[PATH_MAX], const char *relative) {
  relative += kMarkLength;
  char *end = directory + strlen(directory);  // behind a slash
  for (; strncmp(relative, "../", 3) == 0; relative += 3) {
    if (end - directory > 1) --end;
    while (end - directory > 1 && end[-1] != '/') --end;
  }
  if (end - directory + strlen(relative) >= PATH_MAX) return -1;
  strcpy(end, relative);
  end += strlen(relative);
  if (end - directory > 1 && end[-1] == '/' && *relative == 0) end[-1] = 0;
  return 0;
}

int __real_symlink(const char *target, const char *path);
int __wrap_symlink(const char *target, const char *path) {
  char directory[PATH_MAX], relative[PATH_MAX];
  if (target[0] != '/') return __real_symlink(target, path);
  if (directory_of(path, directory) != 0 || relative_target(directory, target, relative) != 0) {
    errno = ENAMETOOLONG;
    return -1;
  }
  return __real_symlink(relative, path);
}

ssize_t __real_readlink(const char *path, char *buffer, size_t size);
ssize_t __wrap_readlink(const char *path, char *buffer, size_t size) {
  char target[PATH_MAX], directory[PATH_MAX];
  ssize_t length = __real_readlink(path, target, sizeof target - 1);
  if (length < 0) return length;
  target[length] = 0;
  const char *result = target;
  if (strncmp(target, kMark, kMarkLength) == 0 && directory_of(path, directory) == 0 &&
      absolute_target(directory, target) == 0) {
    result = directory;
    length = strlen(directory);
  }
  if ((size_t)length > size) length = size;
  memcpy(buffer, result, length);
  return length;
}

// A link of these that goes into another directory is made anew there.
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) {
  const char *slash = strrchr(from, '/'), *other = strrchr(to, '/');
  size_t length = slash ? slash - from : 0;
  char target[PATH_MAX];
  ssize_t count;
  if (length == (other ? other - to : 0) && memcmp(from, to, length) == 0) return __real_rename(from, to);
  if ((count = __real_readlink(from, target, sizeof target - 1)) < kMarkLength ||
      memcmp(target, kMark, kMarkLength) != 0 || (count = readlink(from, target, sizeof target - 1)) < 0) {
    return __real_rename(from, to);
  }
  target[count] = 0;
  if (symlink(target, to) != 0 && (errno != EEXIST || unlink(to) != 0 || symlink(target, to) != 0)) return -1;
  return unlink(from);
}
