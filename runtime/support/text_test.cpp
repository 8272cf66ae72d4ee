// SPDX-License-Identifier: Apache-2.0
#include "support/text.h"

#include <gtest/gtest.h>

namespace wasmrt {
namespace {

TEST(Printable, KeepsPlainText) { EXPECT_EQ(printable("main.wasm: 42"), "main.wasm: 42"); }

TEST(Printable, EscapesWhatCouldBreakALine) {
  EXPECT_EQ(printable("a\nb\r\x1b[31m\\"), "a\\x0ab\\x0d\\x1b[31m\\x5c");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\xff\xc3\xa9"), "\\xff\\xc3\\xa9");
}

TEST(Printable, CutsToTheLimitAndNeverThroughAnEscape) {
  EXPECT_EQ(printable("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(printable("abcdefghi", 8), "abcde...");
  for (size_t limit = 0; limit < 20; ++limit) {
    const std::string out = printable("a\n\n\n\n\n\n", limit);
    EXPECT_LE(out.size(), limit);
    std::string body = out;
    if (body.size() >= 3 && body.ends_with("...")) body.resize(body.size() - 3);
    if (limit >= 4) {
      EXPECT_EQ((body.size() - 1) % 4, 0U) << limit << ": " << out;
    }
  }
}

TEST(CopyText, TerminatesAndCuts) {
  char buffer[4] = {'x', 'x', 'x', 'x'};
  copy_text("abcdef", buffer, sizeof buffer);
  EXPECT_STREQ(buffer, "abc");
  copy_text("", buffer, sizeof buffer);
  EXPECT_STREQ(buffer, "");
  copy_text("abc", buffer, 0);
  EXPECT_STREQ(buffer, "");
}

TEST(OneLine, JoinsLines) {
  EXPECT_EQ(one_line(""), "");
  EXPECT_EQ(one_line("\n \r\n"), "");
  EXPECT_EQ(one_line("one"), "one");
  EXPECT_EQ(one_line("one\ntwo\n\n"), "one; two");
  EXPECT_EQ(one_line("\n\x1b\xff"), "; \\x1b\\xff");
  EXPECT_EQ(one_line(std::string(5000, '\n') + "x", 10), "; ; ; ;...");
}

}  // namespace
}  // namespace wasmrt
