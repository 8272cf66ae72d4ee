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
#include "apr_hash.h"
#include "apr_strings.h"
#include "apr_thread_mutex.h"

#include "httpd.h"
#include "http_log.h"

#include "wasm_child.h"
#include "wasm_command.h"
#include "wasm_files.h"
#include "wasm_image.h"
#include "wasm_status.h"

APLOG_USE_MODULE(wasm);

/* How often a request looks whether the file it waits for is compiled. */
#define WASM_LOOK_MS 20

/* What one child keeps. Past it a module is loaded anew for each request,
 * which is slower, no more. */
#define WASM_MAX_FILES 256

/* A module that was requested as a file, as it was when it was loaded. */
typedef struct wasm_file_entry {
    apr_thread_mutex_t *mutex;   /* held while it is being compiled */
    apr_finfo_t info;            /* the file's identity; all zero at first */
    wasmrt_module *module;       /* NULL: see error */
    wasmrt_error error;          /* why this file cannot be run */
} wasm_file_entry;

struct wasm_files {
    apr_thread_mutex_t *mutex;
    apr_pool_t *pool;            /* used under that mutex only */
    apr_hash_t *entries;         /* of wasm_file_entry, by path */
};

static void release_module(wasm_file_entry *entry)
{
    wasmrt_module_release(entry->module);
    entry->module = NULL;
}

wasm_files *wasm_files_create(apr_pool_t *pool)
{
    wasm_files *files = apr_palloc(pool, sizeof(*files));

    apr_pool_create(&files->pool, pool);
    apr_pool_tag(files->pool, "wasm_files");
    files->entries = apr_hash_make(files->pool);
    return apr_thread_mutex_create(&files->mutex, APR_THREAD_MUTEX_DEFAULT,
                                   pool) == APR_SUCCESS ? files : NULL;
}

void wasm_files_clear(wasm_files *files)
{
    apr_hash_index_t *hi;

    for (hi = apr_hash_first(NULL, files->entries); hi;
         hi = apr_hash_next(hi)) {
        void *entry;

        apr_hash_this(hi, NULL, NULL, &entry);
        release_module(entry);
    }
}

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
    wasm_image_cache(&config, r->pool, wasm_config_setup(),
                     wasm_child_server());
    config.directory = apr_pstrcat(r->pool, config.directory,
                                   "/" WASM_IMAGE_FILES_SUBDIR, NULL);
    status = wasmrt_image_prepare(&config, path, &image, error);
    wasm_status_image(row, status == WASMRT_OK ? image : NULL);
    if (status == WASMRT_OK) {
        status = wasmrt_module_load(wasm_child_engine(), image, module, error);
        wasmrt_image_release(image);
    }
    if (status != WASMRT_OK) {
        *module = NULL;
    }
    return status == WASMRT_OK;
}

int wasm_files_load_bytes(request_rec *r, const void *bytes, apr_size_t length,
                          wasmrt_module **module, wasmrt_error *error)
{
    const char *directory;
    apr_file_t *file = NULL;
    apr_status_t rv;
    char *path = NULL;
    int loaded;

    if (!wasm_child_engine()) {
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
    release_module(entry);
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
    apr_time_t end = apr_time_now() + apr_time_from_msec(WASM_CHILD_WAIT_MS);
    apr_status_t rv;

    while (APR_STATUS_IS_EBUSY(rv = apr_thread_mutex_trylock(entry->mutex))
           && apr_time_now() < end) {
        apr_sleep(apr_time_from_msec(WASM_LOOK_MS));
    }
    return rv == APR_SUCCESS;
}

static wasm_file_entry *find_file_entry(wasm_files *files, request_rec *r,
                                        int *kept)
{
    wasm_file_entry *entry;

    *kept = 1;
    apr_thread_mutex_lock(files->mutex);
    entry = apr_hash_get(files->entries, r->filename, APR_HASH_KEY_STRING);
    if (!entry && apr_hash_count(files->entries) < WASM_MAX_FILES) {
        entry = create_file_entry(files->pool);
        if (entry) {
            apr_hash_set(files->entries,
                         apr_pstrdup(files->pool, r->filename),
                         APR_HASH_KEY_STRING, entry);
        }
    }
    apr_thread_mutex_unlock(files->mutex);
    if (!entry) {
        *kept = 0;
        entry = create_file_entry(r->pool);
    }
    return entry;
}

int wasm_files_acquire(wasm_files *files, request_rec *r,
                       const wasm_dir_conf *conf, wasm_run *run)
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
    entry = find_file_entry(files, r, &kept);
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
        run->own = wasm_command_create(r, conf, entry->module, run->path);
        run->command = run->own;
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10926)
                      "cannot run %s: %s", r->filename,
                      wasm_config_reason(r->filename, &entry->error));
    }
    if (!kept) {
        release_module(entry);
    }
    apr_thread_mutex_unlock(entry->mutex);
    return run->command ? OK : HTTP_INTERNAL_SERVER_ERROR;
}
