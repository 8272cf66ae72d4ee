// SPDX-License-Identifier: Apache-2.0
// What the test guests share: the query, decoded.

#ifndef TESTS_QUERY_H
#define TESTS_QUERY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// QUERY_STRING with its %XX decoded, for up to 64 KiB; sets *length.
static inline char *decoded_query(size_t *length) {
  static char text[65536];
  const char *query = getenv("QUERY_STRING");
  size_t out = 0;
  for (; query != NULL && *query != '\0' && out < sizeof text - 1; ++query) {
    unsigned byte;
    if (*query == '%' && sscanf(query + 1, "%2x", &byte) == 1) {
      text[out++] = (char)byte;
      query += 2;
    } else {
      text[out++] = *query;
    }
  }
  text[out] = '\0';
  if (length != NULL) *length = out;
  return text;
}

// The number behind "name=" in the query, or `otherwise`.
static inline long query_number(const char *name, long otherwise) {
  const char *found = strstr(decoded_query(NULL), name);
  if (found == NULL || found[strlen(name)] != '=') return otherwise;
  return atol(found + strlen(name) + 1);
}

#endif  // TESTS_QUERY_H
