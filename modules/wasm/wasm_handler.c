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

#include "apr_strings.h"

#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"

#include "mod_wasm.h"
#include "wasm_child.h"
#include "wasm_io.h"
#include "wasm_resources.h"
#include "wasm_status.h"

APLOG_USE_MODULE(wasm);

/* What each outcome of a run means to the client and to the administrator.
 * Indexed by wasmrt_outcome. */
static const struct {
    int status;              /* to answer with if nothing has been sent */
    int level;               /* of the line in the error log */
    const char *name;        /* in WASM_OUTCOME */
    const char *number;      /* of the message */
    const char *message;
} outcomes[] = {
    { OK, APLOG_DEBUG, "exited", APLOGNO(10936), "exited" },
    { HTTP_INTERNAL_SERVER_ERROR, APLOG_ERR, "trapped", APLOGNO(10937),
      "was stopped by a fault" },
    { HTTP_GATEWAY_TIME_OUT, APLOG_ERR, "timed-out", APLOGNO(10938),
      "ran out of time" },
    { HTTP_INTERNAL_SERVER_ERROR, APLOG_ERR, "out-of-memory", APLOGNO(10939),
      "ran out of memory" },
    { HTTP_BAD_GATEWAY, APLOG_ERR, "output-limit", APLOGNO(10940),
      "wrote too much" },
    { OK, APLOG_INFO, "aborted", APLOGNO(10941),
      "was stopped" },
    { HTTP_INTERNAL_SERVER_ERROR, APLOG_ERR, "failed", APLOGNO(10942),
      "could not be started" }
};

/* @return which directive moves the limit that ended a run, to be put behind
 *         the reason. */
static const char *advice(const wasmrt_result *result)
{
    static const struct {
        apr_uint32_t limit;
        const char *advice;
    } directives[] = {
        { WASMRT_LIMIT_WALL, " (see WasmTimeout)" },
        { WASMRT_LIMIT_CPU, " (see WasmCPULimit)" },
        { WASMRT_LIMIT_MEMORY, " (see WasmMemoryLimit)" },
        { WASMRT_LIMIT_OUTPUT, " (see WasmOutputLimit)" },
        { WASMRT_LIMIT_STACK, " (see WasmStackLimit)" }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(directives) / sizeof(directives[0]); i++) {
        if (result->limits_reached & directives[i].limit) {
            return directives[i].advice;
        }
    }
    return "";
}

/* A guest without proper headers ends in one way or another; what matters is
 * that its response could not be used. */
static const char *outcome_name(const wasm_io *io, const wasmrt_result *result)
{
    if (io->out_status == HTTP_BAD_GATEWAY
        || (io->phase == WASM_IO_HEADERS
            && result->outcome == WASMRT_EXITED)) {
        return "bad-headers";
    }
    return outcomes[result->outcome].name;
}

/* For access logs. `env` is the request's own: mod_include gives a request
 * that it includes the table of the one around it, once its output comes. */
static void note_result(apr_pool_t *pool, apr_table_t *env,
                        const char *outcome, const wasmrt_result *result)
{
    apr_table_setn(env, "WASM_OUTCOME", outcome);
    apr_table_setn(env, "WASM_RUN_US",
                   apr_off_t_toa(pool, (apr_off_t)(result->run_ns / 1000)));
    apr_table_setn(env, "WASM_MEMORY",
                   apr_off_t_toa(pool, (apr_off_t)result->memory_bytes));
}

/* Ends a run that did not end well. */
static int fail(wasm_io *io, int status)
{
    if (io->sent) {
        return wasm_io_break(io);
    }
    wasm_io_reset(io);
    return status;
}

static int finish_redirect(wasm_io *io)
{
    request_rec *r = io->r;
    const char *location = io->redirect;

    wasm_io_reset(io);
    /* The target gets a GET without a body, whatever this request was. */
    r->method = "GET";
    r->method_number = M_GET;
    apr_table_unset(r->headers_in, "Content-Length");
    apr_table_unset(r->headers_in, "Transfer-Encoding");
    ap_internal_redirect_handler(location, r);
    return OK;
}

/* The guest returned, or left with an exit status. */
static int finish_exited(wasm_io *io, const wasmrt_result *result)
{
    request_rec *r = io->r;
    int level = result->exit_status ? APLOG_INFO : APLOG_DEBUG;

    if (APLOG_R_IS_LEVEL(r, level)) {
        ap_log_rerror(APLOG_MARK, level, 0, r, "%smodule %s exited with "
                      "status %d", outcomes[WASMRT_EXITED].number, io->path,
                      (int)result->exit_status);
    }

    if (io->phase == WASM_IO_HEADERS) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10943)
                      "module %s exited with status %d after %" APR_SIZE_T_FMT
                      " bytes of output without a complete header block",
                      io->path, (int)result->exit_status, io->block_length);
        return fail(io, HTTP_BAD_GATEWAY);
    }
    if (io->redirect) {
        return finish_redirect(io);
    }
    if (io->out_status == HTTP_NOT_MODIFIED) {
        /* Not an error to be handled: what asked may be a cache of ours. */
        r->status = HTTP_NOT_MODIFIED;
        return OK;
    }
    if (io->out_status != OK) {
        return io->out_status;
    }
    if (!io->body && result->exit_status && !io->written) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10944)
                      "module %s exited with status %d and without output",
                      io->path, (int)result->exit_status);
        return fail(io, HTTP_INTERNAL_SERVER_ERROR);
    }
    return wasm_io_finish(io);
}

static int finish_run(wasm_io *io, const wasmrt_result *result)
{
    if (result->outcome == WASMRT_EXITED) {
        return finish_exited(io, result);
    }
    /* Streams that stopped the guest have said why. */
    if (result->outcome == WASMRT_ABORTED && io->in_status != OK) {
        return fail(io, io->in_status);
    }
    if (result->outcome == WASMRT_ABORTED && io->out_status != OK) {
        return fail(io, io->out_status);
    }
    ap_log_rerror(APLOG_MARK, outcomes[result->outcome].level, 0, io->r,
                  "%smodule %s %s: %s%s%s%s",
                  outcomes[result->outcome].number, io->path,
                  outcomes[result->outcome].message, result->message,
                  advice(result),
                  *result->backtrace ? "; its stack: " : "",
                  result->backtrace);
    return fail(io, outcomes[result->outcome].status);
}

/* The name of a module file says nothing about the type of its output. */
static void drop_module_type(request_rec *r)
{
    if (r->content_type
        && !ap_cstr_casecmp(r->content_type, "application/wasm")) {
        ap_set_content_type(r, NULL);
    }
}

int wasm_handler(request_rec *r)
{
    const wasm_dir_conf *conf;
    apr_table_t *env = r->subprocess_env;
    wasmrt_result result;
    wasmrt_status started;
    wasm_run run;
    wasm_io *io;
    int status;

    if (strcmp(r->handler, WASM_HANDLER_NAME)) {
        return DECLINED;
    }
    conf = ap_get_module_config(r->per_dir_config, &wasm_module);

    if (r->used_path_info == AP_REQ_REJECT_PATH_INFO
        && r->path_info && *r->path_info) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10945)
                      "AcceptPathInfo off disallows user's path: %s",
                      r->filename);
        return HTTP_NOT_FOUND;
    }

    status = wasm_child_acquire(r, conf, &run);
    if (status != OK) {
        wasm_child_release(&run);
        return status;
    }
    if (run.is_file) {
        drop_module_type(r);
    }

    io = apr_palloc(r->pool, sizeof(*io));
    wasm_io_init(io, r, conf, run.path, run.longest);

    result.size = sizeof(result);
    wasm_status_begin(run.row, run.shard);
    started = wasmrt_run(run.command, APLOGrtrace4(r) ? &wasm_io_traced_streams
                                                      : &wasm_io_streams,
                         io, &result);
    wasm_status_end(run.row, run.shard,
                    started == WASMRT_BUSY ? "busy" : outcome_name(io, &result),
                    &result);
    wasm_io_end_errors(io);
    wasm_child_release(&run);

    if (started == WASMRT_BUSY) {
        note_result(r->pool, env, "busy", &result);
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, APLOGNO(10946)
                      "module %s: no place became free for another instance "
                      "(see WasmMaxInstances)", io->path);
        apr_table_setn(r->err_headers_out, "Retry-After", "1");
        return HTTP_SERVICE_UNAVAILABLE;
    }
    if (result.limits_reached & WASMRT_LIMIT_DESCRIPTORS) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, APLOGNO(10955)
                      "module %s wanted to open more than the %u descriptors "
                      "it may have (see WasmMaxDescriptors)", io->path,
                      (unsigned int)wasm_resources_descriptors(conf));
    }
    note_result(r->pool, env, outcome_name(io, &result), &result);
    return finish_run(io, &result);
}
