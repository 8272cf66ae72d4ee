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
 * @file  wasm_info.h
 * @brief What is configured, and whether it works: the handler wasm-info and
 *        httpd -t -D DUMP_WASM.
 */

#ifndef WASM_INFO_H
#define WASM_INFO_H

#include "mod_wasm.h"

/** The handler's name. */
#define WASM_INFO_HANDLER_NAME "wasm-info"

/** Hooks. */
int wasm_info_handler(request_rec *r);
void wasm_info_dump(apr_pool_t *p, server_rec *s);

#endif /* WASM_INFO_H */
