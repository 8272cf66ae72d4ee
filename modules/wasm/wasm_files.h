/* Licensed to the Apache Software Foundation (ASF) under one or more
 * contributor license agreements.  See the NOTICE file distributed with
 * this work for additional information regarding copyright ownership.
 * The ASF licenses this file to You under the Apache License, Version 2.0
 * (the "License"); you may not use this file except in compliance with
 * the License.  You may obtain a copy of the License at
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

/**
 * @file  wasm_files.h
 * @brief Requested files that are modules themselves: compiled when they are
 *        first asked for, and again when they have changed.
 */

#ifndef WASM_FILES_H
#define WASM_FILES_H

#include "wasm_child.h"

/** What a process keeps of them. */
typedef struct wasm_files wasm_files;

/** @return NULL if there are no locks to be had. */
wasm_files *wasm_files_create(apr_pool_t *pool);

/** Gives modules back. */
void wasm_files_clear(wasm_files *files);

/** As wasm_child_acquire(), for a request without a configured module. */
int wasm_files_acquire(wasm_files *files, request_rec *r,
                       const wasm_dir_conf *conf, wasm_run *run);

/**
 * Loads a module from memory, by way of the cache for requested files.
 *
 * @return 1; or 0, and the reason in *error.
 */
int wasm_files_load_bytes(request_rec *r, const void *bytes, apr_size_t length,
                          wasmrt_module **module, wasmrt_error *error);

#endif /* WASM_FILES_H */
