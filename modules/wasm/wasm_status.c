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
#include "apr_shm.h"
#include "apr_strings.h"

#include "httpd.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "mod_status.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "wasm_status.h"

APLOG_USE_MODULE(wasm);

/* Modules that are counted apart; and processes whose runs are. Those past it
 * run uncounted. */
#define STATUS_ROWS      64
#define STATUS_CHILDREN  512

#define STATUS_PATH_SIZE 256

/* Times are counted in classes that grow by the fourth root of two, so that a
 * percentile is known within a fifth: from 1 microsecond to an hour. */
#define STATUS_PER_OCTAVE 4
#define STATUS_CLASSES    (32 * STATUS_PER_OCTAVE)

/* In the order of the counts; the names of WASM_OUTCOME. */
static const char *const outcome_names[] = {
    "exited", "trapped", "timed-out", "out-of-memory", "output-limit",
    "bad-headers", "aborted", "failed", "busy"
};
#define STATUS_OUTCOMES (sizeof(outcome_names) / sizeof(outcome_names[0]))

/* Where the compiled images of a module came from, in the order of the
 * counts. */
static const char *const source_names[] = { "cache", "compiler", "failed" };
#define STATUS_SOURCES (sizeof(source_names) / sizeof(source_names[0]))

typedef struct status_times {
    apr_uint32_t count[STATUS_CLASSES];
} status_times;

typedef struct status_row {
    char path[STATUS_PATH_SIZE];     /* empty: free */
    apr_uint32_t ended[STATUS_OUTCOMES];
    apr_uint32_t memory_pages;       /* most that a run ended with, 64 KiB */
    apr_uint32_t images[STATUS_SOURCES];
    apr_uint32_t image_kib;          /* of the newest image */
    status_times instantiate;
    status_times run;
} status_row;

typedef struct status_child {
    apr_uint32_t pid;                /* 0: free */
    apr_uint32_t running[STATUS_ROWS];
} status_child;

typedef struct status_counts {
    apr_uint32_t rows;               /* in use; changed by the parent only */
    status_row row[STATUS_ROWS];
    status_child child[STATUS_CHILDREN];
} status_counts;

/* NULL: there is no shared memory, nothing is counted. */
static status_counts *counts;
static status_child *self;

/* ------------------------------------------------------------------------ */
/* Counting                                                                 */

static int find_row(const char *path)
{
    apr_uint32_t i;

    for (i = 0; i < counts->rows; i++) {
        if (!strcmp(counts->row[i].path, path)) {
            return (int)i;
        }
    }
    if (counts->rows == STATUS_ROWS) {
        return -1;
    }
    apr_cpystrn(counts->row[i].path, path, STATUS_PATH_SIZE);
    counts->rows++;
    return (int)i;
}

void wasm_status_post_config(wasm_setup *setup, apr_pool_t *ptemp,
                             server_rec *s)
{
    static const char *const key = "mod_wasm-counts";
    apr_shm_t **shm = ap_retained_data_get(key);
    apr_status_t rv;
    int i;

    if (!shm) {
        shm = ap_retained_data_create(key, sizeof(*shm));
        rv = apr_shm_create(shm, sizeof(*counts), NULL, s->process->pool);
        if (rv != APR_SUCCESS) {
            *shm = NULL;
            ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s, APLOGNO(10953)
                         "no shared memory, so runs are not counted");
        }
        else {
            memset(apr_shm_baseaddr_get(*shm), 0, sizeof(*counts));
        }
    }
    counts = *shm ? apr_shm_baseaddr_get(*shm) : NULL;
    if (counts) {
        find_row("(requested files)");
    }
    for (i = 0; i < setup->files->nelts; i++) {
        wasm_file *file = APR_ARRAY_IDX(setup->files, i, wasm_file *);

        file->row = counts ? find_row(file->path) : -1;
        wasm_status_image(file->row, file->image);
    }
}

void wasm_status_image(int row, const wasmrt_image *image)
{
    wasmrt_image_info info;

    if (!counts || row < 0) {
        return;
    }
    if (!image) {
        apr_atomic_inc32(&counts->row[row].images[2]);
        return;
    }
    memset(&info, 0, sizeof(info));
    info.size = sizeof(info);
    wasmrt_image_describe(image, &info);
    apr_atomic_inc32(&counts->row[row].images[info.cached ? 0 : 1]);
    apr_atomic_set32(&counts->row[row].image_kib,
                     (apr_uint32_t)((info.image_bytes + 1023) >> 10));
}

static int is_alive(apr_uint32_t pid)
{
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

void wasm_status_child_init(void)
{
    apr_uint32_t pid = (apr_uint32_t)getpid();
    int i;

    self = NULL;
    for (i = 0; counts && !self && i < STATUS_CHILDREN; i++) {
        status_child *each = &counts->child[i];
        apr_uint32_t owner = apr_atomic_read32(&each->pid);

        /* What a dead child had running has ended with it. */
        if ((owner == 0 || owner == pid || !is_alive(owner))
            && apr_atomic_cas32(&each->pid, pid, owner) == owner) {
            memset(each->running, 0, sizeof(each->running));
            self = each;
        }
    }
}

static int class_of(apr_uint64_t ns)
{
    apr_uint64_t us = ns / 1000;
    int octave = 0;

    /* [us, us of the next octave) is cut into equal parts. */
    while ((us >> octave) > 1 && octave < 31) {
        octave++;
    }
    return octave * STATUS_PER_OCTAVE
           + (int)((((us << 2) >> octave)) & (STATUS_PER_OCTAVE - 1));
}

/* The lower end of a class, in microseconds. */
static double class_start(int number)
{
    int octave = number / STATUS_PER_OCTAVE;
    int part = number % STATUS_PER_OCTAVE;

    return (double)((apr_uint64_t)1 << octave)
           * (1.0 + (double)part / STATUS_PER_OCTAVE);
}

void wasm_status_begin(int row)
{
    if (self && row >= 0) {
        apr_atomic_inc32(&self->running[row]);
    }
}

void wasm_status_end(int row, const char *outcome, const wasmrt_result *result)
{
    status_row *each;
    apr_uint32_t pages = (apr_uint32_t)(result->memory_bytes >> 16);
    apr_uint32_t before;
    unsigned int i;

    if (!self || row < 0) {
        return;
    }
    apr_atomic_dec32(&self->running[row]);
    each = &counts->row[row];
    for (i = 0; i < STATUS_OUTCOMES; i++) {
        if (!strcmp(outcome, outcome_names[i])) {
            apr_atomic_inc32(&each->ended[i]);
        }
    }
    if (!result->instantiate_ns) {
        return;
    }
    apr_atomic_inc32(each->instantiate.count
                     + class_of(result->instantiate_ns));
    apr_atomic_inc32(each->run.count + class_of(result->run_ns));
    do {
        before = apr_atomic_read32(&each->memory_pages);
    } while (before < pages
             && apr_atomic_cas32(&each->memory_pages, pages, before) != before);
}

/* ------------------------------------------------------------------------ */
/* Showing                                                                  */

/* @return microseconds that the given part of the times is below. */
static double percentile(status_times *times, double part)
{
    double total = 0;
    double sum = 0;
    int i;

    for (i = 0; i < STATUS_CLASSES; i++) {
        total += apr_atomic_read32(&times->count[i]);
    }
    for (i = 0; i < STATUS_CLASSES && total > 0; i++) {
        sum += apr_atomic_read32(&times->count[i]);
        if (sum >= part * total) {
            return class_start(i + 1);
        }
    }
    return 0;
}

static apr_uint32_t now_running(int row)
{
    apr_uint32_t sum = 0;
    int i;

    for (i = 0; i < STATUS_CHILDREN; i++) {
        status_child *each = &counts->child[i];
        apr_uint32_t running = apr_atomic_read32(&each->running[row]);

        if (running && is_alive(apr_atomic_read32(&each->pid))) {
            sum += running;
        }
    }
    return sum;
}

static const struct {
    const char *label;
    double part;
} parts[] = { { "0.5", 0.5 }, { "0.9", 0.9 }, { "0.99", 0.99 } };

#define STATUS_PARTS (sizeof(parts) / sizeof(parts[0]))

/* A label's value in the text format of Prometheus. */
static const char *label_value(apr_pool_t *pool, const char *text)
{
    apr_size_t length = strlen(text);
    char *out = apr_palloc(pool, 2 * length + 1);
    char *p = out;

    for (; *text; text++) {
        if (*text == '\\' || *text == '"') {
            *p++ = '\\';
        }
        *p++ = *text == '\n' ? ' ' : *text;
    }
    *p = '\0';
    return out;
}

static void print_times(request_rec *r, const char *name, const char *help,
                        int is_run)
{
    apr_uint32_t i;
    unsigned int j;

    ap_rprintf(r, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
    for (i = 0; i < counts->rows; i++) {
        status_row *row = &counts->row[i];

        for (j = 0; j < STATUS_PARTS; j++) {
            ap_rprintf(r, "%s{module=\"%s\",quantile=\"%s\"} %.9f\n", name,
                       label_value(r->pool, row->path), parts[j].label,
                       percentile(is_run ? &row->run : &row->instantiate,
                                  parts[j].part) / 1e6);
        }
    }
}

/* https://prometheus.io/docs/instrumenting/exposition_formats/ */
static int status_handler(request_rec *r)
{
    apr_uint32_t i;
    unsigned int j;

    ap_set_content_type(r, "text/plain; version=0.0.4; charset=utf-8");
    if (!counts) {
        ap_rputs("# no shared memory, so runs are not counted\n", r);
        return OK;
    }
    ap_rputs("# HELP wasm_runs_total Runs that have ended.\n"
             "# TYPE wasm_runs_total counter\n", r);
    for (i = 0; i < counts->rows; i++) {
        status_row *row = &counts->row[i];

        for (j = 0; j < STATUS_OUTCOMES; j++) {
            ap_rprintf(r, "wasm_runs_total{module=\"%s\",outcome=\"%s\"} %u\n",
                       label_value(r->pool, row->path), outcome_names[j],
                       (unsigned int)apr_atomic_read32(&row->ended[j]));
        }
    }
    ap_rputs("# HELP wasm_running Runs under way.\n"
             "# TYPE wasm_running gauge\n", r);
    for (i = 0; i < counts->rows; i++) {
        ap_rprintf(r, "wasm_running{module=\"%s\"} %u\n",
                   label_value(r->pool, counts->row[i].path),
                   (unsigned int)now_running((int)i));
    }
    ap_rputs("# HELP wasm_memory_max_bytes Most linear memory a run ended "
             "with.\n# TYPE wasm_memory_max_bytes gauge\n", r);
    for (i = 0; i < counts->rows; i++) {
        ap_rprintf(r, "wasm_memory_max_bytes{module=\"%s\"} %.0f\n",
                   label_value(r->pool, counts->row[i].path),
                   65536.0 * apr_atomic_read32(&counts->row[i].memory_pages));
    }
    ap_rputs("# HELP wasm_images_total Compiled images, by where they came "
             "from.\n# TYPE wasm_images_total counter\n", r);
    for (i = 0; i < counts->rows; i++) {
        status_row *row = &counts->row[i];

        for (j = 0; j < STATUS_SOURCES; j++) {
            ap_rprintf(r, "wasm_images_total{module=\"%s\",source=\"%s\"} %u\n",
                       label_value(r->pool, row->path), source_names[j],
                       (unsigned int)apr_atomic_read32(&row->images[j]));
        }
    }
    ap_rputs("# HELP wasm_image_bytes Size of the newest compiled image, in "
             "steps of 1024.\n# TYPE wasm_image_bytes gauge\n", r);
    for (i = 0; i < counts->rows; i++) {
        ap_rprintf(r, "wasm_image_bytes{module=\"%s\"} %.0f\n",
                   label_value(r->pool, counts->row[i].path),
                   1024.0 * apr_atomic_read32(&counts->row[i].image_kib));
    }
    print_times(r, "wasm_instantiate_seconds",
                "Time to instantiate, within a fifth.", 0);
    print_times(r, "wasm_run_seconds", "Time in the guest, within a fifth.", 1);
    return OK;
}

static apr_uint32_t failures(status_row *row)
{
    apr_uint32_t sum = 0;
    unsigned int i;

    for (i = 1; i < STATUS_OUTCOMES; i++) {
        sum += apr_atomic_read32(&row->ended[i]);
    }
    return sum;
}

static void section_text(request_rec *r)
{
    apr_uint32_t i;
    unsigned int j;

    for (i = 0; i < counts->rows; i++) {
        status_row *row = &counts->row[i];

        ap_rprintf(r, "WasmModule%u: %s\n", (unsigned int)i, row->path);
        ap_rprintf(r, "WasmModule%uRunning: %u\n", (unsigned int)i,
                   (unsigned int)now_running((int)i));
        for (j = 0; j < STATUS_OUTCOMES; j++) {
            ap_rprintf(r, "WasmModule%uOutcome-%s: %u\n", (unsigned int)i,
                       outcome_names[j],
                       (unsigned int)apr_atomic_read32(&row->ended[j]));
        }
        for (j = 0; j < STATUS_PARTS; j++) {
            ap_rprintf(r, "WasmModule%uInstantiateUs-%s: %.0f\n",
                       (unsigned int)i, parts[j].label,
                       percentile(&row->instantiate, parts[j].part));
        }
        for (j = 0; j < STATUS_PARTS; j++) {
            ap_rprintf(r, "WasmModule%uRunUs-%s: %.0f\n", (unsigned int)i,
                       parts[j].label, percentile(&row->run, parts[j].part));
        }
        ap_rprintf(r, "WasmModule%uMemoryMax: %.0f\n", (unsigned int)i,
                   65536.0 * apr_atomic_read32(&row->memory_pages));
        for (j = 0; j < STATUS_SOURCES; j++) {
            ap_rprintf(r, "WasmModule%uImages-%s: %u\n", (unsigned int)i,
                       source_names[j],
                       (unsigned int)apr_atomic_read32(&row->images[j]));
        }
        ap_rprintf(r, "WasmModule%uImageSize: %.0f\n", (unsigned int)i,
                   1024.0 * apr_atomic_read32(&row->image_kib));
    }
}

static void section_html(request_rec *r)
{
    apr_uint32_t i;
    unsigned int j;

    ap_rputs("<hr />\n<h2>WebAssembly</h2>\n<table border=\"1\">\n<tr>"
             "<th>Module</th><th>Running</th><th>Ended well</th>"
             "<th>Otherwise</th><th>Instantiate, &micro;s: 50 %</th>"
             "<th>Run, &micro;s: 50 %</th><th>90 %</th><th>99 %</th>"
             "<th>Memory at most, KiB</th><th>Images: from the cache</th>"
             "<th>compiled</th><th>failed</th><th>Size, KiB</th></tr>\n", r);
    for (i = 0; i < counts->rows; i++) {
        status_row *row = &counts->row[i];

        ap_rprintf(r, "<tr><td>%s</td><td>%u</td><td>%u</td><td>%u</td>"
                   "<td>%.0f</td>", ap_escape_html(r->pool, row->path),
                   (unsigned int)now_running((int)i),
                   (unsigned int)apr_atomic_read32(&row->ended[0]),
                   (unsigned int)failures(row),
                   percentile(&row->instantiate, 0.5));
        for (j = 0; j < STATUS_PARTS; j++) {
            ap_rprintf(r, "<td>%.0f</td>",
                       percentile(&row->run, parts[j].part));
        }
        ap_rprintf(r, "<td>%u</td>",
                   64 * (unsigned int)apr_atomic_read32(&row->memory_pages));
        for (j = 0; j < STATUS_SOURCES; j++) {
            ap_rprintf(r, "<td>%u</td>",
                       (unsigned int)apr_atomic_read32(&row->images[j]));
        }
        ap_rprintf(r, "<td>%u</td></tr>\n",
                   (unsigned int)apr_atomic_read32(&row->image_kib));
    }
    ap_rputs("</table>\n", r);
}

int wasm_status_section(request_rec *r, int flags)
{
    if (!counts) {
        return OK;
    }
    if (flags & AP_STATUS_SHORT) {
        section_text(r);
    }
    else {
        section_html(r);
    }
    return OK;
}

/* ------------------------------------------------------------------------ */
/* wasm-info                                                                */

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
    if (!wasm_child_load_bytes(r, probe_module, sizeof(probe_module), &module,
                               &error)
        || wasmrt_command_create(module, &config, &command, &error)
           != WASMRT_OK) {
        problem = error.message;
    }
    else if (wasmrt_run(command, NULL, 0, &streams, &output, &result)
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
}

/* @return what a section says, together with what it inherits from its
 *         server; sections around it are known for a request only. */
static const wasm_dir_conf *host_and_section(apr_pool_t *pool,
                                             const wasm_guest *guest)
{
    const wasm_dir_conf *host = ap_get_module_config(
                                    guest->server->lookup_defaults,
                                    &wasm_module);

    return host == guest->conf
           ? host : wasm_config_merge_dir(pool, (void *)host,
                                          (void *)guest->conf);
}

static const char *limit_text(apr_pool_t *pool, apr_int64_t value,
                              const char *unit, const char *otherwise)
{
    return value < 0 ? otherwise
           : value == 0 ? "none"
           : apr_psprintf(pool, "%" APR_INT64_T_FMT " %s", value, unit);
}

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

    ap_rputs("<h2>Routes</h2>\n<table><tr><th>Section at</th><th>Module</th>"
             "<th>CGI</th><th>Directories</th><th>Memory</th><th>Wall time</th>"
             "<th>Processor time</th><th>Output</th><th>Start image</th>"
             "</tr>\n", r);
    for (i = 0; i < setup->guests->nelts; i++) {
        const wasm_guest *guest = &APR_ARRAY_IDX(setup->guests, i, wasm_guest);
        const wasm_dir_conf *conf = host_and_section(r->pool, guest);

        ap_rprintf(r, "<tr><td>%s:%d</td><td>%s</td><td>%s</td><td>%d</td>",
                   ap_escape_html(r->pool, guest->config_file),
                   guest->config_line,
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

static int info_handler(request_rec *r)
{
    const wasm_setup *setup = wasm_config_setup();

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
    ap_rprintf(r, "<tr><th>Instances at once in a process</th><td>%d</td>"
               "</tr>\n"
               "<tr><th>Native stack of a guest</th><td>%" APR_INT64_T_FMT
               " bytes</td></tr>\n"
               "<tr><th>Cache</th><td>%s</td></tr></table>\n",
               wasm_child_max_instances(setup), setup->stack_bytes,
               ap_escape_html(r->pool, wasm_child_cache_dir(r->pool, setup)));
    print_modules(r, setup);
    print_routes(r, setup);
    ap_rputs("</body></html>\n", r);
    return OK;
}

int wasm_status_handler(request_rec *r)
{
    int is_status = !strcmp(r->handler, WASM_STATUS_HANDLER_NAME);

    if (!is_status && strcmp(r->handler, WASM_INFO_HANDLER_NAME)) {
        return DECLINED;
    }
    r->allowed |= (AP_METHOD_BIT << M_GET);
    if (r->method_number != M_GET) {
        return DECLINED;
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    return is_status ? status_handler(r) : info_handler(r);
}

/* ------------------------------------------------------------------------ */
/* httpd -t -D DUMP_WASM                                                    */

static void dump_guest(apr_pool_t *p, const wasm_guest *guest,
                       apr_file_t *out)
{
    const wasm_dir_conf *conf = host_and_section(p, guest);
    int i;

    apr_file_printf(out, "%s:%d\n  module         %s\n  entry point    %s\n"
                    "  CGI            %s%s\n", guest->config_file,
                    guest->config_line, conf->module->path,
                    conf->entry_point ? conf->entry_point : "_start",
                    conf->enable_cgi == 1 ? "on" : "off",
                    conf->map_file_names == 1 ? ", file names mapped" : "");
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
                        each->host_path, each->read_only ? ", read-only" : "");
    }
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

void wasm_status_dump(apr_pool_t *p, server_rec *s)
{
    const wasm_setup *setup = wasm_config_setup();
    apr_file_t *out = NULL;
    int i;

    if (!ap_exists_config_define("DUMP_WASM")
        || apr_file_open_stdout(&out, p) != APR_SUCCESS) {
        return;
    }
    apr_file_printf(out, "WebAssembly routes:\n");
    for (i = 0; i < setup->guests->nelts; i++) {
        dump_guest(p, &APR_ARRAY_IDX(setup->guests, i, wasm_guest), out);
    }
    apr_file_printf(out, "WebAssembly modules, cache %s:\n",
                    wasm_child_cache_dir(p, setup));
    for (i = 0; i < setup->files->nelts; i++) {
        const wasm_file *file = APR_ARRAY_IDX(setup->files, i, wasm_file *);

        apr_file_printf(out, "  %-11s %s\n",
                        wasm_child_is_cached(p, s, file->path)
                        ? "cached" : "not cached", file->path);
    }
}
