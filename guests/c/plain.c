// SPDX-License-Identifier: Apache-2.0
// No CGI at all: a command-line program whose standard output is the response
// body. It sees the arguments and variables that the configuration names.

#include <stdio.h>

#include "html.h"

int main(int argc, char **argv) {
  html_begin("Plain mode");
  puts("<p>This program knows nothing of HTTP: what it prints is the page.</p>\n<ul>");
  for (int i = 0; i < argc; ++i) printf("<li>argument %d: <code>%s</code></li>\n", i, argv[i]);
  printf("<li>GREETING: <code>%s</code></li>\n</ul>\n", env_or_empty("GREETING"));
  html_end();
  return 0;
}
