// SPDX-License-Identifier: Apache-2.0
// Writes the decoded query to standard error, in one piece; then answers with
// the exit status that "exit=" in the query names.

#include "query.h"

int main(void) {
  size_t length;
  const char *text = decoded_query(&length);
  fwrite(text, 1, length, stderr);
  fputs("Content-Type: text/plain\n\nanswered\n", stdout);
  fflush(stdout);
  exit((int)query_number("exit", 0));
}
