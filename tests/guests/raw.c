// SPDX-License-Identifier: Apache-2.0
// Writes the body of the request, or without one the decoded query, as its
// whole response: whatever a test wants a guest to answer, well-formed or not.

#include "query.h"

int main(void) {
  static char buffer[65536];
  size_t length;
  if (getenv("CONTENT_LENGTH") != NULL) {
    while ((length = fread(buffer, 1, sizeof buffer, stdin)) > 0) fwrite(buffer, 1, length, stdout);
    return 0;
  }
  const char *text = decoded_query(&length);
  fwrite(text, 1, length, stdout);
  return 0;
}
