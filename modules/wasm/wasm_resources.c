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

#include "httpd.h"
#include "ap_mpm.h"
#include "http_log.h"
#include "mpm_common.h"

#include <pthread.h>
#include <sys/resource.h>

#include "wasm_resources.h"

APLOG_USE_MODULE(wasm);

/* Guests with fewer descriptors than this are worth a warning. */
#define WASM_FEW_DESCRIPTORS 64

/* Native stack for one guest where nothing is configured, and what the runtime
 * and the server need of a thread's stack besides. */
#define WASM_DEFAULT_STACK   APR_INT64_C(1048576)
#define WASM_STACK_MARGIN    APR_INT64_C(393216)
#define WASM_SMALLEST_STACK  APR_INT64_C(65536)

/* Descriptors of one guest where nothing is configured; how many the server
 * itself may need, besides one for each thread's connection; and how many a
 * guest's descriptor can stand for: a directory that is being read takes
 * two. */
#define WASM_DEFAULT_DESCRIPTORS 256
#define WASM_OWN_DESCRIPTORS     256
#define WASM_EACH_DESCRIPTOR     2

/* A thread may need a second place while it holds one, for a guest whose
 * output includes another guest's, and HTTP/2 brings threads of its own. */
int wasm_resources_instances(const wasm_setup *setup)
{
    int threads = 1;

    if (setup->max_instances > 0) {
        return setup->max_instances;
    }
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    if (threads < 1) {
        threads = 1;
    }
    return threads + threads / 2 + 4;
}

/* @return bytes of stack that the threads that serve requests will have. */
static apr_int64_t thread_stack(void)
{
    int threaded = AP_MPMQ_NOT_SUPPORTED;
    struct rlimit limit;
    size_t size = 0;

    ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded);
    if (threaded != AP_MPMQ_NOT_SUPPORTED) {
        pthread_attr_t attr;

        if (ap_thread_stacksize) {
            return (apr_int64_t)ap_thread_stacksize;
        }
        if (pthread_attr_init(&attr) == 0) {
            if (pthread_attr_getstacksize(&attr, &size) != 0) {
                size = 0;
            }
            pthread_attr_destroy(&attr);
        }
        if (size) {
            return (apr_int64_t)size;
        }
    }
    if (getrlimit(RLIMIT_STACK, &limit) == 0
        && limit.rlim_cur != RLIM_INFINITY) {
        return (apr_int64_t)limit.rlim_cur;
    }
    return APR_INT64_MAX;
}

/* A guest is refused on a thread whose stack is too small for it. That none
 * can ever run is better said now. */
static int check_stack(wasm_setup *setup, server_rec *s)
{
    apr_int64_t available = thread_stack();
    apr_int64_t wanted = setup->stack_bytes > 0 ? setup->stack_bytes
                                                : WASM_DEFAULT_STACK;

    if (available >= wanted + WASM_STACK_MARGIN) {
        setup->stack_bytes = wanted;
    }
    else if (setup->stack_bytes < 0
             && available >= WASM_SMALLEST_STACK + WASM_STACK_MARGIN) {
        setup->stack_bytes = available - WASM_STACK_MARGIN;
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, APLOGNO(10911)
                     "threads have %" APR_INT64_T_FMT " bytes of stack, so "
                     "guests may use %" APR_INT64_T_FMT "; raise "
                     "ThreadStackSize to give them the usual %"
                     APR_INT64_T_FMT, available, setup->stack_bytes, wanted);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
                     APLOGNO(10912) "threads have %" APR_INT64_T_FMT " bytes "
                     "of stack, too few for guests with %" APR_INT64_T_FMT
                     "; raise ThreadStackSize (or the stack limit of the "
                     "shell that starts the server) to %" APR_INT64_T_FMT
                     " or lower WasmStackLimit", available, wanted,
                     wanted + WASM_STACK_MARGIN);
        return 0;
    }
    return 1;
}

/* @return how many descriptors a process needs for guests that have
 *         `each` of them. */
static apr_int64_t needed_descriptors(const wasm_setup *setup, int each)
{
    int instances = wasm_resources_instances(setup);

    return WASM_OWN_DESCRIPTORS
           + (apr_int64_t)instances * (1 + WASM_EACH_DESCRIPTOR * each);
}

/* A server without a free descriptor cannot take connections, so guests get a
 * share each of what a process may have, however many of them run. */
static void check_descriptors(wasm_setup *setup, server_rec *s)
{
    int wanted = setup->max_descriptors > WASM_DEFAULT_DESCRIPTORS
                 ? setup->max_descriptors : WASM_DEFAULT_DESCRIPTORS;
    struct rlimit limit;
    apr_int64_t share;

    setup->max_descriptors = wanted;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0
        || limit.rlim_max == RLIM_INFINITY
        || (apr_int64_t)limit.rlim_max >= needed_descriptors(setup, wanted)) {
        return;
    }
    share = ((apr_int64_t)limit.rlim_max - needed_descriptors(setup, 0))
            / wasm_resources_instances(setup) / WASM_EACH_DESCRIPTOR;
    setup->max_descriptors = share > 8 ? (int)share : 8;
    /* Few guests need so many; fewer than this is felt. */
    ap_log_error(APLOG_MARK, setup->max_descriptors < WASM_FEW_DESCRIPTORS
                             ? APLOG_WARNING : APLOG_INFO, 0, s, APLOGNO(10954)
                 "a process may have %" APR_INT64_T_FMT " descriptors, so "
                 "each guest may have %d instead of %d; raise the hard limit "
                 "(ulimit -Hn) to %" APR_INT64_T_FMT " or lower "
                 "WasmMaxInstances", (apr_int64_t)limit.rlim_max,
                 setup->max_descriptors, wanted,
                 needed_descriptors(setup, wanted));
}

wasmrt_layout wasm_resources_layout(const wasm_setup *setup)
{
    return wasmrt_layout_fits((apr_uint32_t)wasm_resources_instances(setup))
           ? WASMRT_LAYOUT_RESERVED : WASMRT_LAYOUT_COMPACT;
}

int wasm_resources_check(wasm_setup *setup, server_rec *s)
{
    const char *lack;
    apr_uint32_t i;

    if (!check_stack(setup, s)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (i = 0; (lack = wasmrt_kernel_lack(i)) != NULL; i++) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, s, APLOGNO(10957) "%s", lack);
    }
    check_descriptors(setup, s);
    setup->layout = wasm_resources_layout(setup);
    if (setup->layout == WASMRT_LAYOUT_COMPACT) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, APLOGNO(10915)
                     "the address space of a process does not suffice for %d "
                     "instances at once, so guests run with explicit memory "
                     "checks, which is slower; raise the limit on address "
                     "space (ulimit -v) or lower WasmMaxInstances",
                     wasm_resources_instances(setup));
    }
    return OK;
}

/* Where the limit that is in force is lower than what guests may need, it is
 * raised within the limit that the administrator has set. */
void wasm_resources_child_init(const wasm_setup *setup)
{
    rlim_t needed = (rlim_t)needed_descriptors(setup, setup->max_descriptors);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed) {
        limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

apr_uint32_t wasm_resources_descriptors(const wasm_dir_conf *conf)
{
    const wasm_setup *setup = wasm_config_setup();
    int wanted = conf->max_descriptors > 0 ? conf->max_descriptors
                                           : WASM_DEFAULT_DESCRIPTORS;

    return (apr_uint32_t)(wanted < setup->max_descriptors
                          ? wanted : setup->max_descriptors);
}
