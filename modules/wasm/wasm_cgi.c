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

#include "http_core.h"
#include "http_log.h"
#include "util_script.h"

#include "wasm_cgi.h"
#include "wasm_headers.h"

APLOG_USE_MODULE(wasm);

/* ------------------------------------------------------------------------ */
/* The request's variables                                                  */

/* Variables that hold the name of a file of the server. */
static int is_file_name(const char *name)
{
    return !strcmp(name, "SCRIPT_FILENAME")
           || !strcmp(name, "PATH_TRANSLATED")
           || !strcmp(name, "DOCUMENT_ROOT")
           || !strcmp(name, "CONTEXT_DOCUMENT_ROOT");
}

/* Names are what a shell takes, as in all CGI environments httpd makes. */
static const char *variable_name(apr_pool_t *pool, const char *name)
{
    const char *p;
    char *copy;
    char *q;

    for (p = name; apr_isalnum(*p) || *p == '_'; p++) {
        continue;
    }
    if (*p == '\0' && !apr_isdigit(*name)) {
        return name;
    }
    copy = apr_pstrdup(pool, name);
    if (apr_isdigit(*copy)) {
        *copy = '_';
    }
    for (q = copy; *q; q++) {
        if (!apr_isalnum(*q)) {
            *q = '_';
        }
    }
    return copy;
}

const wasmrt_variable *wasm_cgi_environment(request_rec *r,
                                            const wasm_dir_conf *conf,
                                            apr_size_t *count)
{
    const apr_array_header_t *table;
    wasmrt_variable *variables;
    apr_size_t n = 0;
    int i;

    ap_add_common_vars(r);
    ap_add_cgi_vars(r);

    table = apr_table_elts(r->subprocess_env);
    variables = apr_palloc(r->pool, (table->nelts + 1) * sizeof(*variables));
    for (i = 0; i < table->nelts; i++) {
        const apr_table_entry_t *entry = &APR_ARRAY_IDX(table, i,
                                                        apr_table_entry_t);
        const char *value = entry->val ? entry->val : "";

        if (!entry->key || !*entry->key || !strcmp(entry->key, "HTTP_PROXY")) {
            continue;
        }
        if (conf->map_file_names == 1 && is_file_name(entry->key)) {
            const char *mapped = wasm_config_guest_path(r->pool, conf, value);

            if (mapped) {
                value = mapped;
            }
        }
        variables[n].name = variable_name(r->pool, entry->key);
        variables[n].value = value;
        n++;
    }
    /* php-cgi takes a request only from a server that says this. */
    if (!apr_table_get(r->subprocess_env, "REDIRECT_STATUS")) {
        variables[n].name = "REDIRECT_STATUS";
        variables[n].value = "200";
        n++;
    }
    *count = n;
    return variables;
}

/* ------------------------------------------------------------------------ */
/* The response's headers                                                   */

/* Where in a block ap_scan_script_header_err_core_ex() is. */
typedef struct wasm_cgi_reader {
    const char *cursor;
    const char *end;
} wasm_cgi_reader;

/* Gives it the next line that is the guest's to send. The block has been
 * checked, so each line fits. */
static int next_line(char *buffer, int size, void *readerv)
{
    wasm_cgi_reader *reader = readerv;
    wasm_headers_line line;

    for (;;) {
        if (wasm_headers_next(&reader->cursor, reader->end, &line)
            != WASM_HEADERS_LINE) {
            buffer[0] = '\0';
            return 1;
        }
        if (!wasm_headers_is_hop_by_hop(&line)) {
            break;
        }
    }
    memcpy(buffer, line.start, line.length);
    buffer[line.length] = '\0';
    return 1;
}

static int check_headers(request_rec *r, const char *path, const char *block,
                         apr_size_t length)
{
    const char *cursor = block;
    wasm_headers_line line;
    wasm_headers_result result = wasm_headers_check(block, length, &line);

    if (result != WASM_HEADERS_DONE) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10929)
                      "module %s sent malformed headers: %s (near \"%s\"); "
                      "the response is not passed on", path,
                      wasm_headers_message(result),
                      apr_pstrmemdup(r->pool, line.start,
                                     line.length < 60 ? line.length : 60));
        return HTTP_BAD_GATEWAY;
    }
    if (!APLOGrdebug(r)) {
        return OK;
    }
    while (wasm_headers_next(&cursor, block + length, &line)
           == WASM_HEADERS_LINE) {
        if (wasm_headers_is_hop_by_hop(&line)) {
            ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, APLOGNO(10928)
                          "module %s sent the header %s, which is the "
                          "server's to send; dropped", path,
                          apr_pstrmemdup(r->pool, line.start,
                                         line.name_length));
        }
    }
    return OK;
}

int wasm_cgi_headers(request_rec *r, const char *path, const char *block,
                     apr_size_t length, const char **redirect)
{
    wasm_cgi_reader reader;
    const char *location;
    int status;

    *redirect = NULL;
    status = check_headers(r, path, block, length);
    if (status != OK) {
        return status;
    }

    reader.cursor = block;
    reader.end = block + length;
    status = ap_scan_script_header_err_core_ex(r, NULL, next_line, &reader,
                                               APLOG_MODULE_INDEX);
    if (status == HTTP_INTERNAL_SERVER_ERROR) {
        return HTTP_BAD_GATEWAY;
    }
    if (status != OK) {
        return status;
    }

    location = apr_table_get(r->headers_out, "Location");
    if (location && r->status == HTTP_OK) {
        if (location[0] == '/') {
            *redirect = location;
        }
        return HTTP_MOVED_TEMPORARILY;
    }
    return OK;
}
