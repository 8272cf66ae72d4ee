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

/* Any bytes into the reader of CGI header blocks: found in one piece or in
 * many, the block's end is the same; and no line that passes can break out of
 * the header it is in. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wasm_headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

/* Looks for the end in pieces of `step` bytes. @return bytes of the block. */
static size_t find_in_pieces(const char *data, size_t size, size_t step,
                             wasm_headers_end *end)
{
    wasm_headers_finder finder;
    size_t total = 0;

    memset(&finder, 0, sizeof(finder));
    *end = WASM_HEADERS_MORE;
    while (total < size && *end == WASM_HEADERS_MORE) {
        size_t length = size - total < step ? size - total : step;
        size_t used = 0;

        *end = wasm_headers_find_end(&finder, data + total, length, &used);
        require(used <= length);
        require(*end != WASM_HEADERS_MORE || used == length);
        total += used;
    }
    require(total <= WASM_HEADERS_MAX_BLOCK);
    return total;
}

static void check_line(const wasm_headers_line *line, const char *block,
                       const char *end)
{
    size_t i;

    require(line->start >= block && line->start + line->length < end);
    require(line->length <= WASM_HEADERS_MAX_LINE);
    require(line->name_length > 0 && line->name_length < line->length);
    require(line->start[line->name_length] == ':');
    require(line->value > line->start + line->name_length);
    require(line->value + line->value_length <= end);
    for (i = 0; i < line->length; i++) {
        require(line->start[i] != '\r' && line->start[i] != '\n'
                && line->start[i] != '\0');
    }
    (void)wasm_headers_is_hop_by_hop(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *data = (const char *)bytes;
    wasm_headers_end whole_end;
    wasm_headers_end pieces_end;
    wasm_headers_line line;
    wasm_headers_result result;
    wasm_headers_block block;
    size_t length;

    length = find_in_pieces(data, size, size ? size : 1, &whole_end);
    require(find_in_pieces(data, size, size ? 1 + bytes[0] % 7 : 1,
                           &pieces_end) == length);
    require(pieces_end == whole_end);

    memset(&block, 0, sizeof(block));
    block.cursor = data;
    block.end = data + length;
    while ((result = wasm_headers_next(&block, &line)) == WASM_HEADERS_LINE) {
        check_line(&line, data, data + length);
    }
    require(block.cursor >= data && block.cursor <= block.end);
    require(line.start >= data && line.start + line.length <= block.end);
    require(wasm_headers_message(result) != NULL);
    require(whole_end != WASM_HEADERS_FOUND || result != WASM_HEADERS_NO_END);
    return 0;
}
