// SPDX-License-Identifier: Apache-2.0
// What each HTML page of the C and C++ demos begins and ends with, and the
// one function that no page may forget: escaping.

#ifndef GUESTS_HTML_H
#define GUESTS_HTML_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

// Writes `text` so that a browser shows it and never interprets it. Bytes that
// are not UTF-8 pass as they are.
static inline void html_text(const char *text, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    switch (text[i]) {
      case '<': fputs("&lt;", stdout); break;
      case '>': fputs("&gt;", stdout); break;
      case '&': fputs("&amp;", stdout); break;
      case '"': fputs("&quot;", stdout); break;
      case '\'': fputs("&#39;", stdout); break;
      default: putchar(text[i]);
    }
  }
}

// Value of an environment variable, or "" if it is not set.
static inline const char *env_or_empty(const char *name) {
  const char *value = getenv(name);
  return value != NULL ? value : "";
}

// Begins the body. The caller has written its headers and the empty line.
static inline void html_begin(const char *title) {
  printf(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>%s</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n"
      "<nav><a href=\"/\">mod_wasm</a><span>%s</span></nav>\n<main>\n<h1>%s</h1>\n",
      title, title, title);
}

static inline void html_end(void) { puts("</main>\n</body>\n</html>"); }

#endif  // GUESTS_HTML_H
