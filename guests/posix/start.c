// SPDX-License-Identifier: Apache-2.0
//
// The two ways into the program. `wizer-initialize` runs main() once to prepare; what
// memory and globals then hold becomes a start image, from which each request gets
// an instance whose `_start` runs main() for that request. Without an image `_start`
// is that of any command.
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>
#include <wasi/libc-environ.h>
#include <wasi/libc.h>

void __wasm_call_ctors(void);
int __main_void(void);
void __wasilibc_reset_preopens(void);

static int run_main(void) {
  // $PWD is the shell's name for the working directory: preview 1 has none to hand over.
  const char *directory = getenv("PWD");
  if (directory) chdir(directory);
  // PHP writes messages of its start here, and the response past it: they must not come
  // in front of its headers. musl would write the first line at once.
  static char output[16384];
  setvbuf(stdout, output, _IOFBF, sizeof output);
  int status = __main_void();
  fflush(NULL);
  return status;
}

static enum { kCommand, kInMaking, kInUse } state;

_Bool start_image_in_making(void) { return state == kInMaking; }
_Bool start_image_in_use(void) { return state == kInUse; }

// Leaves nothing on the stack that was used before: it would be in the image. Not
// inlined, so that its own frame is the lowest.
static __attribute__((noinline)) void clear_stack(void) {
  extern char __stack_low;
  char *here = __builtin_frame_address(0);
  volatile char *low = &__stack_low;
  // The stack is as large as the linker was told; what main() used is a small part,
  // all of it just below.
  while (here > low) *--here = 0;
}

__attribute__((export_name("wizer-initialize"))) void start_image_initialize(void) {
  state = kInMaking;
  __wasm_call_ctors();
  int status = run_main();
  if (status != 0) __wasi_proc_exit(status);
  start_image_check_descriptors();
  state = kInUse;
  clear_stack();
}

__attribute__((export_name("_start"))) void _start(void) {
  if (state == kInUse) {
    // The request's own environment, and the directories that it has.
    __wasilibc_deinitialize_environ();
    __wasilibc_initialize_environ();
    __wasilibc_reset_preopens();
  } else {
    __wasm_call_ctors();
  }
  int status = run_main();
  // The instance is thrown away: nothing to tidy up.
  __wasi_proc_exit(status);
}

void start_image_check_descriptors(void) {
  enum { kFirst = 3, kPast = 1024 };
  for (int fd = kFirst; fd < kPast; ++fd) {
    __wasi_fdstat_t status;
    if (__wasi_fd_fdstat_get(fd, &status) != 0) continue;
    __wasi_prestat_t preopen;
    if (__wasi_fd_prestat_get(fd, &preopen) == 0) continue;
    fprintf(stderr, "start image: descriptor %d is still open\n", fd);
    __wasi_proc_exit(1);
  }
}
