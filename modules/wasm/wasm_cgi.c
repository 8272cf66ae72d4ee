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

#include "apr_date.h"
#include "apr_lib.h"
#include "apr_strings.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
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

/* Does with a header what ap_scan_script_header_err_core_ex() does. Not by it:
 * that makes two tables for each response, and copies each line and takes it
 * apart, where these have been, which takes longer than many a guest.
 *
 * @return the status, if the header tells it; 0 otherwise. */
static int take_header(request_rec *r, const char *path,
                       const wasm_headers_line *line)
{
    char *name = apr_pstrmemdup(r->pool, line->start, line->length);
    char *value = name + (line->value - line->start);

    name[line->name_length] = '\0';
    if (APLOGrtrace4(r)) {
        ap_log_rerror(APLOG_MARK, APLOG_TRACE4, 0, r, "header from %s: %s: %s",
                      path, name, value);
    }
    if (WASM_HEADERS_IS(line, "content-type")) {
        ap_content_type_tolower(value);
        ap_set_content_type(r, value);
    }
    else if (WASM_HEADERS_IS(line, "status")) {
        r->status_line = value;
        r->status = atoi(value);
        return r->status;
    }
    else if (WASM_HEADERS_IS(line, "location")
             || WASM_HEADERS_IS(line, "content-length")
             || WASM_HEADERS_IS(line, "content-range")
             || WASM_HEADERS_IS(line, "etag")) {
        apr_table_setn(r->headers_out, name, value);
    }
    else if (WASM_HEADERS_IS(line, "last-modified")) {
        apr_time_t time = apr_date_parse_http(value);

        if (time == APR_DATE_BAD) {
            ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, APLOGNO(10958)
                          "module %s sent \"%s\" as Last-Modified, which is "
                          "no date; dropped", path, value);
            return 0;
        }
        ap_update_mtime(r, time);
        ap_set_last_modified(r);
    }
    else if (WASM_HEADERS_IS(line, "set-cookie")) {
        /* The one that clients do not take in one line with others. */
        apr_table_addn(r->err_headers_out, name, value);
    }
    else if (wasm_headers_is_hop_by_hop(line)) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, APLOGNO(10928)
                      "module %s sent the header %s, which is the server's to "
                      "send; dropped", path, name);
    }
    else {
        apr_table_mergen(r->err_headers_out, name, value);
    }
    return 0;
}

/* Most requests have no conditions, and ap_meets_conditions() looks for each. */
static int has_conditions(const request_rec *r)
{
    const apr_array_header_t *headers = apr_table_elts(r->headers_in);
    int i;

    for (i = 0; i < headers->nelts; i++) {
        if (!ap_cstr_casecmpn(APR_ARRAY_IDX(headers, i, apr_table_entry_t).key,
                              "If-", 3)) {
            return 1;
        }
    }
    return 0;
}

int wasm_cgi_headers(request_rec *r, const char *path, const char *block,
                     apr_size_t length, const char **redirect)
{
    wasm_headers_block rest;
    wasm_headers_line line;
    wasm_headers_result result;
    const char *location;
    int told = 0;
    int status;

    *redirect = NULL;
    memset(&rest, 0, sizeof(rest));
    rest.cursor = block;
    rest.end = block + length;
    while ((result = wasm_headers_next(&rest, &line)) == WASM_HEADERS_LINE) {
        told |= take_header(r, path, &line);
    }
    if (result != WASM_HEADERS_DONE) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10929)
                      "module %s sent malformed headers: %s (near \"%s\"); "
                      "the response is not passed on", path,
                      wasm_headers_message(result),
                      apr_pstrmemdup(r->pool, line.start,
                                     line.length < 60 ? line.length : 60));
        return HTTP_BAD_GATEWAY;
    }
    /* A guest that tells a status has looked at the conditions by itself. */
    if (!told && r->method_number == M_GET && has_conditions(r)) {
        status = ap_meets_conditions(r);
        if (status != OK) {
            return status;
        }
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
