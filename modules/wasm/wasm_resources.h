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
 * @file  wasm_resources.h
 * @brief What a server process has to have for its guests: stack, descriptors,
 *        address space.
 */

#ifndef WASM_RESOURCES_H
#define WASM_RESOURCES_H

#include "mod_wasm.h"

/** @return how many instances a process may have at once. */
int wasm_resources_instances(const wasm_setup *setup);

/** @return how instances are laid out in the address space there is. */
wasmrt_layout wasm_resources_layout(const wasm_setup *setup);

/**
 * Fits what the configuration asks for to what processes may have.
 *
 * @return OK, or a status with which the server does not start.
 */
int wasm_resources_check(wasm_setup *setup, server_rec *s);

/** Raises the limits of this process as far as its guests may need. */
void wasm_resources_child_init(const wasm_setup *setup);

/** @return how many descriptors a guest may have open. */
apr_uint32_t wasm_resources_descriptors(const wasm_dir_conf *conf);

#endif /* WASM_RESOURCES_H */
