// SPDX-License-Identifier: Apache-2.0
// Tries to put a second response into the first one's headers, with a CR that
// is no line's end, and to take over the framing of the connection.

#include <stdio.h>

int main(void) {
  fputs("Transfer-Encoding: chunked\nConnection: keep-alive\nContent-Length: 0\n"
        "X-Split: a\r\r\nHTTP/1.1 200 OK\r\rSet-Cookie: injected=1\n"
        "Content-Type: text/plain\n\ninjected body", stdout);
  return 0;
}
