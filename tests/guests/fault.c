// SPDX-License-Identifier: Apache-2.0
// Fails in the way that the query names. With "late" in the query, headers and
// more body than a host may hold back are sent first.

#include "query.h"

static volatile int zero = 0;

// Overflows the engine's stack: its frames take no linear memory.
__attribute__((noinline)) int deeper(int depth) { return deeper(depth + 1) + zero; }

__attribute__((noinline)) void innermost_function(void) { __builtin_trap(); }

int main(void) {
  const char *query = decoded_query(NULL);
  if (strstr(query, "late") != NULL) {
    fputs("Content-Type: text/plain\n\n", stdout);
    for (int line = 0; line < 10000; ++line) puts("before the fault");
    fflush(stdout);
  }
  if (strstr(query, "unreachable") != NULL) innermost_function();
  if (strstr(query, "divide") != NULL) return 100 / zero;
  if (strstr(query, "overflow") != NULL) return deeper(0);
  if (strstr(query, "bounds") != NULL) *(volatile char *)0xfffffff0u = 1;
  if (strstr(query, "loop") != NULL) {
    for (volatile unsigned i = 0;; ++i) continue;
  }
  if (strstr(query, "memory") != NULL) {
    // Grown and touched without malloc, which would give up politely.
    for (;;) {
      const size_t page = __builtin_wasm_memory_grow(0, 16);
      if (page == (size_t)-1) __builtin_trap();
      memset((void *)(page * 65536), 1, 16 * 65536);
    }
  }
  if (strstr(query, "flood") != NULL) {
    fputs("Content-Type: text/plain\n\n", stdout);
    for (;;) puts("and on and on and on and on and on and on and on");
  }
  fputs("Content-Type: text/plain\n\nno such fault\n", stdout);
  return 0;
}
