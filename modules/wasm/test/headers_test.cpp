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

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "wasm_headers.h"
}

namespace {

struct Block {
  std::vector<std::string> lines;
  wasm_headers_result result = WASM_HEADERS_LINE;
};

wasm_headers_block block_of(const std::string& text) {
  return {.cursor = text.data(), .end = text.data() + text.size(), .length = nullptr,
          .length_length = 0};
}

Block read_block(const std::string& text) {
  Block block;
  wasm_headers_block rest = block_of(text);
  wasm_headers_line line{};
  while ((block.result = wasm_headers_next(&rest, &line)) == WASM_HEADERS_LINE) {
    block.lines.emplace_back(std::string(line.start, line.name_length) + "=" +
                             std::string(line.value, line.value_length));
  }
  return block;
}

/// Bytes of the block, found with `step` bytes at a time.
size_t find_end(const std::string& text, size_t step, wasm_headers_end* end) {
  wasm_headers_finder finder{};
  size_t total = 0;
  *end = WASM_HEADERS_MORE;
  while (total < text.size() && *end == WASM_HEADERS_MORE) {
    size_t used = 0;
    *end = wasm_headers_find_end(&finder, text.data() + total, std::min(step, text.size() - total),
                                 &used);
    total += used;
  }
  return total;
}

TEST(WasmHeaders, FindsTheEmptyLineWithAnyLineEnd) {
  for (const std::string block :
       {"A: b\n\n", "A: b\r\n\r\n", "A: b\n\r\n", "A: b\r\n\n", "\n", "\r\n", "A: \r\r\n\n"}) {
    for (size_t step : {1, 2, 3, 100}) {
      wasm_headers_end end{};
      EXPECT_EQ(find_end(block + "\nbody\n\n", step, &end), block.size()) << block;
      EXPECT_EQ(end, WASM_HEADERS_FOUND) << block;
    }
  }
}

TEST(WasmHeaders, WaitsForTheEnd) {
  for (const char* text : {"", "A: b", "A: b\n", "A: b\r\n\r", "\r\r\n"}) {
    wasm_headers_end end{};
    EXPECT_EQ(find_end(text, 2, &end), strlen(text));
    EXPECT_EQ(end, WASM_HEADERS_MORE) << text;
  }
}

TEST(WasmHeaders, BoundsTheBlock) {
  wasm_headers_end end{};
  const std::string line = "A: " + std::string(60, 'x') + "\n";
  std::string text;
  while (text.size() < WASM_HEADERS_MAX_BLOCK) text += line;
  EXPECT_EQ(find_end(text + "\n", 1000, &end), size_t{WASM_HEADERS_MAX_BLOCK});
  EXPECT_EQ(end, WASM_HEADERS_TOO_LARGE);

  text.resize(WASM_HEADERS_MAX_BLOCK - 2);
  EXPECT_EQ(find_end(text + "\n\n", 1000, &end), size_t{WASM_HEADERS_MAX_BLOCK});
  EXPECT_EQ(end, WASM_HEADERS_FOUND);
}

TEST(WasmHeaders, SplitsLines) {
  const Block block = read_block("Content-Type:text/html\r\nX-A: \t b: c \t\nEmpty:\n\n");
  EXPECT_EQ(block.result, WASM_HEADERS_DONE);
  EXPECT_EQ(block.lines,
            (std::vector<std::string>{"Content-Type=text/html", "X-A=b: c", "Empty="}));
}

TEST(WasmHeaders, PassesBytesThatAreNotAscii) {
  EXPECT_EQ(read_block("X: caf\xe9\n\n").lines, (std::vector<std::string>{"X=caf\xe9"}));
}

TEST(WasmHeaders, RefusesWhatCouldBreakOut) {
  using namespace std::string_literals;
  EXPECT_EQ(read_block("X: a\rSet-Cookie: b\n\n").result, WASM_HEADERS_CONTROL);
  EXPECT_EQ(read_block("X: a\r\r\n\n").result, WASM_HEADERS_CONTROL);
  EXPECT_EQ(read_block("X: a\0b\n\n"s).result, WASM_HEADERS_CONTROL);
  EXPECT_EQ(read_block("X: \x7f\n\n").result, WASM_HEADERS_CONTROL);
  EXPECT_EQ(read_block("Hello\n\n").result, WASM_HEADERS_NO_COLON);
  EXPECT_EQ(read_block(": a\n\n").result, WASM_HEADERS_BAD_NAME);
  EXPECT_EQ(read_block("X : a\n\n").result, WASM_HEADERS_BAD_NAME);
  EXPECT_EQ(read_block("X: a\n folded: b\n\n").result, WASM_HEADERS_BAD_NAME);
  EXPECT_EQ(read_block("X\xe9: a\n\n").result, WASM_HEADERS_BAD_NAME);
  EXPECT_EQ(read_block("X: a\n").result, WASM_HEADERS_NO_END);
  EXPECT_EQ(read_block("").result, WASM_HEADERS_NO_END);
}

TEST(WasmHeaders, BoundsALine) {
  const std::string most = "X: " + std::string(WASM_HEADERS_MAX_LINE - 3, 'x');
  EXPECT_EQ(read_block(most + "\r\n\n").result, WASM_HEADERS_DONE);
  EXPECT_EQ(read_block(most + "x\n\n").result, WASM_HEADERS_LONG_LINE);
}

TEST(WasmHeaders, ChecksStatusAndLength) {
  for (const char* status : {"200", "200 OK", "404 Not Found", "599 x"}) {
    EXPECT_EQ(read_block("Status: " + std::string(status) + "\n\n").result, WASM_HEADERS_DONE)
        << status;
  }
  for (const char* status : {"", "OK", "100", "101 Switching Protocols", "600", "20", "2000",
                             "200OK", "-200", "HTTP/1.1 200 OK"}) {
    EXPECT_EQ(read_block("sTATUS: " + std::string(status) + "\n\n").result, WASM_HEADERS_BAD_STATUS)
        << status;
  }
  for (const char* length : {"0", "123456789012345678"}) {
    EXPECT_EQ(read_block("Content-Length: " + std::string(length) + "\n\n").result,
              WASM_HEADERS_DONE);
  }
  for (const char* length : {"", "-1", "+1", "0x10", "1,1", "1 1", "1234567890123456789"}) {
    EXPECT_EQ(read_block("content-length: " + std::string(length) + "\n\n").result,
              WASM_HEADERS_BAD_LENGTH)
        << length;
  }
}

TEST(WasmHeaders, RefusesTwoLengthsThatDiffer) {
  const auto result_of = [](const std::string& text) { return read_block(text).result; };
  EXPECT_EQ(result_of("Content-Length: 4\nX: y\ncontent-length: 4\n\n"), WASM_HEADERS_DONE);
  EXPECT_EQ(result_of("Content-Length: 4\nX: y\ncontent-length: 5\n\n"),
            WASM_HEADERS_TWO_LENGTHS);
  EXPECT_EQ(result_of("Content-Length: 4\nContent-Length: 44\n\n"), WASM_HEADERS_TWO_LENGTHS);
  EXPECT_EQ(result_of("Content-Length: 4\n"), WASM_HEADERS_NO_END);
}

TEST(WasmHeaders, KnowsWhatIsTheConnections) {
  const auto is_hop_by_hop = [](const std::string& text) {
    wasm_headers_block block = block_of(text);
    wasm_headers_line line{};
    EXPECT_EQ(wasm_headers_next(&block, &line), WASM_HEADERS_LINE);
    return wasm_headers_is_hop_by_hop(&line) != 0;
  };
  for (const char* name : {"Transfer-Encoding", "CONNECTION", "keep-alive", "Upgrade", "Trailer",
                           "TE", "Proxy-Connection", "Proxy-Authenticate"}) {
    EXPECT_TRUE(is_hop_by_hop(std::string(name) + ": x\n\n")) << name;
  }
  for (const char* name : {"Content-Type", "Te-st", "T", "Upgrades", "Connectio", "Set-Cookie",
                           "Keep_Alive", "Keep.Alive"}) {
    EXPECT_FALSE(is_hop_by_hop(std::string(name) + ": x\n\n")) << name;
  }
}

}  // namespace
