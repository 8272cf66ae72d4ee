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
 * @file  wasm_image.h
 * @brief Compiled images: where they are kept, what makes them.
 */

#ifndef WASM_IMAGE_H
#define WASM_IMAGE_H

#include "mod_wasm.h"

/** Where images of modules that are requested files are, below the cache
 *  directory. It belongs to the user that the children run as, and they trust
 *  nothing else. */
#define WASM_IMAGE_FILES_SUBDIR "files"

/** @return the cache directory, absolute. */
const char *wasm_image_directory(apr_pool_t *pool, const wasm_setup *setup);

/** What the library is to know of the cache and its compiler. */
void wasm_image_cache(wasmrt_cache_config *config, apr_pool_t *pool,
                      const wasm_setup *setup, server_rec *s);

/** Writes a message of the library to the error log of a server_rec. */
void wasm_image_log(void *baton, wasmrt_log_level level, const char *message);

/** @return 1 if the cache has an up-to-date image of the file. */
int wasm_image_is_cached(apr_pool_t *pool, server_rec *s, const char *path);

/**
 * Finds or makes the images of all configured modules, and start images; the
 * pool of the configuration releases them.
 *
 * @return OK, or a status with which the server does not start.
 */
int wasm_image_prepare(wasm_setup *setup, apr_pool_t *pconf, apr_pool_t *ptemp,
                       server_rec *s);

#endif /* WASM_IMAGE_H */
