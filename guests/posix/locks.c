// SPDX-License-Identifier: Apache-2.0
//
// flock() and the locks of fcntl(), through one function of mod_wasm's:
//
//   mod_wasm.fd_lock(fd: i32, kind: i32, start: i64, length: i64, wait: i32) -> i32
//
//   fd      a descriptor of this guest, open on a file
//   kind    0 unlock, 1 shared, 2 exclusive. Plus 4: lock nothing, only tell
//           whether such a lock could be had.
//   start   first byte, from the start of the file
//   length  bytes; 0 is up to the end of the file, however it grows. Negative: the
//           lock of flock(2), which covers the file and knows nothing of the others
//   wait    not 0: until the lock can be had or the run is ended
//   result  an errno of preview 1: 0, again (held by another), badf, inval, nolck
//
// The host's locks belong to the open file description (F_OFD_SETLK, flock(2)), so
// that native programs heed them, and end with the run at the latest.
//
// Built with MOD_WASM_FUNCTIONS=0 the import is left out and every lock is granted,
// for hosts other than mod_wasm.
#include "locks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#undef fcntl

#ifndef MOD_WASM_FUNCTIONS
#define MOD_WASM_FUNCTIONS 1
#endif

enum { kUnlock = 0, kShared = 1, kExclusive = 2, kTest = 4 };
static const long long kWholeFile = -1;

#if MOD_WASM_FUNCTIONS
__attribute__((import_module("mod_wasm"), import_name("fd_lock"))) int host_fd_lock(
    int fd, int kind, long long start, long long length, int wait);
#else
static int host_fd_lock(int fd, int kind, long long start, long long length, int wait) { return 0; }
#endif

static int lock(int fd, int kind, long long start, long long length, int wait) {
  int error = host_fd_lock(fd, kind, start, length, wait);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

int flock(int fd, int operation) {
  int wait = !(operation & LOCK_NB);
  switch (operation & ~LOCK_NB) {
    case LOCK_SH:
      return lock(fd, kShared, 0, kWholeFile, wait);
    case LOCK_EX:
      return lock(fd, kExclusive, 0, kWholeFile, wait);
    case LOCK_UN:
      return lock(fd, kUnlock, 0, kWholeFile, 0);
    default:
      errno = EINVAL;
      return -1;
  }
}

// fcntl's locks belong to the process: two descriptors of one file do not conflict,
// and one can release what the other took. SQLite builds on that. The host's locks
// belong to the open file description, so all of a file's locks go through the one
// descriptor that was first used for a lock, its representative.
struct file {
  dev_t device;
  ino_t inode;
  int representative;  // -1: not known
};
static struct file *files;  // by descriptor
static int file_count;

void locks_forget(int fd) {
  if (fd < 0 || fd >= file_count || files[fd].representative < 0) return;
  if (files[fd].representative != fd) {
    files[fd].representative = -1;
    return;
  }
  for (int i = 0; i < file_count; ++i) {
    if (files[i].representative == fd) files[i].representative = -1;
  }
}

static int representative_of(int fd) {
  if (fd < 0) {
    errno = EBADF;
    return -1;
  }
  if (fd < file_count && files[fd].representative >= 0) return files[fd].representative;
  struct stat status;
  if (fstat(fd, &status) != 0) return -1;
  if (fd >= file_count) {
    int count = fd + 16;
    struct file *grown = realloc(files, count * sizeof *files);
    if (!grown) {
      errno = ENOLCK;
      return -1;
    }
    files = grown;
    for (int i = file_count; i < count; ++i) files[i].representative = -1;
    file_count = count;
  }
  files[fd] = (struct file){status.st_dev, status.st_ino, fd};
  for (int i = 0; i < file_count; ++i) {
    if (i != fd && files[i].representative >= 0 && files[i].device == status.st_dev &&
        files[i].inode == status.st_ino) {
      files[fd].representative = files[i].representative;
      break;
    }
  }
  return files[fd].representative;
}

static int lock_range(int fd, int command, struct flock *range) {
  long long start = range->l_start, length = range->l_len;
  if (range->l_whence == SEEK_CUR) {
    off_t position = lseek(fd, 0, SEEK_CUR);
    if (position < 0) return -1;
    start += position;
  } else if (range->l_whence == SEEK_END) {
    struct stat status;
    if (fstat(fd, &status) != 0) return -1;
    start += status.st_size;
  }
  if (length < 0) {
    start += length;
    length = -length;
  }
  if (start < 0) {
    errno = EINVAL;
    return -1;
  }
  int owner = representative_of(fd);
  if (owner < 0) return -1;
  int kind = range->l_type == F_RDLCK ? kShared : range->l_type == F_WRLCK ? kExclusive : kUnlock;
  if (command != F_GETLK) return lock(owner, kind, start, length, command == F_SETLKW);
  if (kind == kUnlock) {
    errno = EINVAL;
    return -1;
  }
  if (lock(owner, kind | kTest, start, length, 0) == 0) {
    range->l_type = F_UNLCK;
    return 0;
  }
  if (errno != EAGAIN) return -1;
  // Who holds it, and which part exactly, is not told.
  range->l_type = F_WRLCK;
  range->l_whence = SEEK_SET;
  range->l_start = start;
  range->l_len = length;
  range->l_pid = 1;
  return 0;
}

int lockf(int fd, int command, off_t length) {
  struct flock range = {.l_whence = SEEK_CUR, .l_len = length};
  switch (command) {
    case 0:  // F_ULOCK
      range.l_type = F_UNLCK;
      return lock_range(fd, F_SETLK, &range);
    case 1:  // F_LOCK
      range.l_type = F_WRLCK;
      return lock_range(fd, F_SETLKW, &range);
    case 2:  // F_TLOCK
      range.l_type = F_WRLCK;
      return lock_range(fd, F_SETLK, &range);
    default:
      errno = EINVAL;
      return -1;
  }
}

int posix_fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  int result;
  switch (command) {
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
      result = lock_range(fd, command, va_arg(arguments, struct flock *));
      break;
    case F_SETFL:
    case F_SETFD:
      result = fcntl(fd, command, va_arg(arguments, int));
      break;
    case F_DUPFD:
      errno = ENOSYS;
      result = -1;
      break;
    default:
      result = fcntl(fd, command);
  }
  va_end(arguments);
  return result;
}
