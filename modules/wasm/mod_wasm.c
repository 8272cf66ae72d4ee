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
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "ap_mmn.h"
#include "mpm_common.h"

#include "mod_status.h"

#include "mod_wasm.h"
#include "wasm_child.h"
#include "wasm_image.h"
#include "wasm_info.h"
#include "wasm_io.h"
#include "wasm_resources.h"
#include "wasm_status.h"

/* All that the children are to share is made before there are any. */
static int wasm_post_config(apr_pool_t *pconf, apr_pool_t *plog,
                            apr_pool_t *ptemp, server_rec *s)
{
    wasm_setup *setup = wasm_config_setup();
    int status;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    if (wasmrt_abi_version() != WASMRT_ABI_VERSION) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
                     APLOGNO(10914) "libwasm_runtime %s has interface version "
                     "%d, this module was built for %d; install the two "
                     "together", wasmrt_version(), wasmrt_abi_version(),
                     WASMRT_ABI_VERSION);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    status = wasm_resources_check(setup, s);
    if (status == OK) {
        status = wasm_image_prepare(setup, pconf, ptemp, s);
    }
    if (status == OK) {
        wasm_status_post_config(setup, s);
    }
    return status;
}

static void wasm_register_hooks(apr_pool_t *p)
{
    ap_hook_pre_config(wasm_config_pre, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(wasm_config_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(wasm_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(wasm_child_init, NULL, NULL, APR_HOOK_MIDDLE);
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 110)
    ap_hook_child_stopping(wasm_child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
#endif
    ap_hook_pre_connection(wasm_io_pre_connection, NULL, NULL,
                           APR_HOOK_MIDDLE);
    wasm_io_register();
    ap_hook_handler(wasm_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(wasm_status_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(wasm_info_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(wasm_info_dump, NULL, NULL, APR_HOOK_MIDDLE);
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
