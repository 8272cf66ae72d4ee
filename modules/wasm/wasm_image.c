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

#include "apr_file_io.h"
#include "apr_strings.h"

#include "httpd.h"
#include "ap_config_layout.h"
#include "ap_mmn.h"
#include "http_core.h"
#include "http_log.h"
#include "unixd.h"

#include <dlfcn.h>
#include <unistd.h>

#include "wasm_command.h"
#include "wasm_image.h"
#include "wasm_resources.h"

APLOG_USE_MODULE(wasm);

/* Where the compiler is if it is not beside the module. */
#ifndef WASM_WASMCTL_PATH
#define WASM_WASMCTL_PATH DEFAULT_EXP_BINDIR "/wasmctl"
#endif

void wasm_image_log(void *baton, wasmrt_log_level level, const char *message)
{
    static const int levels[] = {
        APLOG_ERR, APLOG_WARNING, APLOG_NOTICE, APLOG_INFO, APLOG_DEBUG,
        APLOG_DEBUG
    };
    server_rec *s = baton;

    ap_log_error(APLOG_MARK, levels[level], 0, s, APLOGNO(10910) "%s", message);
}

const char *wasm_image_directory(apr_pool_t *pool, const wasm_setup *setup)
{
    if (setup->cache_dir) {
        return setup->cache_dir;
    }
#if defined(WASM_CACHE_DIR)
    return ap_server_root_relative(pool, WASM_CACHE_DIR);
#elif AP_MODULE_MAGIC_AT_LEAST(20180906, 2)
    return ap_state_dir_relative(pool, "wasm-cache");
#else
    return ap_runtime_dir_relative(pool, "wasm-cache");
#endif
}

/* A program beside the file that holds a symbol of ours, or NULL. */
static const char *program_beside(apr_pool_t *pool, void *symbol,
                                  const char *name)
{
    Dl_info info;
    const char *slash;
    const char *path;

    if (!dladdr(symbol, &info) || !info.dli_fname
        || info.dli_fname[0] != '/') {
        return NULL;
    }
    slash = ap_strrchr_c(info.dli_fname, '/');
    path = apr_pstrcat(pool, apr_pstrmemdup(pool, info.dli_fname,
                                            slash + 1 - info.dli_fname),
                       name, NULL);
    return access(path, X_OK) == 0 ? path : NULL;
}

/* The compiler that was configured; or the one that was built or installed
 * together with this module. */
static const char *compiler_path(apr_pool_t *pool, const wasm_setup *setup)
{
    const char *path = setup->compiler;

    if (!path) {
        path = program_beside(pool, &wasm_module, "wasmctl");
    }
    if (!path) {
        path = program_beside(pool, (void *)wasmrt_version, "wasmctl");
    }
    return path ? path : WASM_WASMCTL_PATH;
}

void wasm_image_cache(wasmrt_cache_config *config, apr_pool_t *pool,
                      const wasm_setup *setup, server_rec *s)
{
    memset(config, 0, sizeof(*config));
    config->size = sizeof(*config);
    config->directory = wasm_image_directory(pool, setup);
    config->compiler = compiler_path(pool, setup);
    config->compiler_uid = -1;
    config->compiler_gid = -1;
    config->compiler_memory = (apr_uint64_t)setup->compiler_bytes;
    config->compiler_seconds = (apr_uint32_t)((setup->compiler_ms + 999)
                                              / 1000);
    config->layout = setup->layout;
    config->log = wasm_image_log;
    config->log_baton = s;
}

/* @return which directives concern the failure of a compilation, to be put
 *         behind its reason. */
static const char *compiler_advice(wasmrt_status status)
{
    return status == WASMRT_RESOURCES
           ? " (see WasmCompilerTimeout and WasmCompilerMemory)" : "";
}

/* Without a compiler, what is not in the cache is an error. The layout is that
 * of a server which starts. */
int wasm_image_is_cached(apr_pool_t *pool, server_rec *s, const char *path)
{
    const wasm_setup *setup = wasm_config_setup();
    wasmrt_cache_config config;
    wasmrt_image *image = NULL;
    int cached;

    wasm_image_cache(&config, pool, setup, s);
    config.layout = wasm_resources_layout(setup);
    config.compiler = NULL;
    config.log = NULL;
    cached = access(config.directory, X_OK) == 0
             && wasmrt_image_prepare(&config, path, &image, NULL) == WASMRT_OK;
    wasmrt_image_release(image);
    return cached;
}

static void make_cache_directories(apr_pool_t *pool, const char *directory,
                                   server_rec *s)
{
    const char *files = apr_pstrcat(pool, directory,
                                    "/" WASM_IMAGE_FILES_SUBDIR, NULL);
    apr_status_t rv;

    rv = apr_dir_make_recursive(directory,
                                APR_FPROT_UREAD | APR_FPROT_UWRITE
                                | APR_FPROT_UEXECUTE | APR_FPROT_GREAD
                                | APR_FPROT_GEXECUTE | APR_FPROT_WREAD
                                | APR_FPROT_WEXECUTE, pool);
    if (rv == APR_SUCCESS) {
        rv = apr_dir_make(files, APR_FPROT_UREAD | APR_FPROT_UWRITE
                                 | APR_FPROT_UEXECUTE, pool);
        if (APR_STATUS_IS_EEXIST(rv)) {
            rv = APR_SUCCESS;
        }
        if (rv == APR_SUCCESS && geteuid() == 0
            && lchown(files, ap_unixd_config.user_id,
                      ap_unixd_config.group_id) != 0) {
            rv = errno;
        }
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s, APLOGNO(10913)
                     "cannot set up the cache directory %s, so modules may be "
                     "compiled more often than needed; make it writable for "
                     "the user that starts the server, or name another with "
                     "WasmCacheDir", directory);
    }
}

static apr_status_t release_images(void *data)
{
    wasm_setup *setup = data;
    int i;

    for (i = 0; i < setup->files->nelts; i++) {
        wasm_file *file = APR_ARRAY_IDX(setup->files, i, wasm_file *);

        wasmrt_image_release(file->image);
        file->image = NULL;
    }
    for (i = 0; i < setup->starts->nelts; i++) {
        wasm_start *start = APR_ARRAY_IDX(setup->starts, i, wasm_start *);

        wasmrt_image_release(start->image);
        start->image = NULL;
    }
    return APR_SUCCESS;
}

/* A route whose start image cannot be made runs without: slower, no more. */
static void prepare_start(wasm_start *start, const wasmrt_cache_config *cache,
                          apr_pool_t *pool, server_rec *s)
{
    const wasm_dir_conf *conf = start->conf;
    const wasm_dir_conf *host = ap_get_module_config(
                                    start->server->lookup_defaults,
                                    &wasm_module);
    apr_int64_t refresh_ms = conf->snapshot_ms != -1 ? conf->snapshot_ms
                                                     : host->snapshot_ms;
    apr_int64_t seconds = (refresh_ms + 999) / 1000;
    wasmrt_command_config command;
    wasmrt_error error;

    wasm_command_fill(&command, pool, conf, conf->module->path);
    /* What the sections around this one say is known only when a request is
     * there; what its host says is known now. */
    if (conf->memory_bytes == -1 && host->memory_bytes != -1) {
        command.limits.memory_bytes = (apr_uint64_t)host->memory_bytes;
    }
    if (wasmrt_start_image_prepare(cache, conf->module->path, &command,
                                   (apr_uint32_t)(seconds > 0 ? seconds : 0),
                                   &start->image, &error) != WASMRT_OK) {
        start->image = NULL;
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, APLOGNO(10951)
                     "WasmSnapshot on line %d of %s: module %s has no start "
                     "image, so its runs begin at the beginning: %s",
                     start->config_line, start->config_file,
                     conf->module->path,
                     wasm_config_reason(conf->module->path, &error));
    }
}

static int prepare_modules(const wasm_setup *setup,
                           const wasmrt_cache_config *cache, server_rec *s)
{
    int i;

    for (i = 0; i < setup->files->nelts; i++) {
        wasm_file *file = APR_ARRAY_IDX(setup->files, i, wasm_file *);
        wasmrt_error error;
        wasmrt_status status = wasmrt_image_prepare(cache, file->path,
                                                    &file->image, &error);

        if (status == WASMRT_OK) {
            continue;
        }
        file->image = NULL;
        /* A server that starts must not come up without a module. One that
         * is being restarted serves other routes, so it stays up. */
        if (ap_state_query(AP_SQ_CONFIG_GEN) <= 1) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
                         APLOGNO(10917) "WasmModule %s: %s%s", file->path,
                         wasm_config_reason(file->path, &error),
                         compiler_advice(status));
            return HTTP_INTERNAL_SERVER_ERROR;
        }
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, APLOGNO(10918)
                     "WasmModule %s: %s%s; its routes answer 500 until the "
                     "next restart", file->path,
                     wasm_config_reason(file->path, &error),
                     compiler_advice(status));
    }
    return OK;
}

int wasm_image_prepare(wasm_setup *setup, apr_pool_t *pconf, apr_pool_t *ptemp,
                       server_rec *s)
{
    wasmrt_cache_config config;
    int i;

    wasm_image_cache(&config, ptemp, setup, s);
    make_cache_directories(ptemp, config.directory, s);
    if (geteuid() == 0) {
        config.compiler_uid = ap_unixd_config.user_id;
        config.compiler_gid = ap_unixd_config.group_id;
    }
    apr_pool_cleanup_register(pconf, setup, release_images,
                              apr_pool_cleanup_null);
    i = prepare_modules(setup, &config, s);
    if (i != OK) {
        return i;
    }
    for (i = 0; i < setup->starts->nelts; i++) {
        wasm_start *start = APR_ARRAY_IDX(setup->starts, i, wasm_start *);

        if (start->conf->snapshot == 1 && start->conf->module->image) {
            prepare_start(start, &config, ptemp, s);
        }
    }
    return OK;
}
