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
 * @file  wasm_cgi.h
 * @brief CGI (RFC 3875): the request as environment variables, and the
 *        response's headers. Behaves as mod_cgi does where it can.
 */

#ifndef WASM_CGI_H
#define WASM_CGI_H

#include "mod_wasm.h"

/**
 * Makes the variables that tell a guest about its request.
 *
 * @param count  receives how many there are.
 * @return the variables; they live as long as the request.
 */
const wasmrt_variable *wasm_cgi_environment(request_rec *r,
                                            const wasm_dir_conf *conf,
                                            apr_size_t *count);

/**
 * Takes over a header block into the response, line by line: if one of them is
 * malformed, those before it are there already, and wasm_io_reset() is to be
 * called.
 *
 * @param path      the module, for messages.
 * @param block     the block with its final empty line.
 * @param redirect  receives the target of a local redirect, if that is what
 *                  the guest wants; NULL otherwise.
 * @return OK: a body follows. Otherwise the status that the response is to
 *         have without a body from the guest; what is wrong with the headers,
 *         if anything, has been logged.
 */
int wasm_cgi_headers(request_rec *r, const char *path, const char *block,
                     apr_size_t length, const char **redirect);

#endif /* WASM_CGI_H */
