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

#include <string.h>

#include "wasm_headers.h"

wasm_headers_end wasm_headers_find_end(wasm_headers_finder *finder,
                                       const char *data, size_t length,
                                       size_t *used)
{
    size_t room = (finder->limit ? finder->limit : WASM_HEADERS_MAX_BLOCK)
                  - finder->total;
    const char *end = data + (length < room ? length : room);
    const char *p = data;
    int found = 0;

    while (p < end && !found) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end;

        if (stop > p) {
            finder->after_cr = !finder->in_line && stop - p == 1 && *p == '\r';
            finder->in_line = 1;
        }
        p = stop;
        if (newline) {
            p++;
            found = !finder->in_line || finder->after_cr;
            finder->in_line = 0;
            finder->after_cr = 0;
        }
    }
    *used = (size_t)(p - data);
    finder->total += *used;
    if (found) {
        return WASM_HEADERS_FOUND;
    }
    return *used < length ? WASM_HEADERS_TOO_LARGE : WASM_HEADERS_MORE;
}

/* What a byte is; locale-free, unlike <ctype.h>. */
#define T 1     /* may be in a name: a token's character (RFC 9110, 5.6.2) */
#define C 2     /* a control character, but for the tab */
#define R 4     /* the one that may end a line, before LF */

static const unsigned char classes[256] = {
    C, C, C, C, C, C, C, C, C, 0, C, C, C, R, C, C,
    C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C,
    0, T, 0, T, T, T, T, T, 0, 0, T, T, 0, T, T, 0,
    T, T, T, T, T, T, T, T, T, T, 0, 0, 0, 0, 0, 0,
    0, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    T, T, T, T, T, T, T, T, T, T, T, 0, 0, 0, T, T,
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T,
    T, T, T, T, T, T, T, T, T, T, T, 0, T, 0, T, C
};

static int class_of(char c)
{
    return classes[(unsigned char)c];
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int wasm_headers_is_named(const wasm_headers_line *line, const char *name,
                          size_t length)
{
    size_t i;

    if (line->name_length != length) {
        return 0;
    }
    for (i = 0; i < length; i++) {
        /* No character of a token but a letter becomes one by this bit, and
         * none a hyphen. */
        if ((line->start[i] | 0x20) != name[i]) {
            return 0;
        }
    }
    return 1;
}

/* Informational statuses are not a guest's: they would begin a second
 * response or another protocol on the connection. */
static int is_status(const char *value, size_t length)
{
    return length >= 3 && value[0] >= '2' && value[0] <= '5'
           && is_digit(value[1]) && is_digit(value[2])
           && (length == 3 || value[3] == ' ');
}

/* At most 18 digits, which fit in 63 bits. */
static int is_length(const char *value, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++) {
        if (!is_digit(value[i])) {
            return 0;
        }
    }
    return length > 0 && length <= 18;
}

/* @return whether it is the first length of this block, or the same again. */
static int is_the_length(wasm_headers_block *block,
                         const wasm_headers_line *line)
{
    if (block->length) {
        return block->length_length == line->value_length
               && !memcmp(block->length, line->value, line->value_length);
    }
    block->length = line->value;
    block->length_length = line->value_length;
    return 1;
}

wasm_headers_result wasm_headers_next(wasm_headers_block *block,
                                      wasm_headers_line *line)
{
    const char *start = block->cursor;
    const char *end = block->end;
    const char *colon;
    const char *stop;
    const char *p = start;
    int seen = 0;

    while (p < end && class_of(*p) == T) {
        p++;
    }
    colon = p;
    while (p < end && *p != '\n') {
        seen |= class_of(*p++);
    }
    line->start = start;
    line->length = (size_t)(p - start);
    if (p == end) {
        return WASM_HEADERS_NO_END;
    }
    block->cursor = p + 1;
    stop = p > start && p[-1] == '\r' ? p - 1 : p;
    if (stop == start) {
        return WASM_HEADERS_DONE;
    }
    line->length = (size_t)(stop - start);
    if (line->length > WASM_HEADERS_MAX_LINE) {
        return WASM_HEADERS_LONG_LINE;
    }
    if ((seen & C)
        || ((seen & R) && memchr(start, '\r', line->length))) {
        return WASM_HEADERS_CONTROL;
    }
    line->name_length = (size_t)(colon - start);
    if (*colon != ':') {
        return memchr(colon, ':', (size_t)(stop - colon)) ? WASM_HEADERS_BAD_NAME
                                                          : WASM_HEADERS_NO_COLON;
    }
    if (colon == start) {
        return WASM_HEADERS_BAD_NAME;
    }
    for (p = colon + 1; p < stop && is_blank(*p); p++) {
        continue;
    }
    while (stop > p && is_blank(stop[-1])) {
        stop--;
    }
    line->value = p;
    line->value_length = (size_t)(stop - p);
    line->length = (size_t)(stop - start);

    if (WASM_HEADERS_IS(line, "status")
        && !is_status(line->value, line->value_length)) {
        return WASM_HEADERS_BAD_STATUS;
    }
    if (WASM_HEADERS_IS(line, "content-length")) {
        if (!is_length(line->value, line->value_length)) {
            return WASM_HEADERS_BAD_LENGTH;
        }
        if (!is_the_length(block, line)) {
            return WASM_HEADERS_TWO_LENGTHS;
        }
    }
    return WASM_HEADERS_LINE;
}

const char *wasm_headers_message(wasm_headers_result result)
{
    switch (result) {
    case WASM_HEADERS_LINE:
    case WASM_HEADERS_DONE:
        break;
    case WASM_HEADERS_CONTROL:
        return "a header line has a control character in it";
    case WASM_HEADERS_NO_COLON:
        return "a header line has no colon";
    case WASM_HEADERS_BAD_NAME:
        return "a header's name is empty or has a character no name has";
    case WASM_HEADERS_LONG_LINE:
        return "a header line is too long";
    case WASM_HEADERS_BAD_STATUS:
        return "the Status header is not a status from 200 to 599";
    case WASM_HEADERS_BAD_LENGTH:
        return "the Content-Length header is not a number";
    case WASM_HEADERS_TWO_LENGTHS:
        return "there are two Content-Length headers that differ";
    case WASM_HEADERS_NO_END:
        return "no empty line ends the headers";
    }
    return "no error";
}

#define NAME(name) { name, sizeof(name) - 1 }

int wasm_headers_is_hop_by_hop(const wasm_headers_line *line)
{
    static const struct {
        const char *name;
        size_t length;
    } names[] = {
        NAME("connection"), NAME("keep-alive"), NAME("proxy-authenticate"),
        NAME("proxy-authentication-info"), NAME("proxy-authorization"),
        NAME("proxy-connection"), NAME("te"), NAME("trailer"),
        NAME("transfer-encoding"), NAME("upgrade")
    };
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (wasm_headers_is_named(line, names[i].name, names[i].length)) {
            return 1;
        }
    }
    return 0;
}
