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

/* A module with a longer path is not counted. */
#define STATUS_PATH_SIZE 4096

/* Times are counted in classes, four equal ones from each power of two to the
 * next, so that a percentile is known within a fifth: from 1 microsecond to an
 * hour. */
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

typedef struct status_runs {
    apr_uint32_t ended[STATUS_OUTCOMES];
    status_times instantiate;
    status_times run;
    char apart[WASM_SHARD_ALIGNMENT];
} status_runs;

typedef struct status_row {
    char path[STATUS_PATH_SIZE];     /* empty: free */
    apr_uint32_t memory_pages;       /* most that a run ended with, 64 KiB */
    apr_uint32_t images[STATUS_SOURCES];
    apr_uint32_t image_kib;          /* of the newest image */
    char apart[WASM_SHARD_ALIGNMENT];
    status_runs runs[WASM_SHARDS];   /* to be added up */
} status_row;

typedef struct status_child {
    apr_uint32_t pid;                /* 0: free */
    apr_uint32_t running[WASM_SHARDS][STATUS_ROWS];
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

static int is_configured(const wasm_setup *setup, const char *path)
{
    int i;

    for (i = 0; i < setup->files->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(setup->files, i, wasm_file *)->path, path)) {
            return 1;
        }
    }
    return 0;
}

static int is_alive(apr_uint32_t pid)
{
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

static apr_uint32_t now_running(int row)
{
    apr_uint32_t sum = 0;
    int i;
    int j;

    for (i = 0; i < STATUS_CHILDREN; i++) {
        status_child *each = &counts->child[i];
        apr_uint32_t running = 0;

        for (j = 0; j < WASM_SHARDS; j++) {
            running += apr_atomic_read32(&each->running[j][row]);
        }
        if (running && is_alive(apr_atomic_read32(&each->pid))) {
            sum += running;
        }
    }
    return sum;
}

/* Where all rows are taken, one of a module that is no longer configured is
 * given on. */
static int find_row(const wasm_setup *setup, const char *path)
{
    apr_uint32_t i;

    for (i = 0; i < counts->rows; i++) {
        if (!strcmp(counts->row[i].path, path)) {
            return (int)i;
        }
    }
    if (strlen(path) >= STATUS_PATH_SIZE) {
        return -1;
    }
    if (counts->rows < STATUS_ROWS) {
        counts->rows++;
    }
    else {
        for (i = WASM_STATUS_FILES + 1; i < counts->rows; i++) {
            if (!is_configured(setup, counts->row[i].path)
                && !now_running((int)i)) {
                break;
            }
        }
        if (i == counts->rows) {
            return -1;
        }
    }
    memset(&counts->row[i], 0, sizeof(counts->row[i]));
    apr_cpystrn(counts->row[i].path, path, STATUS_PATH_SIZE);
    return (int)i;
}

void wasm_status_post_config(wasm_setup *setup, server_rec *s)
{
    static const char *const key = "mod_wasm-counts";
    apr_shm_t **shm = ap_retained_data_get(key);
    apr_status_t rv;
    int i;

    if (!shm) {
        shm = ap_retained_data_create(key, sizeof(*shm));
    }
    /* That of an older version has another size; its children still use it. */
    if (!*shm || apr_shm_size_get(*shm) != sizeof(*counts)) {
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
        find_row(setup, "(requested files)");
    }
    for (i = 0; i < setup->files->nelts; i++) {
        wasm_file *file = APR_ARRAY_IDX(setup->files, i, wasm_file *);

        file->row = counts ? find_row(setup, file->path) : -1;
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

void wasm_status_begin(int row, unsigned int shard)
{
    if (self && row >= 0) {
        apr_atomic_inc32(&self->running[shard][row]);
    }
}

void wasm_status_end(int row, unsigned int shard, const char *outcome,
                     const wasmrt_result *result)
{
    status_row *each;
    status_runs *runs;
    apr_uint32_t pages = (apr_uint32_t)(result->memory_bytes >> 16);
    apr_uint32_t before;
    unsigned int i;

    if (!self || row < 0) {
        return;
    }
    apr_atomic_dec32(&self->running[shard][row]);
    each = &counts->row[row];
    runs = &each->runs[shard];
    for (i = 0; i < STATUS_OUTCOMES; i++) {
        if (!strcmp(outcome, outcome_names[i])) {
            apr_atomic_inc32(&runs->ended[i]);
            break;
        }
    }
    if (!result->run_ns) {
        return;
    }
    if (result->instantiate_ns) {
        apr_atomic_inc32(runs->instantiate.count
                         + class_of(result->instantiate_ns));
    }
    apr_atomic_inc32(runs->run.count + class_of(result->run_ns));
    do {
        before = apr_atomic_read32(&each->memory_pages);
    } while (before < pages
             && apr_atomic_cas32(&each->memory_pages, pages, before) != before);
}

/* ------------------------------------------------------------------------ */
/* Showing                                                                  */

static void add_times(status_times *sum, status_times *times)
{
    int i;

    for (i = 0; i < STATUS_CLASSES; i++) {
        sum->count[i] += apr_atomic_read32(&times->count[i]);
    }
}

static status_runs *runs_of(apr_pool_t *pool, status_row *row)
{
    status_runs *sum = apr_pcalloc(pool, sizeof(*sum));
    unsigned int i;
    unsigned int j;

    for (i = 0; i < WASM_SHARDS; i++) {
        for (j = 0; j < STATUS_OUTCOMES; j++) {
            sum->ended[j] += apr_atomic_read32(&row->runs[i].ended[j]);
        }
        add_times(&sum->instantiate, &row->runs[i].instantiate);
        add_times(&sum->run, &row->runs[i].run);
    }
    return sum;
}

/* @return microseconds that the given part of the times is below. */
static double percentile(const status_times *times, double part)
{
    double total = 0;
    double sum = 0;
    int i;

    for (i = 0; i < STATUS_CLASSES; i++) {
        total += times->count[i];
    }
    for (i = 0; i < STATUS_CLASSES && total > 0; i++) {
        sum += times->count[i];
        if (sum >= part * total) {
            return class_start(i + 1);
        }
    }
    return 0;
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
        if (*text == '\\' || *text == '"' || *text == '\n') {
            *p++ = '\\';
        }
        *p++ = *text == '\n' ? 'n' : *text;
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
        const status_runs *runs = runs_of(r->pool, row);

        for (j = 0; j < STATUS_PARTS; j++) {
            ap_rprintf(r, "%s{module=\"%s\",quantile=\"%s\"} %.9f\n", name,
                       label_value(r->pool, row->path), parts[j].label,
                       percentile(is_run ? &runs->run : &runs->instantiate,
                                  parts[j].part) / 1e6);
        }
    }
}

/* https://prometheus.io/docs/instrumenting/exposition_formats/ */
int wasm_status_handler(request_rec *r)
{
    apr_uint32_t i;
    unsigned int j;

    if (strcmp(r->handler, WASM_STATUS_HANDLER_NAME)) {
        return DECLINED;
    }
    r->allowed |= (AP_METHOD_BIT << M_GET);
    if (r->method_number != M_GET) {
        return DECLINED;
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    ap_set_content_type(r, "text/plain; version=0.0.4; charset=utf-8");
    if (!counts) {
        ap_rputs("# no shared memory, so runs are not counted\n", r);
        return OK;
    }
    ap_rputs("# HELP wasm_runs_total Runs that have ended.\n"
             "# TYPE wasm_runs_total counter\n", r);
    for (i = 0; i < counts->rows; i++) {
        status_row *row = &counts->row[i];
        const status_runs *runs = runs_of(r->pool, row);

        for (j = 0; j < STATUS_OUTCOMES; j++) {
            ap_rprintf(r, "wasm_runs_total{module=\"%s\",outcome=\"%s\"} %u\n",
                       label_value(r->pool, row->path), outcome_names[j],
                       (unsigned int)runs->ended[j]);
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
                "Time to instantiate, of runs for which it was done, within "
                "a fifth.", 0);
    print_times(r, "wasm_run_seconds", "Time in the guest, within a fifth.", 1);
    return OK;
}

/* @return how runs ended that did not end well, each outcome with its count. */
static const char *failures(apr_pool_t *pool, const status_runs *runs)
{
    const char *text = "";
    unsigned int i;

    for (i = 1; i < STATUS_OUTCOMES; i++) {
        apr_uint32_t count = runs->ended[i];

        if (count) {
            text = apr_psprintf(pool, "%s%s%u %s", text, *text ? ", " : "",
                                (unsigned int)count, outcome_names[i]);
        }
    }
    return *text ? text : "0";
}

static void cells_of_times(request_rec *r, const status_times *times)
{
    unsigned int i;

    for (i = 0; i < STATUS_PARTS; i++) {
        ap_rprintf(r, "<td>%.0f</td>", percentile(times, parts[i].part));
    }
}

static void section_text(request_rec *r)
{
    apr_uint32_t i;
    unsigned int j;

    for (i = 0; i < counts->rows; i++) {
        status_row *row = &counts->row[i];
        const status_runs *runs = runs_of(r->pool, row);

        ap_rprintf(r, "WasmModule%u: %s\n", (unsigned int)i, row->path);
        ap_rprintf(r, "WasmModule%uRunning: %u\n", (unsigned int)i,
                   (unsigned int)now_running((int)i));
        for (j = 0; j < STATUS_OUTCOMES; j++) {
            ap_rprintf(r, "WasmModule%uOutcome-%s: %u\n", (unsigned int)i,
                       outcome_names[j],
                       (unsigned int)runs->ended[j]);
        }
        for (j = 0; j < STATUS_PARTS; j++) {
            ap_rprintf(r, "WasmModule%uInstantiateUs-%s: %.0f\n",
                       (unsigned int)i, parts[j].label,
                       percentile(&runs->instantiate, parts[j].part));
        }
        for (j = 0; j < STATUS_PARTS; j++) {
            ap_rprintf(r, "WasmModule%uRunUs-%s: %.0f\n", (unsigned int)i,
                       parts[j].label, percentile(&runs->run, parts[j].part));
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
             "<th>Otherwise</th>"
             "<th>Instantiate, &micro;s: 50 %</th><th>90 %</th><th>99 %</th>"
             "<th>Run, &micro;s: 50 %</th><th>90 %</th><th>99 %</th>"
             "<th>Memory at most, KiB</th><th>Images: from the cache</th>"
             "<th>compiled</th><th>failed</th><th>Size, KiB</th></tr>\n", r);
    for (i = 0; i < counts->rows; i++) {
        status_row *row = &counts->row[i];
        const status_runs *runs = runs_of(r->pool, row);

        ap_rprintf(r, "<tr><td>%s</td><td>%u</td><td>%u</td><td>%s</td>",
                   ap_escape_html(r->pool, row->path),
                   (unsigned int)now_running((int)i),
                   (unsigned int)runs->ended[0],
                   failures(r->pool, runs));
        cells_of_times(r, &runs->instantiate);
        cells_of_times(r, &runs->run);
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
