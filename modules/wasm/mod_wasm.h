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
 * @file  mod_wasm.h
 * @brief What the files of mod_wasm share.
 *
 *   mod_wasm.c        hooks
 *   wasm_config.c     directives, configuration records and their merging
 *   wasm_resources.c  stack, descriptors and address space of a process
 *   wasm_image.c      compiled images, which the parent prepares
 *   wasm_child.c      engine, modules and commands of a child
 *   wasm_command.c    from a merged configuration to a command
 *   wasm_files.c      requested files that are modules
 *   wasm_handler.c    the content handler: one run, and what came of it
 *   wasm_io.c         the guest's standard streams
 *   wasm_cgi.c        CGI: the request's variables, the response's headers
 *   wasm_headers.c    the grammar of a CGI header block
 *   wasm_status.c     counts of all children, and how they are shown
 *   wasm_info.c       wasm-info and -D DUMP_WASM: what is configured
 */

#ifndef MOD_WASM_H
#define MOD_WASM_H

#include "httpd.h"
#include "http_config.h"
#include "apr_tables.h"

#include "wasm_runtime.h"

/** The handler's name, for SetHandler and AddHandler. */
#define WASM_HANDLER_NAME "wasm-handler"

extern module AP_MODULE_DECLARE_DATA wasm_module;

/** A module file that some WasmModule directive names. */
typedef struct wasm_file {
    const char *path;        /**< absolute */
    int index;               /**< in wasm_setup.files */
    int row;                 /**< of its counts; -1: not counted */
    wasmrt_image *image;     /**< from post_config on; NULL if that failed */
} wasm_file;

/** A section with directives of this module, or a server outside sections. */
typedef struct wasm_section {
    const struct wasm_dir_conf *conf;
    const server_rec *server;
    const char *name;        /**< as it is written; NULL: no section */
    const char *config_file; /**< where its WasmModule stands or else its first
                                  directive */
    int config_line;
} wasm_section;

/** A WasmSnapshot directive that asks for a start image. */
typedef struct wasm_start {
    const struct wasm_dir_conf *conf;  /**< of its section */
    const server_rec *server;
    int index;               /**< in wasm_setup.starts */
    const char *config_file; /**< where the directive stands */
    int config_line;
    wasmrt_image *image;     /**< from post_config on; NULL: run without */
} wasm_start;

/** What one reading of the configuration gave for the server as a whole. */
typedef struct wasm_setup {
    apr_pool_t *pool;            /**< pconf */
    apr_array_header_t *files;   /**< of wasm_file pointers */
    apr_array_header_t *sections;  /**< of wasm_section pointers */
    apr_array_header_t *starts;  /**< of wasm_start pointers */
    int last_id;                 /**< of configuration records */
    int max_instances;           /**< -1: not configured */
    int max_descriptors;         /**< the most that any guest is configured to
                                      have, 0: none is; what any may have, from
                                      post_config on */
    apr_int64_t stack_bytes;     /**< -1: not configured; set by post_config */
    const char *cache_dir;       /**< absolute; NULL: not configured */
    const char *compiler;        /**< absolute; NULL: not configured */
    apr_int64_t compiler_ms;     /**< wall time of one compilation; 0: not
                                      configured */
    apr_int64_t compiler_bytes;  /**< address space of one; 0: likewise */
    wasmrt_layout layout;        /**< from post_config on */
} wasm_setup;

/** Per-directory configuration. -1 and NULL mean: not configured. */
typedef struct wasm_dir_conf {
    /** Which records of the configuration files this one was merged from, in
     *  order. Equal lists mean equal configurations. */
    const int *ids;
    int id_count;
    /** Made while a request is served, from a .htaccess file: has no
     *  identity. */
    int transient;
    wasm_section *section;            /**< NULL: no directive so far */

    wasm_file *module;
    wasm_start *start;                /**< NULL: runs begin at the beginning */
    int snapshot;
    apr_int64_t snapshot_ms;          /**< age of a start image; -1: any */
    const char *entry_point;
    int enable_cgi;
    int map_file_names;
    apr_array_header_t *arguments;    /**< of const char *; NULL if none */
    apr_array_header_t *environment;  /**< of wasmrt_variable, names are
                                           unique; NULL if none */
    apr_array_header_t *directories;  /**< of wasmrt_directory, guest paths
                                           are unique; NULL if none */
    apr_int64_t wall_ms;
    apr_int64_t cpu_ms;               /**< 0: no limit */
    apr_int64_t memory_bytes;
    apr_int64_t output_bytes;         /**< 0: no limit */
    apr_int64_t header_bytes;
    int max_descriptors;
} wasm_dir_conf;

/* wasm_config.c */

extern const command_rec wasm_directives[];

void *wasm_config_create_dir(apr_pool_t *pool, char *path);
void *wasm_config_merge_dir(apr_pool_t *pool, void *base, void *over);

/** Hooks: begin a reading of the configuration, and check what was read. */
int wasm_config_pre(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp);
int wasm_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                      server_rec *s);

/** @return what the last reading of the configuration gave. */
wasm_setup *wasm_config_setup(void);

/** @return what the library says about a file, without the file's name. */
const char *wasm_config_reason(const char *path, const wasmrt_error *error);

/**
 * Gives the name under which a guest sees a file of the host.
 *
 * @return that name, by the mapped directory nearest to the file; NULL if no
 *         mapped directory holds it.
 */
const char *wasm_config_guest_path(apr_pool_t *pool, const wasm_dir_conf *conf,
                                   const char *host_path);

/* wasm_handler.c */

int wasm_handler(request_rec *r);

/** Counters that each request changes exist so many times, apart in memory:
 *  processors would spend their time in taking them from each other. */
#define WASM_SHARDS 8

/** Bytes that processors take from each other at once, or more. */
#define WASM_SHARD_ALIGNMENT 128

#endif /* MOD_WASM_H */
