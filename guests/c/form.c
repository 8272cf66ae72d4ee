// SPDX-License-Identifier: Apache-2.0
// A CGI program in plain C: reads a form from the query or from the body,
// counts visits in a cookie, and shows the request headers it was given.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"

extern char **environ;

enum { kMaxBody = 64 * 1024 };

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Decodes application/x-www-form-urlencoded in place; returns the new length.
static size_t decode(char *text, size_t length) {
  size_t out = 0;
  for (size_t in = 0; in < length; ++in) {
    if (text[in] == '%' && in + 2 < length && hex_value(text[in + 1]) >= 0 &&
        hex_value(text[in + 2]) >= 0) {
      text[out++] = (char)(hex_value(text[in + 1]) * 16 + hex_value(text[in + 2]));
      in += 2;
    } else {
      text[out++] = text[in] == '+' ? ' ' : text[in];
    }
  }
  return out;
}

// Writes one table row a pair of "a=b&c=d".
static void show_fields(char *fields) {
  puts("<table><tr><th>Field</th><th>Value</th></tr>");
  for (char *pair = fields; pair != NULL && *pair != '\0';) {
    char *next = strchr(pair, '&');
    if (next != NULL) *next++ = '\0';
    char *value = strchr(pair, '=');
    if (value != NULL) {
      *value++ = '\0';
    } else {
      value = pair + strlen(pair);
    }
    const size_t name_length = decode(pair, strlen(pair));
    const size_t value_length = decode(value, strlen(value));
    fputs("<tr><td>", stdout);
    html_text(pair, name_length);
    fputs("</td><td>", stdout);
    html_text(value, value_length);
    puts("</td></tr>");
    pair = next;
  }
  puts("</table>");
}

static int visits_so_far(void) {
  for (const char *cookie = env_or_empty("HTTP_COOKIE"); *cookie != '\0';) {
    if (strncmp(cookie, "visits=", 7) == 0) return atoi(cookie + 7);
    const char *next = strchr(cookie, ';');
    if (next == NULL) break;
    cookie = next + 1 + strspn(next + 1, " ");
  }
  return 0;
}

int main(void) {
  static char body[kMaxBody + 1];
  const int is_post = strcmp(env_or_empty("REQUEST_METHOD"), "POST") == 0;
  if (is_post) {
    body[fread(body, 1, kMaxBody, stdin)] = '\0';
  } else {
    strncpy(body, env_or_empty("QUERY_STRING"), kMaxBody);
  }

  int visits = visits_so_far();
  if (visits < 0 || visits >= 1000000) visits = 0;
  ++visits;
  printf("Content-Type: text/html; charset=utf-8\n");
  printf("Set-Cookie: visits=%d; Path=/c/; SameSite=Lax\n", visits);
  printf("Set-Cookie: last=c-form; Path=/c/; SameSite=Lax\n\n");

  html_begin("A form in C");
  printf("<p>Visit number <b id=\"visits\">%d</b> of this browser, counted in a cookie.</p>\n", visits);
  puts("<form method=\"post\" action=\"/c/form\">"
       "<label>Name <input name=\"name\" value=\"Ada\"></label>"
       "<label>Message <input name=\"message\" value=\"1 &lt; 2 &amp; 2 &gt; 1\"></label>"
       "<button>Send by POST</button></form>");
  if (body[0] != '\0') {
    printf("<h2>What came by %s</h2>\n", is_post ? "POST" : "GET");
    show_fields(body);
  }
  puts("<h2>Request headers</h2>\n<table><tr><th>Header</th><th>Value</th></tr>");
  for (char **variable = environ; *variable != NULL; ++variable) {
    if (strncmp(*variable, "HTTP_", 5) != 0) continue;
    const char *value = strchr(*variable, '=');
    fputs("<tr><td>", stdout);
    html_text(*variable + 5, (size_t)(value - *variable - 5));
    fputs("</td><td>", stdout);
    html_text(value + 1, strlen(value + 1));
    puts("</td></tr>");
  }
  puts("</table>");
  html_end();
  return 0;
}
