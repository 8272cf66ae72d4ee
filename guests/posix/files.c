// SPDX-License-Identifier: Apache-2.0
//
// Files: what wasi-libc leaves out, and what preview 1 does not tell.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <wasi/api.h>
#include <wasi/libc-find-relpath.h>
#include <wasi/libc-nocwd.h>

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

// Preview 1 knows no permissions: files and directories are made without a mode, and no status
// tells of one. Functions of mod_wasm's do (runtime/wasi/functions.h); each gives 0 or an errno of
// preview 1, which is wasi-libc's.
#if MOD_WASM_FUNCTIONS

struct host_time {
  int64_t seconds;
  uint32_t nanoseconds, pad;
};
struct host_status {
  uint64_t dev, ino, nlink, size, blocks;
  struct host_time atim, mtim, ctim;
  uint32_t mode, pad;
};
struct host_disk_space {
  uint64_t block_size, blocks, free, available;
};

#define HOST(name) __attribute__((import_module("mod_wasm"), import_name(#name))) int host_##name
HOST(umask)(int mask);
HOST(fd_stat)(int fd, struct host_status *status);
HOST(path_stat)(int fd, int flags, const char *path, size_t length, struct host_status *status);
HOST(path_set_times)(int fd, int flags, const char *path, size_t length, const struct host_time *times, int set);
HOST(path_access)(int fd, const char *path, size_t length, int mode);
HOST(fd_chmod)(int fd, int mode);
HOST(path_chmod)(int fd, const char *path, size_t length, int mode);
HOST(path_disk_space)(int fd, const char *path, size_t length, struct host_disk_space *space);

static int from_host(int error) {
  if (error == 0) return 0;
  errno = error == EILSEQ ? ENOENT : error;  // nothing that can be asked for has such a name
  return -1;
}

// What functions that take a directory and a path need: the descriptor of the directory given to
// the guest in which `path` lies, and the rest of the path. -1 if it lies in none.
static int find_directory(const char *path, char buffer[PATH_MAX], char **relative) {
  const char *prefix;
  *relative = buffer;
  int fd = __wasilibc_find_relpath(path, &prefix, relative, PATH_MAX);
  if (fd < 0) errno = ENOENT;
  return fd;
}

#else
static int host_umask(int mask) { return 0; }
#endif

enum { kPermissions = 0777, kModeBits = 07777, kExecute = 0111 };

static mode_t mask = 022;                // the server's, most likely
static mode_t asked;                     // what umask() was called with
static mode_t directories_loosened;      // what the server's mask takes and `asked` does not
static mode_t files_loosened = kExecute; // the same, and what files are not made with

mode_t umask(mode_t new_mask) {
  mode_t old = mask;
  mask = asked = new_mask & kPermissions;
  directories_loosened = 022 & ~asked;
  files_loosened = (022 | kExecute) & ~asked;
  host_umask(asked);
  return old;
}

int __real_open(const char *path, int flags, ...);

// What a file was not made with can only be given once it is there, and only to a new one.
static int open_loosened(const char *path, int flags, mode_t mode) {
  int fd = __real_open(path, flags | O_EXCL, mode);
  if (fd >= 0) {
    fchmod(fd, mode & ~asked);
  } else if (errno == EEXIST && (flags & O_EXCL) == 0) {
    fd = __real_open(path, flags, mode);
  }
  return fd;
}

int __wrap_open(const char *path, int flags, ...) {
  if ((flags & O_CREAT) == 0) {
    int fd = __real_open(path, flags);
    if (fd < 0 && errno == EILSEQ) errno = ENOENT;  // paths are UTF-8: no other can exist
    return fd;
  }
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  host_umask(asked | (~mode & kPermissions));
  int fd = (mode & files_loosened) != 0 ? open_loosened(path, flags, mode) : __real_open(path, flags, mode);
  host_umask(asked);
  return fd;
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode) {
  host_umask(asked | (~mode & kPermissions));
  int result = __real_mkdir(path, mode);
  host_umask(asked);
  if (result == 0 && (mode & directories_loosened) != 0) chmod(path, mode & ~asked);
  return result;
}

// There are no owners. Programs that look at them are told what a native PHP with files of its
// own user would see.
static int complete(int result, struct stat *status) {
  enum { kBlock = 4096 };
  if (result != 0) return result;
  status->st_blksize = kBlock;
  status->st_uid = getuid();
  status->st_gid = getgid();
  return 0;
}

// wasi-libc's functions that take a path come down to these two, with a directory of preview 1.
int __real___wasilibc_nocwd_fstatat(int fd, const char *path, struct stat *status, int flags);
int __real___wasilibc_nocwd_faccessat(int fd, const char *path, int mode, int flags);
int __real_fstat(int fd, struct stat *status);

#if MOD_WASM_FUNCTIONS

static int take_status(int error, const struct host_status *from, struct stat *status) {
  if (error != 0) return from_host(error);
  *status = (struct stat){
      .st_dev = from->dev,
      .st_ino = from->ino,
      .st_nlink = from->nlink,
      .st_mode = from->mode,
      .st_size = from->size,
      .st_blocks = from->blocks,
      .st_atim = {from->atim.seconds, from->atim.nanoseconds},
      .st_mtim = {from->mtim.seconds, from->mtim.nanoseconds},
      .st_ctim = {from->ctim.seconds, from->ctim.nanoseconds},
  };
  return complete(0, status);
}

int __wrap___wasilibc_nocwd_fstatat(int fd, const char *path, struct stat *status, int flags) {
  struct host_status from;
  int follow = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? 0 : __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW;
  return take_status(host_path_stat(fd, follow, path, strlen(path), &from), &from, status);
}

int __wrap_fstat(int fd, struct stat *status) {
  struct host_status from;
  return take_status(host_fd_stat(fd, &from), &from, status);
}

int __wrap___wasilibc_nocwd_utimensat(int fd, const char *path, const struct timespec times[2], int flags) {
  struct host_time set[2] = {0};
  int what = 0;
  for (int i = 0; i < 2; ++i) {
    // The access time's flags; those of the time of change are behind them.
    int kind = times == NULL || times[i].tv_nsec == UTIME_NOW ? __WASI_FSTFLAGS_ATIM_NOW : __WASI_FSTFLAGS_ATIM;
    if (times != NULL && times[i].tv_nsec == UTIME_OMIT) continue;
    if (kind == __WASI_FSTFLAGS_ATIM) set[i] = (struct host_time){times[i].tv_sec, times[i].tv_nsec};
    what |= kind << 2 * i;
  }
  int follow = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? 0 : __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW;
  return from_host(host_path_set_times(fd, follow, path, strlen(path), set, what));
}

int __wrap_statvfs(const char *path, struct statvfs *status) {
  char buffer[PATH_MAX], *relative;
  int fd = find_directory(path, buffer, &relative);
  if (fd < 0) return -1;
  struct host_disk_space space;
  int error = host_path_disk_space(fd, relative, strlen(relative), &space);
  if (error != 0) return from_host(error);
  *status = (struct statvfs){
      .f_bsize = space.block_size,
      .f_frsize = space.block_size,
      .f_blocks = space.blocks,
      .f_bfree = space.free,
      .f_bavail = space.available,
      .f_namemax = NAME_MAX,
  };
  return 0;
}

int __wrap___wasilibc_nocwd_faccessat(int fd, const char *path, int mode, int flags) {
  return from_host(host_path_access(fd, path, strlen(path), mode));
}

int __wrap_chmod(const char *path, mode_t mode) {
  char buffer[PATH_MAX], *relative;
  int fd = find_directory(path, buffer, &relative);
  return fd < 0 ? -1 : from_host(host_path_chmod(fd, relative, strlen(relative), mode & kModeBits));
}

int __wrap_fchmod(int fd, mode_t mode) { return from_host(host_fd_chmod(fd, mode & kModeBits)); }

#else  // files that belong to user 1000, as they are made mostly, and whose mode nothing changes

static int add_mode(int result, struct stat *status) {
  enum { kCounted = 512 };
  if (complete(result, status) != 0) return -1;
  status->st_blocks = (status->st_size + status->st_blksize - 1) / status->st_blksize *
                      (status->st_blksize / kCounted);
  status->st_mode |= S_ISDIR(status->st_mode) ? 0755 : S_ISLNK(status->st_mode) ? 0777 : 0644;
  return 0;
}

int __wrap___wasilibc_nocwd_fstatat(int fd, const char *path, struct stat *status, int flags) {
  return add_mode(__real___wasilibc_nocwd_fstatat(fd, path, status, flags), status);
}

int __wrap_fstat(int fd, struct stat *status) { return add_mode(__real_fstat(fd, status), status); }

int __real___wasilibc_nocwd_utimensat(int fd, const char *path, const struct timespec times[2], int flags);
int __wrap___wasilibc_nocwd_utimensat(int fd, const char *path, const struct timespec times[2], int flags) {
  return __real___wasilibc_nocwd_utimensat(fd, path, times, flags);
}

int __wrap_statvfs(const char *path, struct statvfs *status) { return unsupported(); }

int __wrap_chmod(const char *path, mode_t mode) {
  struct stat status;
  return stat(path, &status);
}

int __wrap_fchmod(int fd, mode_t mode) {
  struct stat status;
  return fstat(fd, &status);
}

// No file can be executed. Whether a path can be written to is asked by what changes nothing:
// a file is opened, and a directory's times are left as they are.
int __wrap___wasilibc_nocwd_faccessat(int fd, const char *path, int mode, int flags) {
  if (__real___wasilibc_nocwd_faccessat(fd, path, mode, flags) != 0) return -1;
  if ((mode & (X_OK | W_OK)) == 0) return 0;
  struct stat status;
  if (__wrap___wasilibc_nocwd_fstatat(fd, path, &status, 0) != 0) return -1;
  if ((mode & X_OK) != 0 && !S_ISDIR(status.st_mode)) {
    errno = EACCES;
    return -1;
  }
  if ((mode & W_OK) == 0) return 0;
  if (S_ISDIR(status.st_mode)) {
    const struct timespec as_they_are[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    return __wasilibc_nocwd_utimensat(fd, path, as_they_are, 0);
  }
  int opened = __wasilibc_nocwd_openat_nomode(fd, path, O_WRONLY);
  if (opened < 0) return -1;
  close(opened);
  return 0;
}

#endif

// wasi-libc takes the empty name for the working directory.
static int check_name(const char *path) {
  if (*path != 0) return 0;
  errno = ENOENT;
  return -1;
}

int __real_stat(const char *path, struct stat *status);
int __wrap_stat(const char *path, struct stat *status) {
  return check_name(path) != 0 ? -1 : __real_stat(path, status);
}

int __real_lstat(const char *path, struct stat *status);
int __wrap_lstat(const char *path, struct stat *status) {
  return check_name(path) != 0 ? -1 : __real_lstat(path, status);
}

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode) {
  return check_name(path) != 0 ? -1 : __real_access(path, mode);
}

// As for any user but root: files can be given to nobody else. What is left changes nothing but the
// time of the last status change, and only the owner may do it: as chmod() to the mode that is there.
static int check_owner(uid_t user, gid_t group) {
  if ((user == getuid() || user == (uid_t)-1) && (group == getgid() || group == (gid_t)-1)) {
    return 0;
  }
  errno = EPERM;
  return -1;
}

int chown(const char *path, uid_t user, gid_t group) {
  struct stat status;
  if (stat(path, &status) != 0 || check_owner(user, group) != 0) return -1;
  return chmod(path, status.st_mode & kPermissions);
}

int lchown(const char *path, uid_t user, gid_t group) {
  struct stat status;
  return lstat(path, &status) != 0 ? -1 : check_owner(user, group);
}

int fchown(int fd, uid_t user, gid_t group) {
  struct stat status;
  if (fstat(fd, &status) != 0 || check_owner(user, group) != 0) return -1;
  return fchmod(fd, status.st_mode & kPermissions);
}

// The working directory is a name here: it is gone if nothing has it.
static _Bool has_removed_directory;

int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path) {
  int result = __real_rmdir(path);
  if (result == 0) has_removed_directory = 1;
  return result;
}

char *__real_getcwd(char *buffer, size_t size);
char *__wrap_getcwd(char *buffer, size_t size) {
  char *name = __real_getcwd(buffer, size);
  if (name == NULL || !has_removed_directory || access(name, F_OK) == 0) return name;
  if (buffer == NULL) free(name);
  errno = ENOENT;
  return NULL;
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
