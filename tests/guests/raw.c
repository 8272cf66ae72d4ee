// SPDX-License-Identifier: Apache-2.0
// Writes the decoded query as its whole response: whatever a test wants a
// guest to answer, well-formed or not.

#include "query.h"

int main(void) {
  size_t length;
  const char *text = decoded_query(&length);
  fwrite(text, 1, length, stdout);
  return 0;
}
