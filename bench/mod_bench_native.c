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
 * mod_bench_native: what mod_wasm is measured against. Native content
 * handlers that do exactly what the benchmark's guests do.
 *
 *   bench-hello  answers what guests/c/hello.c answers
 *   bench-write  sends ?bytes=N in buffers of block=B, as bench/guests/write.c
 *   bench-read   reads the request body and counts it, as bench/guests/read.c
 */

#include "apr_lib.h"
#include "apr_strings.h"

#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"
#include "util_filter.h"

/* Most of a body that is got at once; mod_wasm asks for as much. */
#define READ_BYTES 65536

static int hello(request_rec *r)
{
    ap_set_content_type(r, "text/plain");
    ap_rputs("Hello from C\n", r);
    return OK;
}

/* @return the number behind `name` in the query, or `otherwise`. */
static apr_int64_t query_number(request_rec *r, const char *name,
                                apr_int64_t otherwise)
{
    const char *found = r->args ? strstr(r->args, name) : NULL;

    return found ? apr_atoi64(found + strlen(name)) : otherwise;
}

static int write_bytes(request_rec *r)
{
    apr_int64_t left = query_number(r, "bytes=", 0);
    apr_int64_t block = query_number(r, "block=", 65536);
    char *buffer;

    if (left < 0 || block < 1 || block > 1048576) {
        return HTTP_BAD_REQUEST;
    }
    buffer = apr_palloc(r->pool, block);
    memset(buffer, 'w', block);
    ap_set_content_type(r, "application/octet-stream");
    while (left > 0) {
        int n = (int)(left < block ? left : block);

        if (ap_rwrite(buffer, n, r) < 0) {
            break;
        }
        left -= n;
    }
    return OK;
}

static int read_bytes(request_rec *r)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool,
                                                r->connection->bucket_alloc);
    apr_int64_t total = 0;
    int eos = 0;

    while (!eos) {
        apr_bucket *e;

        if (ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES,
                           APR_BLOCK_READ, READ_BYTES) != APR_SUCCESS) {
            return HTTP_BAD_REQUEST;
        }
        for (e = APR_BRIGADE_FIRST(bb); e != APR_BRIGADE_SENTINEL(bb);
             e = APR_BUCKET_NEXT(e)) {
            const char *data;
            apr_size_t length;

            if (APR_BUCKET_IS_EOS(e)) {
                eos = 1;
                break;
            }
            if (APR_BUCKET_IS_METADATA(e)) {
                continue;
            }
            if (apr_bucket_read(e, &data, &length, APR_BLOCK_READ)
                != APR_SUCCESS) {
                return HTTP_BAD_REQUEST;
            }
            total += length;
        }
        apr_brigade_cleanup(bb);
    }
    ap_set_content_type(r, "text/plain");
    ap_rprintf(r, "%" APR_INT64_T_FMT "\n", total);
    return OK;
}

static int handler(request_rec *r)
{
    if (!strcmp(r->handler, "bench-hello")) {
        return hello(r);
    }
    if (!strcmp(r->handler, "bench-write")) {
        return write_bytes(r);
    }
    if (!strcmp(r->handler, "bench-read")) {
        return read_bytes(r);
    }
    return DECLINED;
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(bench_native) = {
    STANDARD20_MODULE_STUFF,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    register_hooks
};
