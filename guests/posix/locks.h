// SPDX-License-Identifier: Apache-2.0
#ifndef MOD_WASM_LOCKS_H
#define MOD_WASM_LOCKS_H

// To be called before `fd` is closed.
void locks_forget(int fd);

#endif
