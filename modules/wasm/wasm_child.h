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
 * @file  wasm_child.h
 * @brief What a child process has: the engine, its modules and commands.
 */

#ifndef WASM_CHILD_H
#define WASM_CHILD_H

#include "mod_wasm.h"

/** Hooks: the engine starts with the child. */
void wasm_child_init(apr_pool_t *pchild, server_rec *s);

/** Hook: the child is about to end; unless it does so gracefully, guests are
 *  to end with it. */
void wasm_child_stopping(apr_pool_t *pchild, int graceful);

/** @return 1 from then on. */
int wasm_child_is_stopping(void);

/** @return this process's engine; NULL if it has none, which has been
 *          logged. */
wasmrt_engine *wasm_child_engine(void);

/** @return for messages that concern no request. */
server_rec *wasm_child_server(void);

/** How long a request waits for a free place, or for a requested file that is
 *  being compiled, before it is told to come back later. */
#define WASM_CHILD_WAIT_MS 5000

/** A command, held for one request. */
typedef struct wasm_run {
    const char *path;                /**< of the module, for messages */
    const wasmrt_command *command;
    wasmrt_command *own;             /**< the same, if it is this request's */
    int is_file;                     /**< the requested file is the module */
    apr_interval_time_t longest;     /**< a run takes no longer, its wait for
                                          a free place included */
    int row;                         /**< of its module's counts */
    unsigned int shard;              /**< of the counters that it changes */
    apr_uint32_t *requests;          /**< the one that holds the engine */
} wasm_run;

/**
 * From now until wasm_child_release() the engine stays, also while the process
 * ends.
 *
 * @param run  is made empty.
 */
void wasm_child_hold(request_rec *r, wasm_run *run);

/**
 * Finds or makes the command that a request is to run.
 *
 * @param run  receives it; give it back with wasm_child_release(), whatever
 *             is returned.
 * @return OK, or the HTTP status to answer with; the reason has been logged.
 */
int wasm_child_acquire(request_rec *r, const wasm_dir_conf *conf,
                       wasm_run *run);
void wasm_child_release(wasm_run *run);

#endif /* WASM_CHILD_H */
