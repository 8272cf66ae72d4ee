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

#include "apr_portable.h"
#include "apr_strings.h"

#include "httpd.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "util_filter.h"

#include <poll.h>
#include <time.h>

#include "wasm_cgi.h"
#include "wasm_child.h"
#include "wasm_io.h"

APLOG_USE_MODULE(wasm);

/* Output is gathered up to this many bytes, so that a short response goes out
 * in one piece with its length, and a long one not in crumbs. */
#define WASM_IO_GATHER 16384

/* A write of this many bytes is passed on without a copy. */
#define WASM_IO_DIRECT 8192

/* Most of a body that is got at once; the guest may take it in smaller
 * pieces. */
#define WASM_IO_READ 65536

/* First size of the buffer for headers. */
#define WASM_IO_HEADER_BLOCK 1024

/* What one run may write to the error log. */
#define WASM_IO_MAX_ERRORS 65536

/* How often a body is looked for on a connection that is shared. */
#define WASM_IO_LOOK_MS 20

/* How often whoever waits for a body asks whether to go on. */
#define WASM_IO_SLICE_MS 100

/* When a client that may be gone is asked again, which takes twice as long each
 * time; and how often, so that a chunk's size has no more digits than clients
 * take, which is 16. */
#define WASM_IO_KNOCK_MS   500
#define WASM_IO_MAX_KNOCKS 8

/* How long after the last byte of its request a client may close its side as
 * part of sending it. */
#define WASM_IO_CLOSING apr_time_from_msec(500)

/* Processor time that a guest takes after its last words before these are sent
 * on their own. */
#define WASM_IO_BUSY apr_time_from_msec(50)

static int is_over(wasm_io *io, int is_waiting);

void wasm_io_init(wasm_io *io, request_rec *r, const wasm_dir_conf *conf,
                  const char *path, apr_interval_time_t longest)
{
    memset(io, 0, sizeof(*io));
    io->r = r;
    io->conf = conf;
    io->path = path;
    io->body = conf->enable_cgi == 1;
    io->phase = io->body ? WASM_IO_HEADERS : WASM_IO_BODY;
    io->out = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    io->promised = -1;
    io->finder.limit = conf->header_bytes > 0 ? (apr_size_t)conf->header_bytes
                                              : WASM_HEADERS_MAX_BLOCK;
    io->last_byte = apr_time_now();
    io->deadline = io->last_byte + longest;
}

/* ------------------------------------------------------------------------ */
/* Standard input                                                           */

static ap_filter_rec_t *wait_filter;

static apr_status_t get_os_socket(conn_rec *c, apr_os_sock_t *fd)
{
    apr_socket_t *socket = ap_get_conn_socket(c);

    return socket ? apr_os_sock_get(fd, socket) : APR_ENOSOCKET;
}

/* Waits until the client sends something or closes the connection. */
static apr_status_t wait_for_client(wasm_io *io, apr_time_t end)
{
    struct pollfd pollfd;
    apr_os_sock_t fd;
    apr_status_t rv = get_os_socket(io->r->connection, &fd);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    pollfd.fd = fd;
    pollfd.events = POLLIN;
    for (;;) {
        apr_interval_time_t left = end - apr_time_now();
        int ready;

        if (left <= 0) {
            return APR_TIMEUP;
        }
        if (left > apr_time_from_msec(WASM_IO_SLICE_MS)) {
            left = apr_time_from_msec(WASM_IO_SLICE_MS);
        }
        ready = poll(&pollfd, 1, (int)((left + 999) / 1000));
        if (ready > 0) {
            return APR_SUCCESS;
        }
        if (ready < 0 && errno != EINTR) {
            return errno;
        }
        if (is_over(io, 1)) {
            return APR_ECONNABORTED;
        }
    }
}

/* The socket's timeout begins anew with each byte, and a chunk's size or a
 * trailer can have thousands, which the filters above collect in one call. So
 * it is here, beneath them all, that a run's time ends for who waits. Filters
 * that wait by themselves, as mod_reqtimeout does, come by for each byte. */
static apr_status_t wait_for_body(ap_filter_t *f, apr_bucket_brigade *bb,
                                  ap_input_mode_t mode, apr_read_type_e block,
                                  apr_off_t readbytes)
{
    wasm_io *io = ((wasm_io_waiting *)f->ctx)->io;
    apr_interval_time_t patience = -1;
    apr_socket_t *socket;
    apr_time_t now;
    apr_time_t end;

    if (!io || (mode != AP_MODE_READBYTES && mode != AP_MODE_GETLINE)
        || (socket = ap_get_conn_socket(f->c)) == NULL) {
        return ap_get_brigade(f->next, bb, mode, block, readbytes);
    }
    now = apr_time_now();
    end = io->read_end;
    apr_socket_timeout_get(socket, &patience);
    if (patience >= 0 && now + patience < end) {
        end = now + patience;
    }
    for (; now < io->read_end; now = apr_time_now()) {
        apr_status_t rv = ap_get_brigade(f->next, bb, mode, APR_NONBLOCK_READ,
                                         readbytes);

        if (block != APR_BLOCK_READ
            || (!APR_STATUS_IS_EAGAIN(rv)
                && !(rv == APR_SUCCESS && APR_BRIGADE_EMPTY(bb)))) {
            return rv;
        }
        rv = wait_for_client(io, end);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    return APR_TIMEUP;
}

int wasm_io_pre_connection(conn_rec *c, void *csd)
{
    wasm_io_waiting *waiting;

    if (c->master) {
        return DECLINED;
    }
    waiting = apr_pcalloc(c->pool, sizeof(*waiting));
    ap_set_module_config(c->conn_config, &wasm_module, waiting);
    ap_add_input_filter_handle(wait_filter, waiting, NULL, c);
    return OK;
}

void wasm_io_register(void)
{
    /* Nearest to the network, TLS above it. */
    wait_filter = ap_register_input_filter("WASM_WAIT", wait_for_body, NULL,
                                           AP_FTYPE_NETWORK - 1);
}

/* The same where the socket is shared with other requests, and not ours to
 * wait for. */
static apr_status_t get_shared_body(wasm_io *io)
{
    apr_time_t next = apr_time_now() + apr_time_from_msec(WASM_IO_SLICE_MS);

    for (;;) {
        apr_status_t rv = ap_get_brigade(io->r->input_filters, io->in,
                                         AP_MODE_READBYTES, APR_NONBLOCK_READ,
                                         WASM_IO_READ);

        if (!APR_STATUS_IS_EAGAIN(rv)
            && !(rv == APR_SUCCESS && APR_BRIGADE_EMPTY(io->in))) {
            return rv;
        }
        if (apr_time_now() >= io->read_end) {
            return APR_TIMEUP;
        }
        if (apr_time_now() >= next) {
            if (is_over(io, 1)) {
                return APR_ECONNABORTED;
            }
            next = apr_time_now() + apr_time_from_msec(WASM_IO_SLICE_MS);
        }
        apr_sleep(apr_time_from_msec(WASM_IO_LOOK_MS));
    }
}

/* Gets the next piece of the body, waiting no longer than until read_end. */
static apr_status_t get_body(wasm_io *io)
{
    conn_rec *c = io->r->connection;
    apr_interval_time_t left = io->read_end - apr_time_now();
    apr_interval_time_t usual;
    apr_socket_t *socket;
    wasm_io_waiting *waiting;
    apr_status_t rv;

    if (c->master) {
        return get_shared_body(io);
    }
    waiting = ap_get_module_config(c->conn_config, &wasm_module);
    socket = ap_get_conn_socket(c);
    if (!waiting || !socket
        || apr_socket_timeout_get(socket, &usual) != APR_SUCCESS) {
        return ap_get_brigade(io->r->input_filters, io->in, AP_MODE_READBYTES,
                              APR_BLOCK_READ, WASM_IO_READ);
    }
    if (left < apr_time_from_msec(1)) {
        left = apr_time_from_msec(1);
    }
    waiting->io = io;
    if (usual < 0 || usual > left) {
        apr_socket_timeout_set(socket, left);
    }
    rv = ap_get_brigade(io->r->input_filters, io->in, AP_MODE_READBYTES,
                        APR_BLOCK_READ, WASM_IO_READ);
    apr_socket_timeout_set(socket, usual);
    waiting->io = NULL;
    return rv;
}

/* Moves what is there into the guest's buffer. */
static apr_status_t take_body(wasm_io *io, char *buffer, apr_size_t length,
                              apr_size_t *taken)
{
    *taken = 0;
    while (*taken < length && !APR_BRIGADE_EMPTY(io->in)) {
        apr_bucket *bucket = APR_BRIGADE_FIRST(io->in);
        const char *data;
        apr_size_t available;
        apr_status_t rv;

        if (APR_BUCKET_IS_EOS(bucket)) {
            io->in_eos = 1;
            apr_brigade_cleanup(io->in);
            break;
        }
        if (APR_BUCKET_IS_METADATA(bucket)) {
            apr_bucket_delete(bucket);
            continue;
        }
        rv = apr_bucket_read(bucket, &data, &available, APR_BLOCK_READ);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        if (available > length - *taken) {
            available = length - *taken;
            apr_bucket_split(bucket, available);
        }
        memcpy(buffer + *taken, data, available);
        *taken += available;
        apr_bucket_delete(bucket);
    }
    return APR_SUCCESS;
}

static int64_t io_read(void *baton, void *buffer, size_t length,
                       uint32_t timeout_ms)
{
    wasm_io *io = baton;
    request_rec *r = io->r;
    apr_size_t taken = 0;
    apr_status_t rv = APR_SUCCESS;

    if (!io->body) {
        return 0;
    }
    if (!io->in) {
        io->in = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    }
    io->read_end = apr_time_now() + apr_time_from_msec((apr_time_t)timeout_ms);
    while (!taken && !io->in_eos && rv == APR_SUCCESS) {
        if (APR_BRIGADE_EMPTY(io->in)) {
            rv = get_body(io);
        }
        if (rv == APR_SUCCESS) {
            rv = take_body(io, buffer, length, &taken);
        }
    }
    if (taken || io->in_eos) {
        io->looked = 0;
        io->last_byte = apr_time_now();
        return (int64_t)taken;
    }
    /* Who waits by milliseconds may wake up a moment early. */
    if (apr_time_now() + (APR_STATUS_IS_TIMEUP(rv) ? apr_time_from_msec(10) : 0)
        >= io->read_end) {
        return -2;
    }
    if (rv == APR_ECONNABORTED) {
        return -1;
    }
    io->in_status = ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
    if (io->in_status == AP_FILTER_ERROR
        || io->in_status == HTTP_BAD_REQUEST) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, rv == AP_FILTER_ERROR ? 0 : rv, r,
                  APLOGNO(10930) "cannot read the request body for module %s",
                  io->path);
    return -1;
}

/* ------------------------------------------------------------------------ */
/* Standard output                                                          */

/* A client that does not read keeps the guest no longer than its time; the
 * server's own patience begins anew with each byte that it takes. Where the
 * connection is shared, mod_http2's timeouts count. */
static apr_status_t pass_in_time(wasm_io *io, ap_filter_t *filters,
                                 apr_bucket_brigade *bb)
{
    conn_rec *c = io->r->connection;
    apr_socket_t *socket = io->deadline && !c->master ? ap_get_conn_socket(c)
                                                      : NULL;
    apr_interval_time_t usual;
    apr_interval_time_t left;
    apr_status_t rv;

    if (!socket || apr_socket_timeout_get(socket, &usual) != APR_SUCCESS) {
        return ap_pass_brigade(filters, bb);
    }
    left = io->deadline - apr_time_now();
    if (left < apr_time_from_msec(1)) {
        left = apr_time_from_msec(1);
    }
    if (usual >= 0 && usual <= left) {
        return ap_pass_brigade(filters, bb);
    }
    apr_socket_timeout_set(socket, left);
    rv = ap_pass_brigade(filters, bb);
    apr_socket_timeout_set(socket, usual);
    return rv;
}

/* Passes on what was gathered. */
static int pass_output(wasm_io *io)
{
    apr_status_t rv;

    io->sent = 1;
    io->unflushed = 1;
    io->waited = 0;
    rv = pass_in_time(io, io->r->output_filters, io->out);
    apr_brigade_cleanup(io->out);
    io->pending = 0;
    if (rv != APR_SUCCESS || io->r->connection->aborted) {
        io->broken = 1;
        return -1;
    }
    return 0;
}

static int pass_flush(wasm_io *io)
{
    APR_BRIGADE_INSERT_TAIL(io->out,
                            apr_bucket_flush_create(io->out->bucket_alloc));
    if (pass_output(io) != 0) {
        return -1;
    }
    io->unflushed = 0;
    return 0;
}

static int write_body(wasm_io *io, const char *data, apr_size_t length)
{
    if (io->promised >= 0
        && (apr_off_t)length > io->promised - io->written) {
        if (io->written <= io->promised) {
            ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, io->r, APLOGNO(10931)
                          "module %s sent more than its Content-Length of %"
                          APR_OFF_T_FMT " bytes; cut off there", io->path,
                          io->promised);
        }
        length = (apr_size_t)(io->promised - io->written);
        io->phase = WASM_IO_DISCARD;
    }
    if (!length) {
        return 0;
    }
    io->written += length;
    io->pending += length;
    if (length < WASM_IO_DIRECT) {
        apr_brigade_write(io->out, NULL, NULL, data, length);
        return io->pending < WASM_IO_GATHER ? 0 : pass_output(io);
    }
    /* The filters copy what they keep beyond the call. */
    APR_BRIGADE_INSERT_TAIL(io->out,
                            apr_bucket_transient_create(data, length,
                                                io->out->bucket_alloc));
    return pass_output(io);
}

/* Appends to the header block. */
static void keep_headers(wasm_io *io, const char *data, apr_size_t length)
{
    if (length > io->block_size - io->block_length) {
        apr_size_t size = io->block_size ? io->block_size
                                         : WASM_IO_HEADER_BLOCK;
        char *block;

        while (size < io->block_length + length) {
            size *= 2;
        }
        block = apr_palloc(io->r->pool, size);
        if (io->block_length) {
            memcpy(block, io->block, io->block_length);
        }
        io->block = block;
        io->block_size = size;
    }
    memcpy(io->block + io->block_length, data, length);
    io->block_length += length;
}

/* The header block is complete. It may be guest memory. */
static int use_headers(wasm_io *io, const char *block, apr_size_t block_length)
{
    request_rec *r = io->r;
    const char *length;

    io->took_headers = 1;
    /* The guest's go into a copy: a request that this one was redirected from
     * has the same table, and may yet have to answer by itself. */
    if (!apr_is_empty_table(r->err_headers_out)) {
        io->old_err_headers = r->err_headers_out;
        r->err_headers_out = apr_table_copy(r->pool, r->err_headers_out);
    }
    io->old_content_type = r->content_type;
    io->out_status = wasm_cgi_headers(r, io->path, block, block_length,
                                      &io->redirect);
    if (io->out_status == HTTP_BAD_GATEWAY) {
        return -1;
    }
    if (io->out_status != OK || r->status == HTTP_NO_CONTENT
        || r->status == HTTP_NOT_MODIFIED) {
        io->phase = WASM_IO_DISCARD;
        return 0;
    }
    io->phase = WASM_IO_BODY;
    length = apr_table_get(r->headers_out, "Content-Length");
    if (length && !r->header_only) {
        io->promised = (apr_off_t)apr_atoi64(length);
    }
    return 0;
}

static int io_write(void *baton, const void *buffer, size_t length)
{
    wasm_io *io = baton;
    const char *data = buffer;

    if (io->phase == WASM_IO_HEADERS) {
        size_t used;
        wasm_headers_end end = wasm_headers_find_end(&io->finder, data,
                                                     length, &used);

        if (end == WASM_HEADERS_TOO_LARGE) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, io->r, APLOGNO(10932)
                          "module %s sent more than %" APR_SIZE_T_FMT " bytes "
                          "of headers (see WasmHeaderLimit); the response is "
                          "not passed on", io->path, io->finder.limit);
            io->out_status = HTTP_BAD_GATEWAY;
            return -1;
        }
        if (end == WASM_HEADERS_MORE || io->block_length) {
            keep_headers(io, data, used);
        }
        if (end == WASM_HEADERS_MORE) {
            return 0;
        }
        if (use_headers(io, io->block_length ? io->block : data,
                        io->block_length ? io->block_length : used) != 0) {
            return -1;
        }
        data += used;
        length -= used;
    }
    return io->phase == WASM_IO_BODY && length ? write_body(io, data, length)
                                               : 0;
}

static int io_flush(void *baton)
{
    wasm_io *io = baton;

    if (io->phase == WASM_IO_BODY
        && (io->pending || io->unflushed || (io->body && !io->sent))) {
        return pass_flush(io);
    }
    return 0;
}

/* Sends something that says nothing, which a client that is gone answers with a
 * reset of the connection: before the response an interim one, which any client
 * of HTTP/1.1 has to expect (RFC 9110, section 15.2); between two chunks of it a
 * leading zero of the next one's size (RFC 9112, section 7.1).
 *
 * @return 0 if there is no such thing. */
static int knock(wasm_io *io)
{
    static const char interim[] = AP_SERVER_PROTOCOL " 100 Continue" CRLF CRLF;
    request_rec *r = io->r;
    conn_rec *c = r->connection;
    apr_bucket_brigade *bb;

    if (r->main || r->assbackwards || r->header_only
        || r->proto_num < HTTP_VERSION(1, 1) || (io->sent && !r->chunked)) {
        return 0;
    }
    bb = apr_brigade_create(r->pool, c->bucket_alloc);
    APR_BRIGADE_INSERT_TAIL(bb, io->sent
                            ? apr_bucket_immortal_create("0", 1,
                                                         c->bucket_alloc)
                            : apr_bucket_immortal_create(interim,
                                                         sizeof(interim) - 1,
                                                         c->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(c->bucket_alloc));
    pass_in_time(io, c->output_filters, bb);
    apr_brigade_destroy(bb);
    return 1;
}

/* A client that has closed its sending side may be gone, or have said all that
 * it has to say, and go later. It is asked now and then; where that cannot be,
 * it counts as the latter if it closed right behind its request.
 *
 * @return 1 if the client is gone. */
static int is_gone(wasm_io *io)
{
    conn_rec *c = io->r->connection;
    struct pollfd pollfd;
    apr_os_sock_t fd;
    int early = !io->looked
                || apr_time_now() < io->last_byte + WASM_IO_CLOSING;

    if (c->aborted) {
        return 1;
    }
    /* Behind a multiplexed connection c->aborted tells all. */
    if (c->master || get_os_socket(c, &fd) != APR_SUCCESS) {
        return 0;
    }
    io->looked = 1;
    pollfd.fd = fd;
#ifdef POLLRDHUP
    pollfd.events = POLLRDHUP;
#else
    pollfd.events = 0;
#endif
    pollfd.revents = 0;
    if (poll(&pollfd, 1, 0) != 1) {
        return 0;
    }
    if (pollfd.revents & (POLLERR | POLLHUP | POLLNVAL)) {
        return 1;
    }
    if (io->half_closed && (io->knocks == WASM_IO_MAX_KNOCKS
                            || apr_time_now() < io->next_knock)) {
        return 0;
    }
    io->next_knock = apr_time_now()
                     + apr_time_from_msec((apr_time_t)WASM_IO_KNOCK_MS
                                          << io->knocks++);
    if (!knock(io) && !io->half_closed && !early) {
        return 1;
    }
    io->half_closed = 1;
    return 0;
}

/* @return processor time of this thread; wall time where that is not known. */
static apr_time_t processor_time(void)
{
#ifdef CLOCK_THREAD_CPUTIME_ID
    struct timespec time;

    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0) {
        return apr_time_from_sec((apr_time_t)time.tv_sec) + time.tv_nsec / 1000;
    }
#endif
    return apr_time_now();
}

/* What a guest has said so far should not wait while it takes its time. One
 * that had merely no processor is not interrupted before its response is whole:
 * it would go without its length.
 *
 * @return 0, or -1 if nobody takes it. */
static int pass_what_waits(wasm_io *io, int is_waiting)
{
    if (io->phase != WASM_IO_BODY || !(io->pending || io->unflushed)) {
        return 0;
    }
    if (!io->waited) {
        io->waited = 1;
        io->waited_from = processor_time();
        return 0;
    }
    return is_waiting || processor_time() - io->waited_from >= WASM_IO_BUSY
           ? pass_flush(io) : 0;
}

/* @return 1 if a run should end since nobody will see what comes of it. */
static int is_over(wasm_io *io, int is_waiting)
{
    if (is_gone(io)) {
        io->r->connection->aborted = 1;
        io->broken = 1;
        return 1;
    }
    if (wasm_child_is_stopping()) {
        io->out_status = HTTP_SERVICE_UNAVAILABLE;
        return 1;
    }
    return pass_what_waits(io, is_waiting) != 0;
}

static int io_aborted(void *baton)
{
    return is_over(baton, 0);
}

/* @return 1 if some of the request's body may not have been read. */
static int is_body_left(const wasm_io *io)
{
    const request_rec *r = io->r;

    return !r->main && !io->in_eos
           && (apr_table_get(r->headers_in, "Content-Length")
               || apr_table_get(r->headers_in, "Transfer-Encoding"));
}

void wasm_io_reset(wasm_io *io)
{
    request_rec *r = io->r;

    apr_brigade_cleanup(io->out);
    io->pending = 0;
    if (io->took_headers) {
        apr_table_clear(r->headers_out);
        if (io->old_err_headers) {
            r->err_headers_out = io->old_err_headers;
        }
        else {
            apr_table_clear(r->err_headers_out);
        }
        r->content_type = io->old_content_type;
        r->status = HTTP_OK;
        r->status_line = NULL;
    }
    /* Else the server would wait for the rest of the body before it sends
     * its answer to a run that may just have failed because of that wait. */
    if (is_body_left(io)) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
}

/* A client that still sends a body, which nobody has read, may wait for the
 * response before it goes on; the server will wait for the body. */
static void flush_early_response(wasm_io *io)
{
    conn_rec *c = io->r->connection;

    if (is_body_left(io)) {
        APR_BRIGADE_INSERT_TAIL(io->out,
                                apr_bucket_flush_create(c->bucket_alloc));
        ap_pass_brigade(c->output_filters, io->out);
        apr_brigade_cleanup(io->out);
    }
}

int wasm_io_finish(wasm_io *io)
{
    request_rec *r = io->r;

    io->deadline = 0;
    if (io->broken) {
        r->connection->keepalive = AP_CONN_CLOSE;
        return OK;
    }
    if (io->promised > io->written) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, APLOGNO(10933)
                      "module %s sent %" APR_OFF_T_FMT " of the %"
                      APR_OFF_T_FMT " bytes its Content-Length promises",
                      io->path, io->written, io->promised);
        if (io->sent) {
            return wasm_io_break(io);
        }
        apr_table_unset(r->headers_out, "Content-Length");
    }
    APR_BRIGADE_INSERT_TAIL(io->out,
                            apr_bucket_eos_create(io->out->bucket_alloc));
    if (pass_output(io) == 0) {
        flush_early_response(io);
    }
    return OK;
}

int wasm_io_break(wasm_io *io)
{
    request_rec *r = io->r;
    conn_rec *c = r->connection;

    io->deadline = 0;
    r->no_cache = 1;
    if (r->main) {
        r->main->no_cache = 1;
    }
    c->keepalive = AP_CONN_CLOSE;
    /* What has been written so far still goes out, by itself: filters may
     * drop data that comes together with the error. */
    if (!io->broken && (!io->pending || pass_flush(io) == 0)) {
        APR_BRIGADE_INSERT_TAIL(io->out,
                                ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL,
                                                       r->pool,
                                                       c->bucket_alloc));
        APR_BRIGADE_INSERT_TAIL(io->out,
                                ap_bucket_eoc_create(c->bucket_alloc));
        APR_BRIGADE_INSERT_TAIL(io->out,
                                apr_bucket_eos_create(c->bucket_alloc));
        pass_output(io);
    }
    return OK;
}

/* ------------------------------------------------------------------------ */
/* Standard error                                                           */

/* Each line names its request, so that it can be found among others. */
static void log_line(wasm_io *io)
{
    request_rec *r = io->r;

    io->line[io->line_length] = '\0';
    if (io->line_length && io->line[io->line_length - 1] == '\r') {
        io->line[io->line_length - 1] = '\0';
    }
    if (io->error_bytes >= WASM_IO_MAX_ERRORS) {
        io->suppressed += io->line_length;
    }
    else {
        /* A line counts for more than its text, which may be empty. */
        io->error_bytes += io->line_length + 64;
        if (!r->log_id) {
            ap_run_generate_log_id(r->connection, r, &r->log_id);
        }
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, APLOGNO(10934)
                      "stderr from %s (request %s): %s", io->path,
                      r->log_id ? r->log_id : "-", io->line);
    }
    io->line_length = 0;
}

static void io_write_error(void *baton, const void *buffer, size_t length)
{
    wasm_io *io = baton;
    const char *data = buffer;
    size_t i;

    if (!io->line) {
        io->line = apr_palloc(io->r->pool, WASM_IO_MAX_LINE + 1);
    }
    for (i = 0; i < length; i++) {
        if (data[i] == '\n') {
            log_line(io);
            continue;
        }
        if (io->line_length == WASM_IO_MAX_LINE) {
            log_line(io);
        }
        /* The log escapes all other control characters by itself. */
        io->line[io->line_length++] = data[i] ? data[i] : ' ';
    }
}

void wasm_io_end_errors(wasm_io *io)
{
    if (io->line_length) {
        log_line(io);
    }
    if (io->suppressed) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, io->r, APLOGNO(10935)
                      "module %s wrote %" APR_SIZE_T_FMT " more bytes to "
                      "standard error, which are not logged", io->path,
                      io->suppressed);
    }
}

/* ------------------------------------------------------------------------ */

static size_t io_environment(void *baton, const wasmrt_variable **variables)
{
    wasm_io *io = baton;
    apr_size_t count = 0;

    if (io->body) {
        *variables = wasm_cgi_environment(io->r, io->conf, &count);
    }
    return count;
}

const wasmrt_streams wasm_io_streams = {
    sizeof(wasmrt_streams),
    { -1, -1, -1 },
    io_read,
    io_write,
    io_flush,
    io_write_error,
    io_aborted,
    NULL,
    io_environment
};

static void io_trace(void *baton, const char *line)
{
    wasm_io *io = baton;

    ap_log_rerror(APLOG_MARK, APLOG_TRACE4, 0, io->r, "%s", line);
}

const wasmrt_streams wasm_io_traced_streams = {
    sizeof(wasmrt_streams),
    { -1, -1, -1 },
    io_read,
    io_write,
    io_flush,
    io_write_error,
    io_aborted,
    io_trace,
    io_environment
};
