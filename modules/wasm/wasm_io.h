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
 * @file  wasm_io.h
 * @brief The standard streams of one run: standard input is the request's
 *        body, standard output the response, standard error the error log.
 *
 * Nothing is held back whole: bodies are pulled from the input filters as the
 * guest reads, and output goes to the output filters in pieces.
 */

#ifndef WASM_IO_H
#define WASM_IO_H

#include "httpd.h"
#include "apr_buckets.h"

#include "mod_wasm.h"
#include "wasm_headers.h"

/** Longest line of standard error that is logged in one piece. */
#define WASM_IO_MAX_LINE 4096

/** What becomes of the guest's output. */
typedef enum wasm_io_phase {
    WASM_IO_HEADERS,     /**< it is a CGI header block, kept until its end */
    WASM_IO_BODY,        /**< it is the response's body */
    WASM_IO_DISCARD      /**< nobody wants it; the guest runs to its end */
} wasm_io_phase;

typedef struct wasm_io {
    request_rec *r;
    const wasm_dir_conf *conf;
    const char *path;               /**< of the module, for messages */

    /* standard input */
    int body;                       /**< CGI: the guest gets the request's body
                                         and variables */
    apr_bucket_brigade *in;         /**< what was got and not yet read; NULL:
                                         the guest has not asked for any */
    int in_eos;
    int in_status;                  /**< HTTP status if that failed, or OK */
    apr_time_t read_end;            /**< when whoever waits for it gives up */

    /* standard output */
    wasm_io_phase phase;
    wasm_headers_finder finder;
    char *block;                    /**< the header block so far */
    apr_size_t block_length;
    apr_size_t block_size;
    int out_status;                 /**< what the headers led to: OK, or the
                                         status to answer with instead */
    const char *redirect;           /**< local redirect to make, or NULL */
    int took_headers;               /**< the guest's, into the response */
    apr_table_t *old_err_headers;   /**< as before that; NULL: none */
    const char *old_content_type;
    apr_bucket_brigade *out;
    apr_size_t pending;             /**< bytes in `out` */
    int sent;                       /**< the filters have got something */
    int unflushed;                  /**< and may still keep it */
    int waited;                     /**< what is there has seen a tick pass */
    apr_time_t waited_from;         /**< processor time then */
    apr_off_t promised;             /**< Content-Length of the guest, or -1 */
    apr_off_t written;              /**< of the body */
    int broken;                     /**< the filters do not take any more */
    apr_time_t last_byte;           /**< when the last of the request came */
    int looked;                     /**< whether the client is there was looked
                                         at since its last byte */
    int half_closed;                /**< it has closed its side, and may still
                                         be there */
    int knocks;                     /**< how often it was asked whether it is */
    apr_time_t next_knock;          /**< and when to ask again */
    apr_time_t deadline;            /**< when the guest is over; 0: it is */

    /* standard error */
    char *line;                     /**< the one that has begun, or NULL: made
                                         by the first byte, since few guests
                                         write any */
    apr_size_t line_length;
    apr_size_t error_bytes;         /**< logged so far */
    apr_size_t suppressed;          /**< bytes not logged any more */
} wasm_io;

/** What waits for a body on a connection: NULL, or the run's streams. */
typedef struct wasm_io_waiting {
    wasm_io *io;
} wasm_io_waiting;

/** Registers the filter through which runs wait for bodies. */
void wasm_io_register(void);

/** Hook: puts it into a connection. */
int wasm_io_pre_connection(conn_rec *c, void *csd);

/**
 * @param io    receives the streams' state.
 * @param r     the request.
 * @param conf  its configuration. With CGI the body goes to standard input, the
 *              environment tells of the request, and the output begins with
 *              headers. Otherwise standard input is empty, and all of the output
 *              is body.
 * @param path  the module, for messages.
 * @param longest  how long the guest may take from now on.
 */
void wasm_io_init(wasm_io *io, request_rec *r, const wasm_dir_conf *conf,
                  const char *path, apr_interval_time_t longest);

/** The functions for wasmrt_run(); their baton is a wasm_io. */
extern const wasmrt_streams wasm_io_streams;

/** The same, and each of the guest's host calls goes to the log at trace4. */
extern const wasmrt_streams wasm_io_traced_streams;

/** Logs what is left of standard error. */
void wasm_io_end_errors(wasm_io *io);

/** Takes back what the guest did to the response, of which nothing may have
 *  been sent. */
void wasm_io_reset(wasm_io *io);

/** Ends a response: passes on what is left. @return the handler's result. */
int wasm_io_finish(wasm_io *io);

/** Ends a response of which something has been sent and the rest will not
 *  come, so that the client can tell. @return the handler's result. */
int wasm_io_break(wasm_io *io);

#endif /* WASM_IO_H */
