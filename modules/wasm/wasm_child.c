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

#include "apr_atomic.h"
#include "apr_file_io.h"
#include "apr_hash.h"
#include "apr_lib.h"
#include "apr_strings.h"
#include "apr_thread_mutex.h"
#include "apr_thread_rwlock.h"

#include "ap_config_layout.h"
#include "ap_mmn.h"
#include "ap_mpm.h"
#include "http_core.h"
#include "http_log.h"
#include "mpm_common.h"
#include "unixd.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mod_wasm.h"
#include "wasm_status.h"

APLOG_USE_MODULE(wasm);

/* Where the compiler is if it is not beside the module. */
#ifndef WASM_WASMCTL_PATH
#define WASM_WASMCTL_PATH DEFAULT_EXP_BINDIR "/wasmctl"
#endif

/* How long a request waits for a free place, or for a requested file that is
 * being compiled, before it is told to come back later; and how often it looks
 * for the latter. */
#define WASM_BUSY_WAIT_MS 5000
#define WASM_BUSY_LOOK_MS 20

/* Guests with fewer descriptors than this are worth a warning. */
#define WASM_FEW_DESCRIPTORS 64

/* What one child keeps of commands, and of modules that are requested files.
 * Past it things are made anew for each request, which is slower, no more. */
#define WASM_MAX_COMMANDS 4096
#define WASM_MAX_FILES    256

/* Native stack for one guest where nothing is configured, and what the runtime
 * and the server need of a thread's stack besides. */
#define WASM_DEFAULT_STACK   APR_INT64_C(1048576)
#define WASM_STACK_MARGIN    APR_INT64_C(393216)
#define WASM_SMALLEST_STACK  APR_INT64_C(65536)

/* Descriptors of one guest where nothing is configured; how many the server
 * itself may need, besides one for each thread's connection; and how many a
 * guest's descriptor can stand for: a directory that is being read takes
 * two. */
#define WASM_DEFAULT_DESCRIPTORS 256
#define WASM_OWN_DESCRIPTORS     256
#define WASM_EACH_DESCRIPTOR     2

/* Output of one run where nothing is configured. */
#define WASM_DEFAULT_OUTPUT  APR_INT64_C(1073741824)

/* The subdirectory of the cache for modules that are requested files. It
 * belongs to the user the children run as, and they trust nothing else. */
#define WASM_FILES_SUBDIR "files"

/* A module that was requested as a file, as it was when it was loaded. */
typedef struct wasm_file_entry {
    apr_thread_mutex_t *mutex;   /* held while it is being compiled */
    apr_finfo_t info;            /* the file's identity; all zero at first */
    wasmrt_module *module;       /* NULL: see error */
    wasmrt_error error;          /* why this file cannot be run */
} wasm_file_entry;

/* What one child process has. */
typedef struct wasm_child {
    server_rec *server;
    const wasm_setup *setup;
    apr_uint32_t requests;           /* that use anything in here, atomic */
    apr_uint32_t stopping;           /* their guests are to end, atomic */

    apr_thread_mutex_t *engine_mutex;
    int engine_tried;
    wasmrt_engine *engine;           /* NULL: could not be made */

    wasmrt_module **modules;         /* by wasm_file.index; NULL: failed */
    wasmrt_module **started;         /* by wasm_start.index; NULL: none */

    apr_thread_rwlock_t *commands_lock;
    apr_pool_t *commands_pool;       /* used under that lock only */
    apr_hash_t *commands;            /* by configuration, see command_key() */

    apr_thread_mutex_t *files_mutex;
    apr_pool_t *files_pool;          /* used under that mutex only */
    apr_hash_t *files;               /* of wasm_file_entry, by path */
} wasm_child;

static wasm_child *child;

/* ------------------------------------------------------------------------ */
/* The library's messages and configuration                                 */

static void log_message(void *baton, wasmrt_log_level level,
                        const char *message)
{
    static const int levels[] = {
        APLOG_ERR, APLOG_WARNING, APLOG_NOTICE, APLOG_INFO, APLOG_DEBUG,
        APLOG_TRACE1
    };
    server_rec *s = baton;

    ap_log_error(APLOG_MARK, levels[level], 0, s, APLOGNO(10910) "%s", message);
}

const char *wasm_child_cache_dir(apr_pool_t *pool, const wasm_setup *setup)
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

static void fill_cache_config(wasmrt_cache_config *config, apr_pool_t *pool,
                              const wasm_setup *setup, server_rec *s)
{
    memset(config, 0, sizeof(*config));
    config->size = sizeof(*config);
    config->directory = wasm_child_cache_dir(pool, setup);
    config->compiler = compiler_path(pool, setup);
    config->compiler_uid = -1;
    config->compiler_gid = -1;
    config->compiler_memory = (apr_uint64_t)setup->compiler_bytes;
    config->compiler_seconds = (apr_uint32_t)((setup->compiler_ms + 999)
                                              / 1000);
    config->layout = setup->layout;
    config->log = log_message;
    config->log_baton = s;
}

/* @return which directives concern the failure of a compilation, to be put
 *         behind its reason. */
static const char *compiler_advice(wasmrt_status status)
{
    return status == WASMRT_RESOURCES
           ? " (see WasmCompilerTimeout and WasmCompilerMemory)" : "";
}

static apr_uint64_t limit_or_default(apr_int64_t limit, apr_int64_t otherwise)
{
    return (apr_uint64_t)(limit < 0 ? otherwise : limit);
}

/* What a guest is given, from the beginning of its run on. */
static void fill_command_config(wasmrt_command_config *config, apr_pool_t *pool,
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

/* Without a compiler, what is not in the cache is an error. */
int wasm_child_is_cached(apr_pool_t *pool, server_rec *s, const char *path)
{
    wasmrt_cache_config config;
    wasmrt_image *image = NULL;
    int cached;

    fill_cache_config(&config, pool, wasm_config_setup(), s);
    config.compiler = NULL;
    config.log = NULL;
    cached = access(config.directory, X_OK) == 0
             && wasmrt_image_prepare(&config, path, &image, NULL) == WASMRT_OK;
    wasmrt_image_release(image);
    return cached;
}

/* A thread may need a second place while it holds one, for a guest whose
 * output includes another guest's, and HTTP/2 brings threads of its own. */
int wasm_child_max_instances(const wasm_setup *setup)
{
    int threads = 1;

    if (setup->max_instances > 0) {
        return setup->max_instances;
    }
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    if (threads < 1) {
        threads = 1;
    }
    return threads + threads / 2 + 4;
}

/* ------------------------------------------------------------------------ */
/* In the parent                                                            */

/* @return bytes of stack that the threads that serve requests will have. */
static apr_int64_t thread_stack(void)
{
    int threaded = AP_MPMQ_NOT_SUPPORTED;
    struct rlimit limit;
    size_t size = 0;

    ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded);
    if (threaded != AP_MPMQ_NOT_SUPPORTED) {
        pthread_attr_t attr;

        if (ap_thread_stacksize) {
            return (apr_int64_t)ap_thread_stacksize;
        }
        if (pthread_attr_init(&attr) == 0) {
            if (pthread_attr_getstacksize(&attr, &size) != 0) {
                size = 0;
            }
            pthread_attr_destroy(&attr);
        }
        if (size) {
            return (apr_int64_t)size;
        }
    }
    if (getrlimit(RLIMIT_STACK, &limit) == 0
        && limit.rlim_cur != RLIM_INFINITY) {
        return (apr_int64_t)limit.rlim_cur;
    }
    return APR_INT64_MAX;
}

/* A guest is refused on a thread whose stack is too small for it. That none
 * can ever run is better said now. */
static int check_stack(wasm_setup *setup, server_rec *s)
{
    apr_int64_t available = thread_stack();
    apr_int64_t wanted = setup->stack_bytes > 0 ? setup->stack_bytes
                                                : WASM_DEFAULT_STACK;

    if (available >= wanted + WASM_STACK_MARGIN) {
        setup->stack_bytes = wanted;
    }
    else if (setup->stack_bytes < 0
             && available >= WASM_SMALLEST_STACK + WASM_STACK_MARGIN) {
        setup->stack_bytes = available - WASM_STACK_MARGIN;
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, APLOGNO(10911)
                     "threads have %" APR_INT64_T_FMT " bytes of stack, so "
                     "guests may use %" APR_INT64_T_FMT "; raise "
                     "ThreadStackSize to give them the usual %"
                     APR_INT64_T_FMT, available, setup->stack_bytes, wanted);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
                     APLOGNO(10912) "threads have %" APR_INT64_T_FMT " bytes "
                     "of stack, too few for guests with %" APR_INT64_T_FMT
                     "; raise ThreadStackSize (or the stack limit of the "
                     "shell that starts the server) to %" APR_INT64_T_FMT
                     " or lower WasmStackLimit", available, wanted,
                     wanted + WASM_STACK_MARGIN);
        return 0;
    }
    return 1;
}

/* @return how many descriptors a process needs for guests that have
 *         `each` of them. */
static apr_int64_t needed_descriptors(const wasm_setup *setup, int each)
{
    int instances = wasm_child_max_instances(setup);

    return WASM_OWN_DESCRIPTORS
           + (apr_int64_t)instances * (1 + WASM_EACH_DESCRIPTOR * each);
}

/* A server without a free descriptor cannot take connections, so guests get a
 * share each of what a process may have, however many of them run. */
static void check_descriptors(wasm_setup *setup, server_rec *s)
{
    int wanted = setup->max_descriptors > WASM_DEFAULT_DESCRIPTORS
                 ? setup->max_descriptors : WASM_DEFAULT_DESCRIPTORS;
    struct rlimit limit;
    apr_int64_t share;

    setup->max_descriptors = wanted;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0
        || limit.rlim_max == RLIM_INFINITY
        || (apr_int64_t)limit.rlim_max >= needed_descriptors(setup, wanted)) {
        return;
    }
    share = ((apr_int64_t)limit.rlim_max - needed_descriptors(setup, 0))
            / wasm_child_max_instances(setup) / WASM_EACH_DESCRIPTOR;
    setup->max_descriptors = share > 8 ? (int)share : 8;
    /* Few guests need so many; fewer than this is felt. */
    ap_log_error(APLOG_MARK, setup->max_descriptors < WASM_FEW_DESCRIPTORS
                             ? APLOG_WARNING : APLOG_INFO, 0, s, APLOGNO(10954)
                 "a process may have %" APR_INT64_T_FMT " descriptors, so "
                 "each guest may have %d instead of %d; raise the hard limit "
                 "(ulimit -Hn) to %" APR_INT64_T_FMT " or lower "
                 "WasmMaxInstances", (apr_int64_t)limit.rlim_max,
                 setup->max_descriptors, wanted,
                 needed_descriptors(setup, wanted));
}

static void make_cache_directories(apr_pool_t *pool, const char *directory,
                                   server_rec *s)
{
    const char *files = apr_pstrcat(pool, directory, "/" WASM_FILES_SUBDIR,
                                    NULL);
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

    fill_command_config(&command, pool, conf, conf->module->path);
    /* What the sections around this one say is known only when a request is
     * there; what its host says is known now. */
    if (conf->memory_bytes == -1) {
        command.limits.memory_bytes = limit_or_default(host->memory_bytes, 0);
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

int wasm_child_post_config(apr_pool_t *pconf, apr_pool_t *plog,
                           apr_pool_t *ptemp, server_rec *s)
{
    wasm_setup *setup = wasm_config_setup();
    wasmrt_cache_config config;
    int i;

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
    if (!check_stack(setup, s)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }

    check_descriptors(setup, s);

    setup->layout = WASMRT_LAYOUT_RESERVED;
    if (!wasmrt_layout_fits((apr_uint32_t)wasm_child_max_instances(setup))) {
        setup->layout = WASMRT_LAYOUT_COMPACT;
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, APLOGNO(10915)
                     "the address space of a process does not suffice for %d "
                     "instances at once, so guests run with explicit memory "
                     "checks, which is slower; raise the limit on address "
                     "space (ulimit -v) or lower WasmMaxInstances",
                     wasm_child_max_instances(setup));
    }

    fill_cache_config(&config, ptemp, setup, s);
    make_cache_directories(ptemp, config.directory, s);
    if (geteuid() == 0) {
        config.compiler_uid = ap_unixd_config.user_id;
        config.compiler_gid = ap_unixd_config.group_id;
    }
    apr_pool_cleanup_register(pconf, setup, release_images,
                              apr_pool_cleanup_null);
    for (i = 0; i < setup->files->nelts; i++) {
        wasm_file *file = APR_ARRAY_IDX(setup->files, i, wasm_file *);
        wasmrt_error error;
        wasmrt_status status = wasmrt_image_prepare(&config, file->path,
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
    wasm_status_post_config(setup, ptemp, s);
    for (i = 0; i < setup->starts->nelts; i++) {
        wasm_start *start = APR_ARRAY_IDX(setup->starts, i, wasm_start *);

        if (start->conf->snapshot == 1 && start->conf->module->image) {
            prepare_start(start, &config, ptemp, s);
        }
    }
    return OK;
}

/* ------------------------------------------------------------------------ */
/* In a child                                                               */

static void release_module(wasmrt_module **module)
{
    if (*module) {
        wasmrt_module_release(*module);
        *module = NULL;
    }
}

/* Some MPMs end a child from a signal handler, in the middle of a request.
 * What that request uses is then left to the end of the process. */
static apr_status_t child_cleanup(void *data)
{
    wasm_child *self = data;
    apr_hash_index_t *hi;
    void *value;
    int i;

    child = NULL;
    if (apr_atomic_read32(&self->requests) != 0) {
        return APR_SUCCESS;
    }
    for (hi = apr_hash_first(NULL, self->commands); hi;
         hi = apr_hash_next(hi)) {
        apr_hash_this(hi, NULL, NULL, &value);
        wasmrt_command_release(value);
    }
    for (hi = apr_hash_first(NULL, self->files); hi; hi = apr_hash_next(hi)) {
        apr_hash_this(hi, NULL, NULL, &value);
        release_module(&((wasm_file_entry *)value)->module);
    }
    for (i = 0; i < self->setup->files->nelts; i++) {
        release_module(&self->modules[i]);
    }
    for (i = 0; i < self->setup->starts->nelts; i++) {
        release_module(&self->started[i]);
    }
    wasmrt_engine_destroy(self->engine);
    return APR_SUCCESS;
}

static void load_modules(wasm_child *self)
{
    int i;

    for (i = 0; i < self->setup->files->nelts; i++) {
        const wasm_file *file = APR_ARRAY_IDX(self->setup->files, i,
                                              wasm_file *);
        wasmrt_error error;

        if (file->image
            && wasmrt_module_load(self->engine, file->image, &self->modules[i],
                                  &error) != WASMRT_OK) {
            self->modules[i] = NULL;
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, self->server, APLOGNO(10919)
                         "cannot load WasmModule %s: %s", file->path,
                         wasm_config_reason(file->path, &error));
        }
    }
}

static void load_start_images(wasm_child *self)
{
    int i;

    for (i = 0; i < self->setup->starts->nelts; i++) {
        const wasm_start *start = APR_ARRAY_IDX(self->setup->starts, i,
                                                wasm_start *);
        wasmrt_error error;

        if (start->image
            && wasmrt_module_load(self->engine, start->image,
                                  &self->started[i], &error) != WASMRT_OK) {
            self->started[i] = NULL;
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, self->server,
                         APLOGNO(10952) "cannot load the start image of %s, so "
                         "its runs begin at the beginning: %s",
                         start->conf->module->path, error.message);
        }
    }
}

static void start_engine(wasm_child *self)
{
    wasmrt_engine_config config;
    wasmrt_error error;

    memset(&config, 0, sizeof(config));
    config.size = sizeof(config);
    config.layout = self->setup->layout;
    config.max_instances = (apr_uint32_t)wasm_child_max_instances(self->setup);
    config.wait_ms = WASM_BUSY_WAIT_MS;
    config.stack_bytes = (apr_uint64_t)self->setup->stack_bytes;
    config.log = log_message;
    config.log_baton = self->server;
    if (wasmrt_engine_create(&config, &self->engine, &error) == WASMRT_OK) {
        load_modules(self);
        load_start_images(self);
    }
    else {
        self->engine = NULL;
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, self->server, APLOGNO(10920)
                     "cannot start %s, so this process answers 503 for "
                     "WebAssembly: %s", wasmrt_engine_version(),
                     error.message);
    }
    self->engine_tried = 1;
}

/* Where modules are configured, child_init has made the engine; elsewhere the
 * first request does. */
static wasmrt_engine *child_engine(wasm_child *self)
{
    if (!self->setup->files->nelts) {
        apr_thread_mutex_lock(self->engine_mutex);
        if (!self->engine_tried) {
            start_engine(self);
        }
        apr_thread_mutex_unlock(self->engine_mutex);
    }
    return self->engine;
}

/* Where the limit that is in force is lower than what guests may need, it is
 * raised within the limit that the administrator has set. */
static void raise_descriptor_limit(const wasm_setup *setup)
{
    rlim_t needed = (rlim_t)needed_descriptors(setup, setup->max_descriptors);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed) {
        limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void wasm_child_init(apr_pool_t *pchild, server_rec *s)
{
    wasm_child *self = apr_pcalloc(pchild, sizeof(*self));
    apr_status_t rv;

    self->server = s;
    self->setup = wasm_config_setup();
    self->modules = apr_pcalloc(pchild, (self->setup->files->nelts + 1)
                                        * sizeof(*self->modules));
    self->started = apr_pcalloc(pchild, (self->setup->starts->nelts + 1)
                                        * sizeof(*self->started));
    apr_pool_create(&self->commands_pool, pchild);
    apr_pool_tag(self->commands_pool, "wasm_commands");
    self->commands = apr_hash_make(self->commands_pool);
    apr_pool_create(&self->files_pool, pchild);
    apr_pool_tag(self->files_pool, "wasm_files");
    self->files = apr_hash_make(self->files_pool);
    rv = apr_thread_mutex_create(&self->engine_mutex,
                                 APR_THREAD_MUTEX_DEFAULT, pchild);
    if (rv == APR_SUCCESS) {
        rv = apr_thread_rwlock_create(&self->commands_lock, pchild);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_thread_mutex_create(&self->files_mutex,
                                     APR_THREAD_MUTEX_DEFAULT, pchild);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, APLOGNO(10921)
                     "cannot create locks, so this process answers 503 for "
                     "WebAssembly");
        return;
    }
    /* Before the subpools go. */
    apr_pool_pre_cleanup_register(pchild, self, child_cleanup);
    raise_descriptor_limit(self->setup);
    child = self;
    wasm_status_child_init();
    if (self->setup->files->nelts) {
        start_engine(self);
    }
}

void wasm_child_stopping(apr_pool_t *pchild, int graceful)
{
    if (child && !graceful) {
        apr_atomic_set32(&child->stopping, 1);
    }
}

int wasm_child_is_stopping(void)
{
    return child && apr_atomic_read32(&child->stopping);
}

/* ------------------------------------------------------------------------ */
/* Commands                                                                 */

static apr_uint32_t wall_ms(const request_rec *r, const wasm_dir_conf *conf)
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

apr_uint32_t wasm_child_max_descriptors(const wasm_dir_conf *conf)
{
    int wanted = conf->max_descriptors > 0 ? conf->max_descriptors
                                           : WASM_DEFAULT_DESCRIPTORS;

    return (apr_uint32_t)(wanted < child->setup->max_descriptors
                          ? wanted : child->setup->max_descriptors);
}

static wasmrt_command *create_command(request_rec *r, const wasm_dir_conf *conf,
                                      wasmrt_module *module, const char *path)
{
    wasmrt_command_config config;
    wasmrt_command *command = NULL;
    wasmrt_error error;

    fill_command_config(&config, r->pool, conf, path);
    config.entry_point = conf->entry_point;
    config.limits.output_bytes = limit_or_default(conf->output_bytes,
                                                  WASM_DEFAULT_OUTPUT);
    config.limits.wall_ms = wall_ms(r, conf);
    config.limits.cpu_ms = (apr_uint32_t)limit_or_default(conf->cpu_ms, 0);
    config.limits.max_descriptors = wasm_child_max_descriptors(conf);

    if (wasmrt_command_create(module, &config, &command, &error)
        != WASMRT_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10922)
                      "cannot run module %s as it is configured: %s", path,
                      wasm_config_reason(path, &error));
        return NULL;
    }
    return command;
}

/* What a command depends on: the configuration records it was merged from,
 * and the default of the one limit that is not in them. */
static const void *command_key(apr_pool_t *pool, request_rec *r,
                               const wasm_dir_conf *conf, apr_ssize_t *length)
{
    int *key = apr_palloc(pool, (conf->id_count + 1) * sizeof(*key));

    memcpy(key, conf->ids, conf->id_count * sizeof(*key));
    key[conf->id_count] = (int)wall_ms(r, conf);
    *length = (conf->id_count + 1) * sizeof(*key);
    return key;
}

static int acquire_configured(request_rec *r, const wasm_dir_conf *conf,
                              wasm_run *run)
{
    wasmrt_module *module = conf->start ? child->started[conf->start->index]
                                        : NULL;
    apr_ssize_t length;
    const void *key;

    run->path = conf->module->path;
    run->row = conf->module->row;
    if (!module) {
        module = child->modules[conf->module->index];
    }
    if (!module) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10923)
                      "module %s could not be loaded, see the message when "
                      "this process started", run->path);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (conf->transient) {
        run->own = create_command(r, conf, module, run->path);
        run->command = run->own;
        return run->command ? OK : HTTP_INTERNAL_SERVER_ERROR;
    }

    key = command_key(r->pool, r, conf, &length);
    apr_thread_rwlock_rdlock(child->commands_lock);
    run->command = apr_hash_get(child->commands, key, length);
    apr_thread_rwlock_unlock(child->commands_lock);
    if (run->command) {
        return OK;
    }

    apr_thread_rwlock_wrlock(child->commands_lock);
    run->command = apr_hash_get(child->commands, key, length);
    if (!run->command) {
        wasmrt_command *command = create_command(r, conf, module, run->path);

        run->command = command;
        if (command) {
            if (apr_hash_count(child->commands) < WASM_MAX_COMMANDS) {
                key = command_key(child->commands_pool, r, conf, &length);
                apr_hash_set(child->commands, key, length, command);
            }
            else {
                run->own = command;
            }
        }
    }
    apr_thread_rwlock_unlock(child->commands_lock);
    return run->command ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

/* ------------------------------------------------------------------------ */
/* Requested files that are modules                                         */

static int is_same_file(const apr_finfo_t *a, const apr_finfo_t *b)
{
    return a->inode == b->inode && a->device == b->device
           && a->size == b->size && a->mtime == b->mtime
           && a->ctime == b->ctime;
}

/* A file gets here because of its name; that it is meant to be run shows in
 * its first bytes. */
static int is_module(const char *path, apr_pool_t *pool)
{
    static const char magic[] = { '\0', 'a', 's', 'm' };
    char start[sizeof(magic)];
    apr_file_t *file;
    int result;

    if (apr_file_open(&file, path, APR_FOPEN_READ, APR_OS_DEFAULT, pool)
        != APR_SUCCESS) {
        return 0;
    }
    result = apr_file_read_full(file, start, sizeof(start), NULL)
                 == APR_SUCCESS
             && !memcmp(start, magic, sizeof(magic));
    apr_file_close(file);
    return result;
}

/* Loads a module that is not configured, and counts its image in the given
 * row. @return 1, or 0 with *error. */
static int load_path(request_rec *r, const char *path, int row,
                     wasmrt_module **module, wasmrt_error *error)
{
    wasmrt_cache_config config;
    wasmrt_image *image;
    wasmrt_status status;

    *module = NULL;
    fill_cache_config(&config, r->pool, child->setup, child->server);
    config.directory = apr_pstrcat(r->pool, config.directory,
                                   "/" WASM_FILES_SUBDIR, NULL);
    status = wasmrt_image_prepare(&config, path, &image, error);
    wasm_status_image(row, status == WASMRT_OK ? image : NULL);
    if (status == WASMRT_OK) {
        status = wasmrt_module_load(child->engine, image, module, error);
        wasmrt_image_release(image);
    }
    if (status != WASMRT_OK) {
        *module = NULL;
    }
    return status == WASMRT_OK;
}

int wasm_child_load_bytes(request_rec *r, const void *bytes, apr_size_t length,
                          wasmrt_module **module, wasmrt_error *error)
{
    const char *directory;
    apr_file_t *file = NULL;
    apr_status_t rv;
    char *path = NULL;
    int loaded;

    if (!child || !child_engine(child)) {
        apr_cpystrn(error->message, "this process has no engine; the error log "
                    "says why", sizeof(error->message));
        return 0;
    }
    rv = apr_temp_dir_get(&directory, r->pool);
    if (rv == APR_SUCCESS) {
        path = apr_pstrcat(r->pool, directory, "/wasm.XXXXXX", NULL);
        rv = apr_file_mktemp(&file, path, 0, r->pool);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_file_write_full(file, bytes, length, NULL);
    }
    if (rv != APR_SUCCESS) {
        apr_cpystrn(error->message, "cannot write a temporary file",
                    sizeof(error->message));
        loaded = 0;
    }
    else {
        loaded = load_path(r, path, -1, module, error);
    }
    if (file) {
        apr_file_close(file);   /* which removes it */
    }
    return loaded;
}

/* Brings an entry up to date with its file. The caller holds its mutex. */
static void load_file(wasm_file_entry *entry, request_rec *r,
                      const apr_finfo_t *info)
{
    release_module(&entry->module);
    entry->info = *info;
    if (!is_module(r->filename, r->pool)) {
        apr_cpystrn(entry->error.message, "the file cannot be read or is not "
                    "a WebAssembly module", sizeof(entry->error.message));
        return;
    }
    load_path(r, r->filename, WASM_STATUS_FILES, &entry->module,
              &entry->error);
}

static wasm_file_entry *create_file_entry(apr_pool_t *pool)
{
    wasm_file_entry *entry = apr_pcalloc(pool, sizeof(*entry));

    return apr_thread_mutex_create(&entry->mutex, APR_THREAD_MUTEX_DEFAULT,
                                   pool) == APR_SUCCESS ? entry : NULL;
}

/* Waits a bounded time for whoever compiles the file, so that a module which
 * takes the compiler long does not take all threads with it. */
static int lock_file_entry(wasm_file_entry *entry)
{
    apr_time_t end = apr_time_now() + apr_time_from_msec(WASM_BUSY_WAIT_MS);
    apr_status_t rv;

    while (APR_STATUS_IS_EBUSY(rv = apr_thread_mutex_trylock(entry->mutex))
           && apr_time_now() < end) {
        apr_sleep(apr_time_from_msec(WASM_BUSY_LOOK_MS));
    }
    return rv == APR_SUCCESS;
}

static wasm_file_entry *find_file_entry(request_rec *r, int *kept)
{
    wasm_file_entry *entry;

    *kept = 1;
    apr_thread_mutex_lock(child->files_mutex);
    entry = apr_hash_get(child->files, r->filename, APR_HASH_KEY_STRING);
    if (!entry && apr_hash_count(child->files) < WASM_MAX_FILES) {
        entry = create_file_entry(child->files_pool);
        if (entry) {
            apr_hash_set(child->files,
                         apr_pstrdup(child->files_pool, r->filename),
                         APR_HASH_KEY_STRING, entry);
        }
    }
    apr_thread_mutex_unlock(child->files_mutex);
    if (!entry) {
        *kept = 0;
        entry = create_file_entry(r->pool);
    }
    return entry;
}

static int acquire_file(request_rec *r, const wasm_dir_conf *conf,
                        wasm_run *run)
{
    wasm_file_entry *entry;
    apr_finfo_t info;
    int kept;

    run->path = r->filename;
    run->is_file = 1;
    run->row = WASM_STATUS_FILES;
    if (r->finfo.filetype == APR_NOFILE) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10924)
                      "module not found or unable to stat: %s (no WasmModule "
                      "is configured for this request, so the requested file "
                      "is the module)", r->filename);
        return HTTP_NOT_FOUND;
    }
    if (r->finfo.filetype != APR_REG
        || apr_stat(&info, r->filename, APR_FINFO_TYPE | APR_FINFO_MTIME
                                        | APR_FINFO_CTIME | APR_FINFO_SIZE
                                        | APR_FINFO_IDENT, r->pool)
           != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10925)
                      "attempt to run something that is not a file: %s (no "
                      "WasmModule is configured for this request)",
                      r->filename);
        return HTTP_FORBIDDEN;
    }
    entry = find_file_entry(r, &kept);
    if (!entry) {
        return HTTP_SERVICE_UNAVAILABLE;
    }

    if (!lock_file_entry(entry)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, APLOGNO(10956)
                      "cannot run %s yet: it is still being compiled",
                      r->filename);
        apr_table_setn(r->err_headers_out, "Retry-After", "1");
        return HTTP_SERVICE_UNAVAILABLE;
    }
    if (!is_same_file(&entry->info, &info)) {
        load_file(entry, r, &info);
    }
    if (entry->module) {
        run->own = create_command(r, conf, entry->module, run->path);
        run->command = run->own;
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10926)
                      "cannot run %s: %s", r->filename,
                      wasm_config_reason(r->filename, &entry->error));
    }
    if (!kept) {
        release_module(&entry->module);
    }
    apr_thread_mutex_unlock(entry->mutex);
    return run->command ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

/* ------------------------------------------------------------------------ */

int wasm_child_acquire(request_rec *r, const wasm_dir_conf *conf,
                       wasm_run *run)
{
    memset(run, 0, sizeof(*run));
    run->path = conf->module ? conf->module->path : r->filename;
    if (child) {
        apr_atomic_inc32(&child->requests);
        run->requests = &child->requests;
    }
    if (!child || !child_engine(child)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10916)
                      "cannot run module %s: this process has no engine, see "
                      "the message when it started", run->path);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    run->longest = apr_time_from_msec((apr_time_t)wall_ms(r, conf)
                                      + WASM_BUSY_WAIT_MS);
    return conf->module ? acquire_configured(r, conf, run)
                        : acquire_file(r, conf, run);
}

void wasm_child_release(wasm_run *run)
{
    if (run->own) {
        wasmrt_command_release(run->own);
        run->own = NULL;
    }
    run->command = NULL;
    if (run->requests) {
        apr_atomic_dec32(run->requests);
        run->requests = NULL;
    }
}
