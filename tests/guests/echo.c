// SPDX-License-Identifier: Apache-2.0
// Reads the whole body. Answers with its length, its CRC-32 and what CGI said
// of it; with the query "body", answers with the body itself.

#include <stdint.h>

#include "query.h"

static uint32_t crc32(uint32_t crc, const unsigned char *data, size_t length) {
  static uint32_t table[256];
  if (table[1] == 0) {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t entry = i;
      for (int bit = 0; bit < 8; ++bit) entry = entry & 1 ? entry >> 1 ^ 0xedb88320u : entry >> 1;
      table[i] = entry;
    }
  }
  crc = ~crc;
  while (length-- > 0) crc = crc >> 8 ^ table[(crc ^ *data++) & 0xff];
  return ~crc;
}

int main(void) {
  static unsigned char buffer[65536];
  const int send_back = strcmp(decoded_query(NULL), "body") == 0;
  if (send_back) fputs("Content-Type: application/octet-stream\n\n", stdout);
  uint32_t crc = 0;
  unsigned long total = 0;
  for (size_t got; (got = fread(buffer, 1, sizeof buffer, stdin)) > 0; total += got) {
    crc = crc32(crc, buffer, got);
    if (send_back) fwrite(buffer, 1, got, stdout);
  }
  if (!send_back) {
    const char *length = getenv("CONTENT_LENGTH");
    printf("Content-Type: text/plain\n\nbytes %lu crc %08x length %s\n", total, crc,
           length != NULL ? length : "unset");
  }
  return 0;
}
