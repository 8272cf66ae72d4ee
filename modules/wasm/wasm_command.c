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

#include "apr_lib.h"
#include "apr_strings.h"

#include "httpd.h"
#include "http_log.h"

#include "wasm_command.h"
#include "wasm_resources.h"

APLOG_USE_MODULE(wasm);

/* Output of one run where nothing is configured. */
#define WASM_DEFAULT_OUTPUT  APR_INT64_C(1073741824)

static apr_uint64_t limit_or_default(apr_int64_t limit, apr_int64_t otherwise)
{
    return (apr_uint64_t)(limit < 0 ? otherwise : limit);
}

/* What a guest is given, from the beginning of its run on. */
void wasm_command_fill(wasmrt_command_config *config, apr_pool_t *pool,
                       const wasm_dir_conf *conf, const char *path)
{
    int argc = conf->arguments ? conf->arguments->nelts : 0;
    const char **argv = apr_palloc(pool, (argc + 2) * sizeof(*argv));

    argv[0] = apr_filepath_name_get(path);
    if (argc) {
        memcpy(argv + 1, conf->arguments->elts, argc * sizeof(*argv));
    }
    argv[argc + 1] = NULL;

    memset(config, 0, sizeof(*config));
    config->size = sizeof(*config);
    config->arguments = argv;
    if (conf->environment) {
        config->environment = (const wasmrt_variable *)conf->environment->elts;
        config->environment_count = conf->environment->nelts;
    }
    if (conf->directories) {
        config->directories = (const wasmrt_directory *)conf->directories->elts;
        config->directory_count = conf->directories->nelts;
    }
    config->limits.memory_bytes = limit_or_default(conf->memory_bytes, 0);
}

apr_uint32_t wasm_command_wall_ms(const request_rec *r,
                                  const wasm_dir_conf *conf)
{
    apr_int64_t ms = conf->wall_ms;

    if (ms < 0) {
        ms = r->server->timeout / 1000;
        if (ms < 1) {
            ms = 1;
        }
        else if (ms > APR_INT64_C(4294967295)) {
            ms = APR_INT64_C(4294967295);
        }
    }
    return (apr_uint32_t)ms;
}

wasmrt_command *wasm_command_create(request_rec *r, const wasm_dir_conf *conf,
                                    wasmrt_module *module, const char *path)
{
    wasmrt_command_config config;
    wasmrt_command *command = NULL;
    wasmrt_error error;

    wasm_command_fill(&config, r->pool, conf, path);
    config.entry_point = conf->entry_point;
    config.limits.output_bytes = limit_or_default(conf->output_bytes,
                                                  WASM_DEFAULT_OUTPUT);
    config.limits.wall_ms = wasm_command_wall_ms(r, conf);
    config.limits.cpu_ms = (apr_uint32_t)limit_or_default(conf->cpu_ms, 0);
    config.limits.max_descriptors = wasm_resources_descriptors(conf);

    if (wasmrt_command_create(module, &config, &command, &error)
        != WASMRT_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10922)
                      "cannot run module %s as it is configured: %s", path,
                      wasm_config_reason(path, &error));
        return NULL;
    }
    return command;
}
