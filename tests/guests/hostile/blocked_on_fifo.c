// SPDX-License-Identifier: Apache-2.0
// Reads from a FIFO that nobody writes to.

#include <fcntl.h>
#include <unistd.h>

int main(void) {
  char byte;
  const int fd = open("/data/fifo", O_RDWR);
  if (fd < 0) return 2;
  return (int)read(fd, &byte, 1);
}
