// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/. The C face of deps/wasmtime/src/lib.rs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/wasmtime_handles.h"

extern "C" {

/// See the Rust side for each; all are called on the calling thread.
struct wizer_callbacks_t {
  void* baton;
  bool (*run)(void* baton, const uint8_t* instrumented, size_t size);
  void (*global)(void* baton, const uint8_t* name, size_t length, uint8_t (*value)[16]);
  void (*memory)(void* baton, const uint8_t* name, size_t length, const uint8_t** bytes,
                 size_t* size);
  void (*done)(void* baton, const uint8_t* module, size_t size);
  void (*failed)(void* baton, const uint8_t* message, size_t length);
};

bool wizer_pre_initialize(const uint8_t* wasm, size_t wasm_size, const uint8_t* init,
                          size_t init_length, const wizer_callbacks_t* callbacks);

/// See the Rust side for these as well.
void pool_reset_written_set(wasmtime_pooling_allocation_config_t* pool);
bool pool_knows_written();
void module_with_state_exported(const uint8_t* wasm, size_t size,
                                void (*done)(void* baton, const uint8_t* module, size_t size),
                                void* baton);
void module_with_checks(const uint8_t* wasm, size_t size,
                        void (*done)(void* baton, const uint8_t* module, size_t size),
                        void (*failed)(void* baton, const uint8_t* message, size_t length),
                        void* baton);
}
