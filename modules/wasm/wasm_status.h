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
 * @file  wasm_status.h
 * @brief Counts of all children, shown by the handler wasm-status and in a
 *        section of mod_status.
 */

#ifndef WASM_STATUS_H
#define WASM_STATUS_H

#include "mod_wasm.h"

/** The handler's name. */
#define WASM_STATUS_HANDLER_NAME "wasm-status"

/** Row of the counts for requested files that are modules themselves. */
#define WASM_STATUS_FILES 0

/**
 * Makes the counts, which all children share and which stay over graceful
 * restarts, and finds the row of each configured module.
 */
void wasm_status_post_config(wasm_setup *setup, server_rec *s);

/** Counts where a compiled image came from; NULL: it could not be made. A row
 *  of -1 is not counted. */
void wasm_status_image(int row, const wasmrt_image *image);

/** Claims this process's place among the children. */
void wasm_status_child_init(void);

/**
 * A run begins.
 *
 * @param row    of its module; -1: not counted.
 * @param shard  below WASM_SHARDS, the same when it ends.
 */
void wasm_status_begin(int row, unsigned int shard);

/**
 * A run has ended, or was refused.
 *
 * @param outcome  its name, as in WASM_OUTCOME.
 */
void wasm_status_end(int row, unsigned int shard, const char *outcome,
                     const wasmrt_result *result);

/** Hooks. */
int wasm_status_handler(request_rec *r);
int wasm_status_section(request_rec *r, int flags);

#endif /* WASM_STATUS_H */
