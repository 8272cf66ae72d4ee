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
struct pool_settings_t {
  uint32_t instances;
  uint32_t memories;
  uint32_t memories_per_module;
  size_t memory_bytes;
  size_t memory_keep_resident;
  uint32_t tables;
  uint32_t tables_per_module;
  size_t table_elements;
  size_t table_keep_resident;
  uint32_t gc_heaps;
  size_t instance_bytes;
};

void pool_strategy_set(wasm_config_t* config, const pool_settings_t* settings);
bool pool_knows_written();
}
