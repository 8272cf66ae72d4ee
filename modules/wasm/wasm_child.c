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
#include "apr_hash.h"
#include "apr_thread_mutex.h"
#include "apr_thread_rwlock.h"

#include "httpd.h"
#include "http_log.h"

#ifdef __linux__
#include <sched.h>
#endif

#include "wasm_child.h"
#include "wasm_command.h"
#include "wasm_files.h"
#include "wasm_image.h"
#include "wasm_resources.h"
#include "wasm_status.h"

APLOG_USE_MODULE(wasm);

/* What one child keeps of commands. Past it they are made anew for each
 * request, which is slower, no more. */
#define WASM_MAX_COMMANDS 4096

/* Never changed, and there until the process ends. */
typedef struct wasm_known_command {
    const int *key;                  /* see command_key() */
    apr_ssize_t length;              /* of it, in bytes */
    wasmrt_command *command;
} wasm_known_command;

/* How many commands are found without a lock; a power of two. */
#define WASM_RECENT_COMMANDS 4

typedef struct wasm_shard {
    apr_uint32_t requests;           /* that use anything in here, atomic */
    /* wasm_known_command, atomic; or NULL. By the last of their ids, which is
     * that of the innermost section. */
    volatile void *recent[WASM_RECENT_COMMANDS];
    char apart[WASM_SHARD_ALIGNMENT
               - (1 + WASM_RECENT_COMMANDS) * sizeof(void *)];
} wasm_shard;

/* What one child process has. */
typedef struct wasm_child {
    server_rec *server;
    const wasm_setup *setup;
    wasm_shard *shards;              /* WASM_SHARDS */
    apr_uint32_t stopping;           /* their guests are to end, atomic */

    apr_thread_mutex_t *engine_mutex;
    int engine_tried;
    wasmrt_engine *engine;           /* NULL: could not be made */

    wasmrt_module **modules;         /* by wasm_file.index; NULL: failed */
    wasmrt_module **started;         /* by wasm_start.index; NULL: none */

    apr_thread_rwlock_t *commands_lock;
    apr_pool_t *commands_pool;       /* used under that lock only */
    apr_hash_t *commands;            /* wasm_known_command, by their keys */

    wasm_files *files;
} wasm_child;

static wasm_child *child;

/* Some MPMs end a child from a signal handler, in the middle of a request.
 * What that request uses is then left to the end of the process. */
static apr_status_t child_cleanup(void *data)
{
    wasm_child *self = data;
    apr_hash_index_t *hi;
    void *value;
    int i;

    child = NULL;
    for (i = 0; i < WASM_SHARDS; i++) {
        if (apr_atomic_read32(&self->shards[i].requests) != 0) {
            return APR_SUCCESS;
        }
    }
    for (hi = apr_hash_first(NULL, self->commands); hi;
         hi = apr_hash_next(hi)) {
        apr_hash_this(hi, NULL, NULL, &value);
        wasmrt_command_release(((wasm_known_command *)value)->command);
    }
    wasm_files_clear(self->files);
    for (i = 0; i < self->setup->files->nelts; i++) {
        wasmrt_module_release(self->modules[i]);
    }
    for (i = 0; i < self->setup->starts->nelts; i++) {
        wasmrt_module_release(self->started[i]);
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
    config.max_instances = (apr_uint32_t)wasm_resources_instances(self->setup);
    config.wait_ms = WASM_CHILD_WAIT_MS;
    config.stack_bytes = (apr_uint64_t)self->setup->stack_bytes;
    config.log = wasm_image_log;
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

/* Where modules are configured, wasm_child_init() has made the engine;
 * elsewhere the first request does. */
wasmrt_engine *wasm_child_engine(void)
{
    if (child && !child->setup->files->nelts) {
        apr_thread_mutex_lock(child->engine_mutex);
        if (!child->engine_tried) {
            start_engine(child);
        }
        apr_thread_mutex_unlock(child->engine_mutex);
    }
    return child ? child->engine : NULL;
}

server_rec *wasm_child_server(void)
{
    return child->server;
}

void wasm_child_init(apr_pool_t *pchild, server_rec *s)
{
    wasm_child *self = apr_pcalloc(pchild, sizeof(*self));
    apr_status_t rv;

    self->server = s;
    self->setup = wasm_config_setup();
    self->shards = apr_pcalloc(pchild, WASM_SHARDS * sizeof(*self->shards));
    self->modules = apr_pcalloc(pchild, (self->setup->files->nelts + 1)
                                        * sizeof(*self->modules));
    self->started = apr_pcalloc(pchild, (self->setup->starts->nelts + 1)
                                        * sizeof(*self->started));
    apr_pool_create(&self->commands_pool, pchild);
    apr_pool_tag(self->commands_pool, "wasm_commands");
    self->commands = apr_hash_make(self->commands_pool);
    self->files = wasm_files_create(pchild);
    rv = apr_thread_mutex_create(&self->engine_mutex,
                                 APR_THREAD_MUTEX_DEFAULT, pchild);
    if (rv == APR_SUCCESS) {
        rv = apr_thread_rwlock_create(&self->commands_lock, pchild);
    }
    if (rv == APR_SUCCESS && !self->files) {
        rv = APR_ENOMEM;
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, APLOGNO(10921)
                     "cannot create locks, so this process answers 503 for "
                     "WebAssembly");
        return;
    }
    /* Before the subpools go. */
    apr_pool_pre_cleanup_register(pchild, self, child_cleanup);
    wasm_resources_child_init(self->setup);
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

/* What a command depends on: the configuration records it was merged from,
 * and the one limit that may come from elsewhere. */
static const int *command_key(apr_pool_t *pool, const wasm_dir_conf *conf,
                              apr_uint32_t wall_ms, apr_ssize_t *length)
{
    int *key = apr_palloc(pool, (conf->id_count + 1) * sizeof(*key));

    memcpy(key, conf->ids, conf->id_count * sizeof(*key));
    key[conf->id_count] = (int)wall_ms;
    *length = (conf->id_count + 1) * sizeof(*key);
    return key;
}

/* Compares without making the key: mostly the command is the one of a request
 * before, and nobody needs it. */
static int has_key(const wasm_known_command *known, const wasm_dir_conf *conf,
                   apr_uint32_t wall_ms)
{
    return known->length
               == (apr_ssize_t)((conf->id_count + 1) * sizeof(*known->key))
           && known->key[conf->id_count] == (int)wall_ms
           && !memcmp(known->key, conf->ids,
                      conf->id_count * sizeof(*known->key));
}

/* ThreadSanitizer has to be told what APR's atomics order: APR is not
 * instrumented. */
#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define TSAN_ACQUIRE(address) __tsan_acquire((void *)(address))
#define TSAN_RELEASE(address) __tsan_release((void *)(address))
#else
#define TSAN_ACQUIRE(address)
#define TSAN_RELEASE(address)
#endif

/* @return NULL if there is none. */
static const wasmrt_command *find_command(request_rec *r,
                                          const wasm_dir_conf *conf,
                                          apr_uint32_t wall_ms,
                                          unsigned int shard)
{
    volatile void **recent = &child->shards[shard].recent[
                                 conf->ids[conf->id_count - 1]
                                 & (WASM_RECENT_COMMANDS - 1)];
    const wasm_known_command *known = apr_atomic_casptr(recent, NULL, NULL);

    TSAN_ACQUIRE(recent);
    if (!known || !has_key(known, conf, wall_ms)) {
        apr_ssize_t length;
        const int *key = command_key(r->pool, conf, wall_ms, &length);
        wasm_known_command *found;

        apr_thread_rwlock_rdlock(child->commands_lock);
        found = apr_hash_get(child->commands, key, length);
        apr_thread_rwlock_unlock(child->commands_lock);
        if (!found) {
            return NULL;
        }
        TSAN_RELEASE(recent);
        apr_atomic_xchgptr(recent, found);
        known = found;
    }
    return known->command;
}

/* @return NULL, which has been logged, if it cannot be made. */
static const wasmrt_command *add_command(request_rec *r,
                                         const wasm_dir_conf *conf,
                                         wasmrt_module *module,
                                         apr_uint32_t wall_ms, wasm_run *run)
{
    const wasmrt_command *command;
    wasm_known_command *known;
    apr_ssize_t length;
    const int *key = command_key(r->pool, conf, wall_ms, &length);

    apr_thread_rwlock_wrlock(child->commands_lock);
    known = apr_hash_get(child->commands, key, length);
    if (known) {
        command = known->command;
    }
    else {
        run->own = wasm_command_create(r, conf, module, run->path);
        command = run->own;
        if (run->own && apr_hash_count(child->commands) < WASM_MAX_COMMANDS) {
            known = apr_palloc(child->commands_pool, sizeof(*known));
            known->key = command_key(child->commands_pool, conf, wall_ms,
                                     &known->length);
            known->command = run->own;
            apr_hash_set(child->commands, known->key, known->length, known);
            run->own = NULL;
        }
    }
    apr_thread_rwlock_unlock(child->commands_lock);
    return command;
}

static int acquire_configured(request_rec *r, const wasm_dir_conf *conf,
                              apr_uint32_t wall_ms, wasm_run *run)
{
    wasmrt_module *module = conf->start ? child->started[conf->start->index]
                                        : NULL;

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
        run->own = wasm_command_create(r, conf, module, run->path);
        run->command = run->own;
        return run->command ? OK : HTTP_INTERNAL_SERVER_ERROR;
    }

    run->command = find_command(r, conf, wall_ms, run->shard);
    if (!run->command) {
        run->command = add_command(r, conf, module, wall_ms, run);
    }
    return run->command ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

/* ------------------------------------------------------------------------ */

/* By processor, which then finds in its own cache what it has changed last;
 * where that is not known, by connection. */
static unsigned int shard_of(const request_rec *r)
{
#ifdef __linux__
    int processor = sched_getcpu();

    if (processor >= 0) {
        return (unsigned int)processor % WASM_SHARDS;
    }
#endif
    return (unsigned int)r->connection->id % WASM_SHARDS;
}

void wasm_child_hold(request_rec *r, wasm_run *run)
{
    memset(run, 0, sizeof(*run));
    run->shard = shard_of(r);
    if (child) {
        run->requests = &child->shards[run->shard].requests;
        apr_atomic_inc32(run->requests);
    }
}

int wasm_child_acquire(request_rec *r, const wasm_dir_conf *conf,
                       wasm_run *run)
{
    apr_uint32_t wall_ms = wasm_command_wall_ms(r, conf);

    wasm_child_hold(r, run);
    run->path = conf->module ? conf->module->path : r->filename;
    if (!wasm_child_engine()) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10916)
                      "cannot run module %s: this process has no engine, see "
                      "the message when it started", run->path);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    run->longest = apr_time_from_msec((apr_time_t)wall_ms
                                      + WASM_CHILD_WAIT_MS);
    return conf->module ? acquire_configured(r, conf, wall_ms, run)
                        : wasm_files_acquire(child->files, r, conf, run);
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
