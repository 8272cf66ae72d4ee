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

/*
 * mod_wasm: runs WebAssembly programs inside the server, each request in a
 * fresh, sandboxed instance.
 */

#include "httpd.h"
#include "http_config.h"
#include "ap_mmn.h"
#include "mpm_common.h"

#include "mod_status.h"

#include "mod_wasm.h"
#include "wasm_status.h"

static void wasm_register_hooks(apr_pool_t *p)
{
    ap_hook_pre_config(wasm_config_pre, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(wasm_config_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(wasm_child_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(wasm_child_init, NULL, NULL, APR_HOOK_MIDDLE);
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 110)
    ap_hook_child_stopping(wasm_child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
#endif
    ap_hook_handler(wasm_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(wasm_status_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(wasm_status_dump, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ap, status_hook, wasm_status_section, NULL, NULL,
                      APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(wasm) = {
    STANDARD20_MODULE_STUFF,
    wasm_config_create_dir,
    wasm_config_merge_dir,
    NULL,
    NULL,
    wasm_directives,
    wasm_register_hooks
};
