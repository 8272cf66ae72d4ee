// SPDX-License-Identifier: Apache-2.0
//
// Looks for a string in either case, for PCRE: sixteen places at once.
#include <stdint.h>
#include <wasm_simd128.h>

// What turns both cases of an ASCII letter in lower case into itself; nothing for others.
static uint8_t case_of(uint8_t character) {
  return character >= 'a' && character <= 'z' ? 0x20 : 0;
}

static _Bool is_at(const uint8_t *place, const uint8_t *string, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    if ((place[i] | case_of(string[i])) != string[i]) return 0;
  }
  return 1;
}

const void *memcasemem(const void *data, size_t size, const void *lower, size_t length) {
  const uint8_t *place = data, *string = lower;
  if (length == 0) return data;
  if (size < length) return NULL;
  const uint8_t *end = place + (size - length + 1);  // of the places where it can start
  const v128_t first = wasm_u8x16_splat(string[0]), first_case = wasm_u8x16_splat(case_of(string[0]));
  const v128_t last = wasm_u8x16_splat(string[length - 1]),
               last_case = wasm_u8x16_splat(case_of(string[length - 1]));
  for (; end - place >= 16; place += 16) {
    v128_t starts = wasm_i8x16_eq(wasm_v128_or(wasm_v128_load(place), first_case), first);
    v128_t ends = wasm_i8x16_eq(wasm_v128_or(wasm_v128_load(place + length - 1), last_case), last);
    for (uint32_t both = wasm_i8x16_bitmask(wasm_v128_and(starts, ends)); both != 0; both &= both - 1) {
      const uint8_t *found = place + __builtin_ctz(both);
      if (is_at(found, string, length)) return found;
    }
  }
  for (; place < end; ++place) {
    if (is_at(place, string, length)) return place;
  }
  return NULL;
}
