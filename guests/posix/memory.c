// SPDX-License-Identifier: Apache-2.0
//
// mmap() of anonymous memory by growing linear memory, and of files by reading
// them. New memory is zero and costs nothing until it is touched. Blocks of 2 MiB
// and more are aligned to 2 MiB, as PHP's allocator wants its chunks.
//
// Memory that has grown makes an instance useless for another run, which costs more than
// what a short program does. So there is some from the start, here and for malloc() (cc).
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { kPage = 0x10000, kChunk = 0x200000, kRoom = 2 * kChunk };

// Free ranges in the order of their addresses, each described at its own start.
struct range {
  struct range *next;
  size_t length;
  _Bool clean;  // all zero but for this structure
};
static struct range *free_ranges;

static size_t to_pages(size_t length) { return (length + kPage - 1) & ~(size_t)(kPage - 1); }

static void give_back(uintptr_t address, size_t length, _Bool clean) {
  struct range **link = &free_ranges, *previous = NULL;
  while (*link && (uintptr_t)*link < address) {
    previous = *link;
    link = &previous->next;
  }
  struct range *range = (struct range *)address, *next = *link;
  *range = (struct range){next, length, clean};
  *link = range;
  if (next && address + length == (uintptr_t)next) {
    range->next = next->next;
    range->length += next->length;
    range->clean = clean && next->clean;
    memset(next, 0, sizeof *next);
  }
  if (previous && (uintptr_t)previous + previous->length == address) {
    previous->next = range->next;
    previous->length += range->length;
    previous->clean = previous->clean && range->clean;
    memset(range, 0, sizeof *range);
  }
}

static void give_room(void) {
  static _Alignas(kChunk) unsigned char room[kRoom];
  static _Bool is_given;
  if (!is_given) give_back((uintptr_t)room, sizeof room, 1);
  is_given = 1;
}

static void *allocate(size_t length) {
  if (length == 0 || length > UINTPTR_MAX - 2 * kChunk) {
    errno = length == 0 ? EINVAL : ENOMEM;
    return MAP_FAILED;
  }
  uintptr_t alignment = length >= kChunk ? kChunk : kPage;
  length = to_pages(length);
  give_room();
  for (struct range **link = &free_ranges; *link; link = &(*link)->next) {
    struct range *range = *link;
    uintptr_t begin = (uintptr_t)range, end = begin + range->length;
    uintptr_t block = (begin + alignment - 1) & ~(alignment - 1);
    if (block < begin || block > end || end - block < length) continue;
    _Bool clean = range->clean;
    *link = range->next;
    memset(range, 0, sizeof *range);
    if (block > begin) give_back(begin, block - begin, clean);
    if (end > block + length) give_back(block + length, end - block - length, clean);
    if (!clean) memset((void *)block, 0, length);
    return (void *)block;
  }
  uintptr_t end = (uintptr_t)__builtin_wasm_memory_size(0) * kPage;
  size_t padding = -end & (alignment - 1);
  if (__builtin_wasm_memory_grow(0, (padding + length) / kPage) == SIZE_MAX) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  if (padding) give_back(end, padding, 1);
  return (void *)(end + padding);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  if (flags & MAP_FIXED) {
    errno = EINVAL;
    return MAP_FAILED;
  }
  if (!(flags & MAP_ANON) && (protection & PROT_WRITE) && (flags & MAP_SHARED)) {
    errno = ENODEV;
    return MAP_FAILED;
  }
  void *block = allocate(length);
  if (block == MAP_FAILED || (flags & MAP_ANON)) return block;
  for (size_t done = 0; done < length;) {
    ssize_t count = pread(fd, (char *)block + done, length - done, offset + done);
    if (count < 0) {
      munmap(block, length);
      return MAP_FAILED;
    }
    if (count == 0) break;
    done += count;
  }
  return block;
}

int munmap(void *address, size_t length) {
  if ((uintptr_t)address % kPage != 0 || length == 0) {
    errno = EINVAL;
    return -1;
  }
  length = to_pages(length);
  // A start image keeps nothing of what is free; elsewhere clearing waits for reuse.
  _Bool clean = start_image_in_making();
  if (clean) memset(address, 0, length);
  give_back((uintptr_t)address, length, clean);
  return 0;
}

int mprotect(void *address, size_t length, int protection) { return 0; }
int msync(void *address, size_t length, int flags) { return 0; }

// What is left of the stack for calls: the other one, in linear memory, holds only variables
// whose address is taken.
#if MOD_WASM_FUNCTIONS
struct host_stack_space {
  uint64_t size, left;
};
__attribute__((import_module("mod_wasm"), import_name("stack_space"))) int host_stack_space(struct host_stack_space *space);

_Bool stack_space(size_t *size, size_t *left) {
  struct host_stack_space space;
  if (host_stack_space(&space) != 0) return 0;
  *size = space.size;
  *left = space.left;
  return 1;
}
#else
_Bool stack_space(size_t *size, size_t *left) { return 0; }
#endif
