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
 * @file  wasm_headers.h
 * @brief The header block of a CGI response (RFC 3875, section 6): finding its
 *        end in a stream of bytes, and checking its lines.
 *
 * The bytes come from a guest, so nothing is taken for granted. This file and
 * its implementation use the C library only, to be tested by themselves.
 */

#ifndef WASM_HEADERS_H
#define WASM_HEADERS_H

#include <stddef.h>

/** Bytes a header block may have, its final empty line included, where
 *  nothing else is said. */
#define WASM_HEADERS_MAX_BLOCK 65536

/** Bytes one line may have, without its line end: as many as httpd takes in a
 *  header of a CGI program. */
#define WASM_HEADERS_MAX_LINE 8189

/** Looks for the end of a header block; all zero bits at the beginning, but
 *  for the limit if there is one. */
typedef struct wasm_headers_finder {
    size_t limit;       /**< of the block; 0: WASM_HEADERS_MAX_BLOCK */
    size_t total;       /**< bytes seen so far */
    int in_line;        /**< the line we are in has a byte */
    int after_cr;       /**< and that byte is a single CR */
} wasm_headers_finder;

/** What wasm_headers_find_end() found. */
typedef enum wasm_headers_end {
    WASM_HEADERS_MORE = 0,   /**< the block goes on behind these bytes */
    WASM_HEADERS_FOUND,      /**< it ends within them */
    WASM_HEADERS_TOO_LARGE   /**< it exceeds the limit */
} wasm_headers_end;

/**
 * Looks at the next bytes of the stream for the empty line that ends the
 * block. Lines end with LF or CRLF.
 *
 * @param finder  what was seen before; updated.
 * @param data    the next bytes.
 * @param length  how many.
 * @param used    receives how many of them belong to the block.
 */
wasm_headers_end wasm_headers_find_end(wasm_headers_finder *finder,
                                       const char *data, size_t length,
                                       size_t *used);

/** One header line. The pointers point into the block; not NUL-terminated. */
typedef struct wasm_headers_line {
    const char *start;       /**< the line, from its name to its value's end */
    size_t length;
    size_t name_length;      /**< the name is at the line's start */
    const char *value;       /**< without blanks around it */
    size_t value_length;
} wasm_headers_line;

/** What wasm_headers_next() came to. Values below 0 are errors. */
typedef enum wasm_headers_result {
    WASM_HEADERS_LINE = 1,        /**< a line */
    WASM_HEADERS_DONE = 0,        /**< the empty line */
    WASM_HEADERS_CONTROL = -1,    /**< NUL, a lone CR or other control */
    WASM_HEADERS_NO_COLON = -2,   /**< not "name: value" */
    WASM_HEADERS_BAD_NAME = -3,   /**< the name is empty or no token */
    WASM_HEADERS_LONG_LINE = -4,  /**< exceeds WASM_HEADERS_MAX_LINE */
    WASM_HEADERS_BAD_STATUS = -5, /**< Status is not 200 to 599 with a reason */
    WASM_HEADERS_BAD_LENGTH = -6, /**< Content-Length is not a number */
    WASM_HEADERS_NO_END = -7,     /**< the block has no empty line */
    WASM_HEADERS_TWO_LENGTHS = -8 /**< Content-Length twice, not the same */
} wasm_headers_result;

/** A block that is taken apart; all zero bits at the beginning, but for where
 *  it is. */
typedef struct wasm_headers_block {
    const char *cursor;      /**< the next line */
    const char *end;         /**< of the block */
    const char *length;      /**< the value of a Content-Length seen so far */
    size_t length_length;
} wasm_headers_block;

/**
 * Takes the next line off a block and checks it, by itself and beside those
 * before it: two lengths of one body are an attempt to make somebody see two
 * responses (RFC 9112, section 6.3).
 *
 * @param block  moved behind the line.
 * @param line   receives the line, also if it is wrong.
 * @return WASM_HEADERS_LINE, WASM_HEADERS_DONE, or what is wrong.
 */
wasm_headers_result wasm_headers_next(wasm_headers_block *block,
                                      wasm_headers_line *line);

/** @return what is wrong, for the error log; never NULL. */
const char *wasm_headers_message(wasm_headers_result result);

/** Tells whether a line has this name, be its letters large or small.
 *
 * @param name    letters in lower case, and hyphens.
 * @param length  of `name`. */
int wasm_headers_is_named(const wasm_headers_line *line, const char *name,
                          size_t length);

/** The same of a literal. */
#define WASM_HEADERS_IS(line, name) \
    wasm_headers_is_named(line, name, sizeof(name) - 1)

/** Tells whether a header is the server's business and not the guest's: it
 *  describes the connection or the framing of the message on it. */
int wasm_headers_is_hop_by_hop(const wasm_headers_line *line);

#endif /* WASM_HEADERS_H */
