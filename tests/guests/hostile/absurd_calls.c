// SPDX-License-Identifier: Apache-2.0
// Calls the host with arguments that no program has a use for: as many and as
// large as they can be, at the end of memory and behind it. Says how many of
// the answers are not the expected ones.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#define PREOPEN 3   // /data

static int calls, surprises;

static void expect(const char *what, int got, int wanted) {
  ++calls;
  if (got == wanted) return;
  ++surprises;
  fprintf(stderr, "%s: %d instead of %d\n", what, got, wanted);
}

static __wasi_fd_t open_file(const char *path, __wasi_oflags_t flags, int wanted) {
  __wasi_fd_t fd = (__wasi_fd_t)-1;
  expect(path, __wasi_path_open(PREOPEN, 1, path, flags, __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE, 0, 0, &fd),
         wanted);
  return fd;
}

static void many_vectors(__wasi_fd_t file) {
  enum { kBlock = 1 << 20, kVectors = 100000 };
  char *const block = malloc(kBlock);
  __wasi_iovec_t *const vectors = malloc(kVectors * sizeof *vectors);
  __wasi_size_t moved;
  for (int i = 0; i < kVectors; ++i) {
    vectors[i].buf = (uint8_t *)block;
    vectors[i].buf_len = kBlock;
  }
  expect("pread into many", __wasi_fd_pread(file, vectors, kVectors, 0, &moved), 0);
  expect("read into many", __wasi_fd_read(0, vectors, kVectors, &moved), 0);
  expect("write too many", __wasi_fd_write(2, (const void *)vectors, 0x20000000, &moved), __WASI_ERRNO_FAULT);
  vectors[7].buf_len = 0xffffffff;
  expect("pread out of memory", __wasi_fd_pread(file, vectors, kVectors, 0, &moved), __WASI_ERRNO_FAULT);
  vectors[7].buf = (uint8_t *)0xffffffff;
  expect("pwrite out of memory", __wasi_fd_pwrite(file, (const void *)vectors, kVectors, 0, &moved),
         __WASI_ERRNO_FAULT);
  free(vectors);
  free(block);
}

static void many_subscriptions(void) {
  enum { kCount = 1000000 };
  __wasi_subscription_t *const wanted = calloc(kCount, sizeof *wanted);
  __wasi_event_t *const events = calloc(kCount, sizeof *events);
  __wasi_size_t count;
  expect("poll a million", __wasi_poll_oneoff(wanted, events, kCount, &count), __WASI_ERRNO_NOMEM);
  expect("poll 4 billion", __wasi_poll_oneoff(wanted, events, 0xffffffff, &count), __WASI_ERRNO_FAULT);
  free(events);
  free(wanted);
}

static void random_bytes(void) {
  enum { kBytes = 64 << 20 };
  uint8_t *const bytes = malloc(kBytes);
  expect("random", __wasi_random_get(bytes, kBytes), 0);
  expect("random, 4 GiB", __wasi_random_get(bytes, 0xffffffff), __WASI_ERRNO_FAULT);
  free(bytes);
}

static void sizes(__wasi_fd_t file) {
  __wasi_filesize_t position;
  expect("allocate", __wasi_fd_allocate(file, 0, (uint64_t)1 << 62), __WASI_ERRNO_NOTSUP);
  expect("advise", __wasi_fd_advise(file, 0, ~(uint64_t)0, __WASI_ADVICE_WILLNEED), __WASI_ERRNO_INVAL);
  expect("size", __wasi_fd_filestat_set_size(file, ~(uint64_t)0), __WASI_ERRNO_INVAL);
  expect("seek", __wasi_fd_seek(file, (int64_t)1 << 62, 9, &position), __WASI_ERRNO_INVAL);
  // As large as files can be here, without a byte in it.
  for (int bits = 62; bits > 30; --bits) {
    if (__wasi_fd_filestat_set_size(file, (uint64_t)1 << bits) != 0) continue;
    expect("advise", __wasi_fd_advise(file, 0, (uint64_t)1 << bits, __WASI_ADVICE_WILLNEED), 0);
    break;
  }
  expect("size 0", __wasi_fd_filestat_set_size(file, 0), 0);
}

static void links(void) {
  char name[16], target[16];
  expect("link to itself", __wasi_path_symlink("absurd-loop", PREOPEN, "absurd-loop"), 0);
  open_file("absurd-loop", 0, __WASI_ERRNO_LOOP);
  open_file("absurd-loop/absurd-loop/x", __WASI_OFLAGS_CREAT, __WASI_ERRNO_LOOP);
  expect("unlink", __wasi_path_unlink_file(PREOPEN, "absurd-loop"), 0);
  for (int i = 0; i < 60; ++i) {
    snprintf(name, sizeof name, "absurd-%d", i);
    snprintf(target, sizeof target, "absurd-%d", i + 1);
    expect("chain", __wasi_path_symlink(target, PREOPEN, name), 0);
  }
  open_file("absurd-0", __WASI_OFLAGS_CREAT, __WASI_ERRNO_LOOP);
  for (int i = 0; i < 60; ++i) {
    snprintf(name, sizeof name, "absurd-%d", i);
    expect("unlink", __wasi_path_unlink_file(PREOPEN, name), 0);
  }
}

static void entries(void) {
  static uint8_t buffer[4096];
  __wasi_size_t used;
  for (int bit = 1; bit < 64; ++bit) {
    const uint64_t cookie = (uint64_t)-1 >> (64 - bit);
    expect("readdir", __wasi_fd_readdir(PREOPEN, buffer, sizeof buffer, cookie, &used), 0);
  }
  expect("readdir behind", __wasi_fd_readdir(PREOPEN, (uint8_t *)0xfffffff0, 4096, 0, &used), __WASI_ERRNO_FAULT);
}

// Ends with standard output and nothing else.
static void numbers(__wasi_fd_t file) {
  expect("renumber", __wasi_fd_renumber(file, 0xffffffff), __WASI_ERRNO_BADF);
  expect("renumber", __wasi_fd_renumber(PREOPEN, PREOPEN), 0);
  expect("renumber", __wasi_fd_renumber(PREOPEN, 0), 0);
  expect("prestat", __wasi_path_unlink_file(0, "absurd-nothing"), __WASI_ERRNO_NOENT);
  expect("renumber", __wasi_fd_renumber(file, 2), 0);
  expect("renumber", __wasi_fd_renumber(0, PREOPEN), __WASI_ERRNO_BADF);
  expect("close", __wasi_fd_close(2), 0);
  expect("close", __wasi_fd_close(2), __WASI_ERRNO_BADF);
  expect("close", __wasi_fd_close(0), 0);
  open_file("file", 0, __WASI_ERRNO_BADF);
}

int main(void) {
  const __wasi_fd_t file = open_file("absurd-file", __WASI_OFLAGS_CREAT, 0);
  many_vectors(file);
  many_subscriptions();
  random_bytes();
  sizes(file);
  links();
  entries();
  numbers(file);
  printf("Content-Type: text/plain\n\nsurprises: %d, calls: %d\n", surprises, calls);
  return 0;
}
