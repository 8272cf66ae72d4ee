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

#include "http_core.h"
#include "http_protocol.h"

#include "wasm_files.h"
#include "wasm_image.h"
#include "wasm_info.h"
#include "wasm_resources.h"

/* @return what a section says, together with what it inherits from its
 *         server; sections around it are known for a request only. */
static const wasm_dir_conf *host_and_section(apr_pool_t *pool,
                                             const wasm_section *section)
{
    const wasm_dir_conf *host = ap_get_module_config(
                                    section->server->lookup_defaults,
                                    &wasm_module);

    return host == section->conf
           ? host : wasm_config_merge_dir(pool, (void *)host,
                                          (void *)section->conf);
}

static const char *server_name(apr_pool_t *pool, const server_rec *s)
{
    if (!s->is_virtual) {
        return "the main server";
    }
    return s->addrs ? apr_psprintf(pool, "%s:%u", s->server_hostname,
                                   (unsigned int)s->addrs->host_port)
                    : s->server_hostname;
}

static const char *limit_text(apr_pool_t *pool, apr_int64_t value,
                              const char *unit, const char *otherwise)
{
    return value < 0 ? otherwise
           : value == 0 ? "none"
           : apr_psprintf(pool, "%" APR_INT64_T_FMT " %s", value, unit);
}

/* ------------------------------------------------------------------------ */
/* A guest on the spot                                                      */

/* (module
 *   (import "wasi_snapshot_preview1" "fd_write"
 *     (func $fd_write (param i32 i32 i32 i32) (result i32)))
 *   (memory (export "memory") 1)
 *   (data (i32.const 16) "It works.")
 *   (data (i32.const 0) "\10\00\00\00\09\00\00\00")
 *   (func (export "_start")
 *     (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1)
 *                           (i32.const 8))))) */
static const unsigned char probe_module[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0c, 0x02, 0x60,
    0x04, 0x7f, 0x7f, 0x7f, 0x7f, 0x01, 0x7f, 0x60, 0x00, 0x00, 0x02, 0x23,
    0x01, 0x16, 0x77, 0x61, 0x73, 0x69, 0x5f, 0x73, 0x6e, 0x61, 0x70, 0x73,
    0x68, 0x6f, 0x74, 0x5f, 0x70, 0x72, 0x65, 0x76, 0x69, 0x65, 0x77, 0x31,
    0x08, 0x66, 0x64, 0x5f, 0x77, 0x72, 0x69, 0x74, 0x65, 0x00, 0x00, 0x03,
    0x02, 0x01, 0x01, 0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x13, 0x02, 0x06,
    0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00, 0x06, 0x5f, 0x73, 0x74,
    0x61, 0x72, 0x74, 0x00, 0x01, 0x0a, 0x0f, 0x01, 0x0d, 0x00, 0x41, 0x01,
    0x41, 0x00, 0x41, 0x01, 0x41, 0x08, 0x10, 0x00, 0x1a, 0x0b, 0x0b, 0x1c,
    0x02, 0x00, 0x41, 0x10, 0x0b, 0x09, 0x49, 0x74, 0x20, 0x77, 0x6f, 0x72,
    0x6b, 0x73, 0x2e, 0x00, 0x41, 0x00, 0x0b, 0x08, 0x10, 0x00, 0x00, 0x00,
    0x09, 0x00, 0x00, 0x00
};

typedef struct probe_output {
    char text[64];
    apr_size_t length;
} probe_output;

static int64_t probe_read(void *baton, void *buffer, size_t length,
                          uint32_t timeout_ms)
{
    return 0;
}

static int probe_write(void *baton, const void *buffer, size_t length)
{
    probe_output *output = baton;
    apr_size_t room = sizeof(output->text) - 1 - output->length;

    if (length > room) {
        length = room;
    }
    memcpy(output->text + output->length, buffer, length);
    output->length += length;
    return 0;
}

static int probe_flush(void *baton)
{
    return 0;
}

static void probe_error(void *baton, const void *buffer, size_t length)
{
}

static int probe_aborted(void *baton)
{
    return 0;
}

/* Runs the module above the way a requested file is run. */
static void run_probe(request_rec *r)
{
    static const char *const arguments[] = { "probe.wasm", NULL };
    wasmrt_streams streams;
    wasm_run run;
    wasmrt_command_config config;
    wasmrt_command *command = NULL;
    wasmrt_module *module = NULL;
    wasmrt_result result;
    wasmrt_error error;
    probe_output output;
    const char *problem = NULL;

    memset(&output, 0, sizeof(output));
    memset(&result, 0, sizeof(result));
    result.size = sizeof(result);
    memset(&streams, 0, sizeof(streams));
    streams.size = sizeof(streams);
    streams.descriptors[0] = -1;
    streams.descriptors[1] = -1;
    streams.descriptors[2] = -1;
    streams.read = probe_read;
    streams.write = probe_write;
    streams.flush = probe_flush;
    streams.write_error = probe_error;
    streams.aborted = probe_aborted;
    memset(&config, 0, sizeof(config));
    config.size = sizeof(config);
    config.arguments = arguments;
    wasm_child_hold(r, &run);
    if (!wasm_files_load_bytes(r, probe_module, sizeof(probe_module), &module,
                               &error)
        || wasmrt_command_create(module, &config, &command, &error)
           != WASMRT_OK) {
        problem = error.message;
    }
    else if (wasmrt_run(command, &streams, &output, &result)
             != WASMRT_OK || result.outcome != WASMRT_EXITED) {
        problem = result.message;
    }
    if (problem) {
        ap_rprintf(r, "<p class=\"bad\">A guest did not run: %s</p>\n",
                   ap_escape_html(r->pool, problem));
    }
    else {
        ap_rprintf(r, "<p class=\"good\">A guest ran just now and said: "
                   "%s It took %.1f &micro;s to instantiate and %.1f &micro;s "
                   "to run.</p>\n", ap_escape_html(r->pool, output.text),
                   (double)result.instantiate_ns / 1e3,
                   (double)result.run_ns / 1e3);
    }
    wasmrt_command_release(command);
    wasmrt_module_release(module);
    wasm_child_release(&run);
}

/* ------------------------------------------------------------------------ */
/* The page                                                                 */

static void print_modules(request_rec *r, const wasm_setup *setup)
{
    int i;

    ap_rputs("<h2>Modules</h2>\n<table><tr><th>File</th><th>Bytes</th>"
             "<th>Compiled, bytes</th><th>Image</th></tr>\n", r);
    for (i = 0; i < setup->files->nelts; i++) {
        const wasm_file *file = APR_ARRAY_IDX(setup->files, i, wasm_file *);
        wasmrt_image_info info;

        ap_rprintf(r, "<tr><td>%s</td>", ap_escape_html(r->pool, file->path));
        if (!file->image) {
            ap_rputs("<td colspan=\"3\">could not be compiled; the error log "
                     "says why</td></tr>\n", r);
            continue;
        }
        memset(&info, 0, sizeof(info));
        info.size = sizeof(info);
        wasmrt_image_describe(file->image, &info);
        ap_rprintf(r, "<td>%" APR_UINT64_T_FMT "</td><td>%" APR_UINT64_T_FMT
                   "</td><td>%s%s</td></tr>\n",
                   (apr_uint64_t)info.module_bytes,
                   (apr_uint64_t)info.image_bytes,
                   info.cached ? "found in the cache"
                               : "compiled when the server started",
                   info.on_disk ? "" : ", in memory only");
    }
    ap_rputs("</table>\n", r);
}

static void print_routes(request_rec *r, const wasm_setup *setup)
{
    int i;

    ap_rputs("<h2>Routes</h2>\n<table><tr><th>Section at</th>"
             "<th>Section</th><th>Server</th><th>Module</th>"
             "<th>CGI</th><th>Directories</th><th>Memory</th><th>Wall time</th>"
             "<th>Processor time</th><th>Output</th><th>Start image</th>"
             "</tr>\n", r);
    for (i = 0; i < setup->sections->nelts; i++) {
        const wasm_section *section = APR_ARRAY_IDX(setup->sections, i,
                                                    wasm_section *);
        const wasm_dir_conf *conf;

        if (!section->conf->module) {
            continue;
        }
        conf = host_and_section(r->pool, section);
        ap_rprintf(r, "<tr><td>%s:%d</td><td>%s</td><td>%s</td>",
                   ap_escape_html(r->pool, section->config_file),
                   section->config_line,
                   ap_escape_html(r->pool, section->name ? section->name
                                                         : "none"),
                   ap_escape_html(r->pool, server_name(r->pool,
                                                       section->server)));
        ap_rprintf(r, "<td>%s</td><td>%s</td><td>%d</td>",
                   ap_escape_html(r->pool, conf->module->path),
                   conf->enable_cgi == 1 ? "On" : "Off",
                   conf->directories ? conf->directories->nelts : 0);
        ap_rprintf(r, "<td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td>"
                   "</tr>\n",
                   limit_text(r->pool, conf->memory_bytes, "bytes", "1 GiB"),
                   limit_text(r->pool, conf->wall_ms, "ms",
                              "the server's Timeout"),
                   limit_text(r->pool, conf->cpu_ms, "ms", "none"),
                   limit_text(r->pool, conf->output_bytes, "bytes", "1 GiB"),
                   !conf->start ? "no" : conf->start->image ? "yes"
                                       : "could not be made");
    }
    ap_rputs("</table>\n<p>With what each section inherits from its server; "
             "sections within sections may change it.</p>\n", r);
}

int wasm_info_handler(request_rec *r)
{
    const wasm_setup *setup = wasm_config_setup();
    wasmrt_cache_config cache;
    const char *lack;
    apr_uint32_t i;

    if (strcmp(r->handler, WASM_INFO_HANDLER_NAME)) {
        return DECLINED;
    }
    r->allowed |= (AP_METHOD_BIT << M_GET);
    if (r->method_number != M_GET) {
        return DECLINED;
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    wasm_image_cache(&cache, r->pool, setup, r->server);
    ap_set_content_type(r, "text/html; charset=utf-8");
    ap_rputs("<!DOCTYPE html>\n<html lang=\"en\"><head><title>mod_wasm</title>"
             "<style>body{font-family:sans-serif;margin:2em}table{"
             "border-collapse:collapse}td,th{border:1px solid #bbb;padding:"
             ".3em .6em;text-align:left}.good{color:#060}.bad{color:#a00}"
             "</style>"
             "</head><body>\n<h1>mod_wasm</h1>\n", r);
    run_probe(r);
    ap_rprintf(r, "<h2>Versions and settings</h2>\n<table>"
               "<tr><th>libwasm_runtime</th><td>%s</td></tr>\n"
               "<tr><th>Engine</th><td>%s</td></tr>\n"
               "<tr><th>Server</th><td>%s</td></tr>\n"
               "<tr><th>Memory layout</th><td>%s</td></tr>\n",
               wasmrt_version(), wasmrt_engine_version(),
               ap_escape_html(r->pool, ap_get_server_description()),
               setup->layout == WASMRT_LAYOUT_RESERVED
               ? "reserved (no bounds checks)" : "compact (explicit checks)");
    for (i = 0; (lack = wasmrt_kernel_lack(i)) != NULL; i++) {
        ap_rprintf(r, "<tr><th>A slower way</th><td>%s</td></tr>\n", lack);
    }
    ap_rprintf(r, "<tr><th>MPM</th><td>%s</td></tr>\n", ap_show_mpm());
    ap_rprintf(r, "<tr><th>Instances at once in a process</th><td>%d</td>"
               "</tr>\n"
               "<tr><th>Native stack of a guest</th><td>%" APR_INT64_T_FMT
               " bytes</td></tr>\n"
               "<tr><th>Descriptors of a guest, at most</th><td>%d</td></tr>\n"
               "<tr><th>Cache</th><td>%s</td></tr>\n"
               "<tr><th>Compiler</th><td>%s</td></tr></table>\n",
               wasm_resources_instances(setup), setup->stack_bytes,
               setup->max_descriptors,
               ap_escape_html(r->pool, cache.directory),
               ap_escape_html(r->pool, cache.compiler));
    print_modules(r, setup);
    print_routes(r, setup);
    ap_rputs("</body></html>\n", r);
    return OK;
}

/* ------------------------------------------------------------------------ */
/* httpd -t -D DUMP_WASM                                                    */

static void dump_place(apr_pool_t *p, const wasm_section *section,
                       apr_file_t *out)
{
    apr_file_printf(out, "%s:%d\n", section->config_file,
                    section->config_line);
    if (section->name) {
        apr_file_printf(out, "  section        %s\n", section->name);
    }
    apr_file_printf(out, "  server         %s\n",
                    server_name(p, section->server));
}

static const char *access_word(wasmrt_access access)
{
    switch (access) {
    case WASMRT_ACCESS_READ:
        return ", read-only";
    case WASMRT_ACCESS_EXEC:
        return ", files can be made executable";
    default:
        return "";
    }
}

static void dump_lists(const wasm_dir_conf *conf, apr_file_t *out)
{
    int i;

    for (i = 0; conf->arguments && i < conf->arguments->nelts; i++) {
        apr_file_printf(out, "  argument       %s\n",
                        APR_ARRAY_IDX(conf->arguments, i, const char *));
    }
    /* Names only: values are often secrets. */
    for (i = 0; conf->environment && i < conf->environment->nelts; i++) {
        apr_file_printf(out, "  variable       %s\n",
                        APR_ARRAY_IDX(conf->environment, i,
                                      wasmrt_variable).name);
    }
    for (i = 0; conf->directories && i < conf->directories->nelts; i++) {
        const wasmrt_directory *each = &APR_ARRAY_IDX(conf->directories, i,
                                                      wasmrt_directory);

        apr_file_printf(out, "  directory      %s is %s%s\n", each->guest_path,
                        each->host_path, access_word(each->access));
    }
}

static void dump_route(apr_pool_t *p, const wasm_section *section,
                       apr_file_t *out)
{
    const wasm_dir_conf *conf = host_and_section(p, section);

    dump_place(p, section, out);
    apr_file_printf(out, "  module         %s\n  entry point    %s\n"
                    "  CGI            %s%s\n", conf->module->path,
                    conf->entry_point ? conf->entry_point : "_start",
                    conf->enable_cgi == 1 ? "on" : "off",
                    conf->map_file_names == 1 ? ", file names mapped" : "");
    dump_lists(conf, out);
    apr_file_printf(out, "  memory         %s\n  wall time      %s\n"
                    "  processor time %s\n  output         %s\n"
                    "  header lines   %s\n  descriptors    %s\n"
                    "  start image    %s\n",
                    limit_text(p, conf->memory_bytes, "bytes", "1 GiB"),
                    limit_text(p, conf->wall_ms, "ms", "the server's Timeout"),
                    limit_text(p, conf->cpu_ms, "ms", "none"),
                    limit_text(p, conf->output_bytes, "bytes", "1 GiB"),
                    limit_text(p, conf->header_bytes, "bytes", "64 KiB"),
                    limit_text(p, conf->max_descriptors, "at once",
                               "256 at once"),
                    conf->start ? "yes" : "no");
}

static void dump_limit(apr_pool_t *p, const char *label, apr_int64_t value,
                       const char *unit, apr_file_t *out)
{
    if (value != -1) {
        apr_file_printf(out, "  %-14s %s\n", label,
                        limit_text(p, value, unit, NULL));
    }
}

/* What a section without a module of its own adds to the guest around it, or
 * says about requested files that are modules. */
static void dump_change(apr_pool_t *p, const wasm_section *section,
                        apr_file_t *out)
{
    const wasm_dir_conf *conf = section->conf;

    dump_place(p, section, out);
    if (conf->entry_point) {
        apr_file_printf(out, "  entry point    %s\n", conf->entry_point);
    }
    if (conf->enable_cgi != -1) {
        apr_file_printf(out, "  CGI            %s\n",
                        conf->enable_cgi ? "on" : "off");
    }
    if (conf->map_file_names != -1) {
        apr_file_printf(out, "  file names     %s\n",
                        conf->map_file_names ? "mapped" : "not mapped");
    }
    if (conf->snapshot != -1) {
        apr_file_printf(out, "  start image    %s\n",
                        conf->snapshot ? "yes" : "no");
    }
    dump_lists(conf, out);
    dump_limit(p, "memory", conf->memory_bytes, "bytes", out);
    dump_limit(p, "wall time", conf->wall_ms, "ms", out);
    dump_limit(p, "processor time", conf->cpu_ms, "ms", out);
    dump_limit(p, "output", conf->output_bytes, "bytes", out);
    dump_limit(p, "header lines", conf->header_bytes, "bytes", out);
    dump_limit(p, "descriptors", conf->max_descriptors, "at once", out);
}

/* Prints the sections that have a module, or those that have none. */
static void dump_sections(apr_pool_t *p, const wasm_setup *setup,
                          int with_module, apr_file_t *out)
{
    int i;

    for (i = 0; i < setup->sections->nelts; i++) {
        const wasm_section *section = APR_ARRAY_IDX(setup->sections, i,
                                                    wasm_section *);

        if (with_module && section->conf->module) {
            dump_route(p, section, out);
        }
        else if (!with_module && !section->conf->module) {
            dump_change(p, section, out);
        }
    }
}

void wasm_info_dump(apr_pool_t *p, server_rec *s)
{
    const wasm_setup *setup = wasm_config_setup();
    apr_file_t *out = NULL;
    int i;

    if (!ap_exists_config_define("DUMP_WASM")
        || apr_file_open_stdout(&out, p) != APR_SUCCESS) {
        return;
    }
    apr_file_printf(out, "WebAssembly routes:\n");
    dump_sections(p, setup, 1, out);
    apr_file_printf(out, "WebAssembly sections without a module of their "
                    "own:\n");
    dump_sections(p, setup, 0, out);
    apr_file_printf(out, "WebAssembly modules, cache %s:\n",
                    wasm_image_directory(p, setup));
    for (i = 0; i < setup->files->nelts; i++) {
        const wasm_file *file = APR_ARRAY_IDX(setup->files, i, wasm_file *);

        apr_file_printf(out, "  %-11s %s\n",
                        wasm_image_is_cached(p, s, file->path)
                        ? "cached" : "not cached", file->path);
    }
}
