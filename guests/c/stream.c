// SPDX-License-Identifier: Apache-2.0
// A response that arrives while it is made: five lines, one every 300 ms. The
// module sends what was written as soon as the guest starts to wait.

#include <stdio.h>
#include <unistd.h>

#include "html.h"

int main(void) {
  puts("Content-Type: text/html; charset=utf-8\nCache-Control: no-store\n");
  html_begin("A streamed response in C");
  puts("<p>Each line below was sent when it was written, not when the program ended.</p>\n<ol>");
  for (int step = 1; step <= 5; ++step) {
    printf("<li>part %d of 5</li>\n", step);
    fflush(stdout);
    usleep(300 * 1000);
  }
  puts("</ol>");
  html_end();
  return 0;
}
