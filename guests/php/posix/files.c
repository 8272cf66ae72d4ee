// SPDX-License-Identifier: Apache-2.0
//
// Files: what wasi-libc leaves out, and what preview 1 does not tell.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "locks.h"

static int unsupported(void) {
  errno = ENOSYS;
  return -1;
}

int dup(int fd) {
  if (fd >= 0 && fd <= 2) return fd;
  return unsupported();
}

int dup2(int from, int to) { return from == to ? to : unsupported(); }
int pipe(int *fds) { return unsupported(); }
int mkfifo(const char *path, mode_t mode) { return unsupported(); }
int mknod(const char *path, mode_t mode, dev_t device) { return unsupported(); }
int chroot(const char *path) { return unsupported(); }
int fchdir(int fd) { return unsupported(); }
int getdtablesize(void) { return 1024; }

// wasi-libc takes the lowest eight bits of `whence`.
off_t __real_lseek(int fd, off_t offset, int whence);
off_t __wrap_lseek(int fd, off_t offset, int whence) {
  if (whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END) {
    errno = EINVAL;
    return -1;
  }
  return __real_lseek(fd, offset, whence);
}

// Preview 1 counts a directory among what is no file.
ssize_t __real_read(int fd, void *data, size_t size);
ssize_t __wrap_read(int fd, void *data, size_t size) {
  ssize_t count = __real_read(fd, data, size);
  if (count >= 0 || errno != EBADF) return count;
  struct stat status;
  errno = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ? EISDIR : EBADF;
  return count;
}

// Since dup() of a standard stream is that stream, closing it does nothing.
int __real_close(int fd);
int __wrap_close(int fd) {
  if (fd >= 0 && fd <= 2) return 0;
  locks_forget(fd);
  return __real_close(fd);
}

// Preview 1 makes files and directories without a mode: readable by every user of the
// machine, also those that shall not be, such as sessions. A function of mod_wasm's, as umask(2)
// but without the old mask for a result, takes permissions away:
//
//   mod_wasm.umask(mask: i32) -> i32    0, or an errno of preview 1
#if MOD_WASM_FUNCTIONS
__attribute__((import_module("mod_wasm"), import_name("umask"))) int host_umask(int mask);
#else
static int host_umask(int mask) { return 0; }
#endif

static mode_t mask = 022;  // the server's, most likely
static mode_t asked;       // what umask() was called with

mode_t umask(mode_t new_mask) {
  mode_t old = mask;
  mask = asked = new_mask & 0777;
  host_umask(asked);
  return old;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  if ((flags & O_CREAT) == 0) return __real_open(path, flags);
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  host_umask(asked | (~mode & 0777));
  int fd = __real_open(path, flags, mode);
  host_umask(asked);
  return fd;
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode) {
  host_umask(asked | (~mode & 0777));
  int result = __real_mkdir(path, mode);
  host_umask(asked);
  return result;
}

// Preview 1 gives no owner, no permissions and no size of blocks. Programs that look at
// them are told what a native PHP with files of its own user would see.
static int complete(int result, struct stat *status) {
  enum { kBlock = 4096, kCounted = 512 };
  if (result != 0) return result;
  status->st_blksize = kBlock;
  status->st_blocks = (status->st_size + kBlock - 1) / kBlock * (kBlock / kCounted);
  status->st_uid = getuid();
  status->st_gid = getgid();
  if ((status->st_mode & 07777) == 0) {
    status->st_mode |= S_ISDIR(status->st_mode) ? 0755 : S_ISLNK(status->st_mode) ? 0777 : 0644;
  }
  return 0;
}

int __real_stat(const char *path, struct stat *status);
int __real_lstat(const char *path, struct stat *status);
int __real_fstat(int fd, struct stat *status);
int __real_fstatat(int fd, const char *path, struct stat *status, int flags);

// wasi-libc takes the empty name for the working directory.
static int check_name(const char *path) {
  if (*path != 0) return 0;
  errno = ENOENT;
  return -1;
}

int __wrap_stat(const char *path, struct stat *status) {
  return check_name(path) != 0 ? -1 : complete(__real_stat(path, status), status);
}

int __wrap_lstat(const char *path, struct stat *status) {
  return check_name(path) != 0 ? -1 : complete(__real_lstat(path, status), status);
}

int __wrap_fstat(int fd, struct stat *status) { return complete(__real_fstat(fd, status), status); }

int __wrap_fstatat(int fd, const char *path, struct stat *status, int flags) {
  return complete(__real_fstatat(fd, path, status, flags), status);
}

int __wrap_chmod(const char *path, mode_t mode) {
  struct stat status;
  return stat(path, &status);
}

int __wrap_fchmod(int fd, mode_t mode) {
  struct stat status;
  return fstat(fd, &status);
}

// As for any user but root: files can be given to nobody else.
static int check_owner(uid_t user, gid_t group) {
  if ((user == getuid() || user == (uid_t)-1) && (group == getgid() || group == (gid_t)-1)) {
    return 0;
  }
  errno = EPERM;
  return -1;
}

int chown(const char *path, uid_t user, gid_t group) {
  struct stat status;
  return stat(path, &status) != 0 ? -1 : check_owner(user, group);
}

int lchown(const char *path, uid_t user, gid_t group) {
  struct stat status;
  return lstat(path, &status) != 0 ? -1 : check_owner(user, group);
}

int fchown(int fd, uid_t user, gid_t group) {
  struct stat status;
  return fstat(fd, &status) != 0 ? -1 : check_owner(user, group);
}

// No file can be executed. Whether a path can be written to is asked by what changes nothing:
// a file is opened, and a directory's times are left as they are.
int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode) {
  if (check_name(path) != 0 || __real_access(path, mode) != 0) return -1;
  if ((mode & (X_OK | W_OK)) == 0) return 0;
  struct stat status;
  if (stat(path, &status) != 0) return -1;
  if ((mode & X_OK) != 0 && !S_ISDIR(status.st_mode)) {
    errno = EACCES;
    return -1;
  }
  if ((mode & W_OK) == 0) return 0;
  if (S_ISDIR(status.st_mode)) {
    const struct timespec as_they_are[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    return utimensat(AT_FDCWD, path, as_they_are, 0);
  }
  int fd = open(path, O_WRONLY);
  if (fd < 0) return -1;
  close(fd);
  return 0;
}

// A link to an absolute path could lead anywhere, so none is made. Both names here are
// the guest's: the way from the one to the other is a relative link.
int __real_symlink(const char *target, const char *path);
int __wrap_symlink(const char *target, const char *path) {
  if (target[0] != '/' || path[0] != '/') return __real_symlink(target, path);
  size_t common = 0;  // directories of both, with the slash behind
  size_t i = 0;
  for (; target[i] != 0 && target[i] == path[i]; ++i) {
    if (target[i] == '/') common = i + 1;
  }
  if (target[i] == 0 && path[i] == '/') common = i + 1;
  char relative[PATH_MAX];
  size_t length = 0;
  for (const char *rest = path + common; (rest = strchr(rest, '/')) != NULL; ++rest) {
    if (length + 3 < sizeof relative) memcpy(relative + length, "../", 3);
    length += 3;
  }
  const char *below = common > i ? "" : target + common;
  if (length == 0 && *below == 0) below = ".";
  if (length + strlen(below) >= sizeof relative) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(relative + length, below);
  return __real_symlink(relative, path);
}

enum { kSuffix = 6, kAttempts = 100 };

// Replaces the last six characters of `name`; -1 if they are not XXXXXX.
static int invent_suffix(char *name) {
  static const char kLetters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  unsigned char random[kSuffix];
  if (getentropy(random, sizeof random) != 0) return -1;
  char *suffix = name + strlen(name) - kSuffix;
  for (int i = 0; i < kSuffix; ++i) suffix[i] = kLetters[random[i] % 64];
  return 0;
}

static int check_template(const char *name) {
  size_t length = strlen(name);
  if (length >= kSuffix && memcmp(name + length - kSuffix, "XXXXXX", kSuffix) == 0) return 0;
  errno = EINVAL;
  return -1;
}

int mkstemp(char *name) {
  if (check_template(name) != 0) return -1;
  for (int i = 0; i < kAttempts; ++i) {
    if (invent_suffix(name) != 0) return -1;
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

char *mkdtemp(char *name) {
  if (check_template(name) != 0) return NULL;
  for (int i = 0; i < kAttempts; ++i) {
    if (invent_suffix(name) != 0) return NULL;
    if (mkdir(name, 0700) == 0) return name;
    if (errno != EEXIST) return NULL;
  }
  return NULL;
}

char *mktemp(char *name) {
  if (check_template(name) != 0 || invent_suffix(name) != 0) *name = 0;
  return name;
}

FILE *tmpfile(void) {
  const char *directory = getenv("TMPDIR");
  char name[PATH_MAX];
  int length = snprintf(name, sizeof name, "%s/tmpXXXXXX", directory ? directory : P_tmpdir);
  if (length < 0 || (size_t)length >= sizeof name) {
    errno = ENAMETOOLONG;
    return NULL;
  }
  int fd = mkstemp(name);
  if (fd < 0) return NULL;
  unlink(name);
  return fdopen(fd, "w+");
}
