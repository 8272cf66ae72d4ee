// SPDX-License-Identifier: Apache-2.0
//
// Functions on bytes, sixteen at once, where wasi-libc takes one or four. Instructions such as
// memory.copy call out of the guest, which takes longer than to copy a short string of a script:
// so all is compiled without them but this file (see cc and build.sh).
#include <stdint.h>
#include <string.h>
#include <wasm_simd128.h>

enum { kVector = 16, kAllOnes = 0xffff };

// What is loaded before anything is stored may overlap what is stored.
#define MOVE_BOTH_ENDS(type)                              \
  do {                                                    \
    type first, last;                                     \
    __builtin_memcpy(&first, source, sizeof first);       \
    __builtin_memcpy(&last, source + size - sizeof last, sizeof last); \
    __builtin_memcpy(target, &first, sizeof first);       \
    __builtin_memcpy(target + size - sizeof last, &last, sizeof last); \
  } while (0)

void *memmove(void *to, const void *from, size_t size) {
  uint8_t *target = to;
  const uint8_t *source = from;
  if (size > 4 * kVector) {
    __builtin_memmove(to, from, size);  // memory.copy
  } else if (size > 2 * kVector) {
    v128_t a = wasm_v128_load(source), b = wasm_v128_load(source + kVector);
    v128_t c = wasm_v128_load(source + size - 2 * kVector), d = wasm_v128_load(source + size - kVector);
    wasm_v128_store(target, a);
    wasm_v128_store(target + kVector, b);
    wasm_v128_store(target + size - 2 * kVector, c);
    wasm_v128_store(target + size - kVector, d);
  } else if (size >= kVector) {
    MOVE_BOTH_ENDS(v128_t);
  } else if (size >= sizeof(uint64_t)) {
    MOVE_BOTH_ENDS(uint64_t);
  } else if (size >= sizeof(uint32_t)) {
    MOVE_BOTH_ENDS(uint32_t);
  } else if (size >= sizeof(uint16_t)) {
    MOVE_BOTH_ENDS(uint16_t);
  } else if (size == 1) {
    *target = *source;
  }
  return to;
}

void *memcpy(void *to, const void *from, size_t size) { return memmove(to, from, size); }

void *memset(void *to, int value, size_t size) {
  uint8_t *target = to;
  if (size > 4 * kVector) {
    __builtin_memset(to, value, size);  // memory.fill
  } else if (size >= kVector) {
    const v128_t vector = wasm_u8x16_splat((uint8_t)value);
    for (size_t at = 0; at < size - kVector; at += kVector) wasm_v128_store(target + at, vector);
    wasm_v128_store(target + size - kVector, vector);
  } else {
    for (size_t at = 0; at < size; ++at) target[at] = (uint8_t)value;
  }
  return to;
}

int memcmp(const void *left, const void *right, size_t size) {
  const uint8_t *a = left, *b = right;
  for (; size >= kVector; a += kVector, b += kVector, size -= kVector) {
    uint32_t equal = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(a), wasm_v128_load(b)));
    if (equal != kAllOnes) {
      int at = __builtin_ctz(~equal);
      return a[at] - b[at];
    }
  }
  for (; size >= sizeof(uint64_t); a += sizeof(uint64_t), b += sizeof(uint64_t), size -= sizeof(uint64_t)) {
    uint64_t x, y;
    __builtin_memcpy(&x, a, sizeof x);
    __builtin_memcpy(&y, b, sizeof y);
    if (x != y) return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
  }
  for (; size > 0; ++a, ++b, --size) {
    if (*a != *b) return *a - *b;
  }
  return 0;
}

void *memchr(const void *data, int character, size_t size) {
  const uint8_t *place = data;
  const v128_t wanted = wasm_u8x16_splat((uint8_t)character);
  for (; size >= kVector; place += kVector, size -= kVector) {
    uint32_t found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(place), wanted));
    if (found != 0) return (void *)(place + __builtin_ctz(found));
  }
  for (; size > 0; ++place, --size) {
    if (*place == (uint8_t)character) return (void *)place;
  }
  return NULL;
}

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
  for (; end - place >= kVector; place += kVector) {
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
