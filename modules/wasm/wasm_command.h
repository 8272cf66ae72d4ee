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
 * @file  wasm_command.h
 * @brief What a guest is given: from a merged configuration to a command.
 */

#ifndef WASM_COMMAND_H
#define WASM_COMMAND_H

#include "mod_wasm.h"

/** What the guest has from the beginning of its run on; argv[0] is by the path
 *  of its module. */
void wasm_command_fill(wasmrt_command_config *config, apr_pool_t *pool,
                       const wasm_dir_conf *conf, const char *path);

/** @return how long a run may take. */
apr_uint32_t wasm_command_wall_ms(const request_rec *r,
                                  const wasm_dir_conf *conf);

/** @return the command of a module for a request's configuration; NULL if that
 *          cannot be, and the reason has been logged. */
wasmrt_command *wasm_command_create(request_rec *r, const wasm_dir_conf *conf,
                                    wasmrt_module *module, const char *path);

#endif /* WASM_COMMAND_H */
