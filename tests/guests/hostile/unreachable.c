// SPDX-License-Identifier: Apache-2.0
// Executes `unreachable`, in a function whose name holds what must not reach a
// log as it is.

__attribute__((noinline)) void innermost(void) __asm__("innermost\n[core:emerg] \x1b[31mforged");

void innermost(void) { __builtin_trap(); }

int main(void) {
  innermost();
  return 0;
}
