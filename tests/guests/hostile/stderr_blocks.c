// SPDX-License-Identifier: Apache-2.0
// Complains without end, in calls that each hold as much as a call can.

#include <sys/uio.h>

int main(void) {
  static char block[2 << 20];
  struct iovec vectors[1000];
  for (int i = 0; i < 1000; ++i) {
    vectors[i].iov_base = block;
    vectors[i].iov_len = sizeof block;
  }
  for (unsigned i = 0; i < sizeof block; ++i) block[i] = i % 64 == 63 ? '\n' : 'x';
  for (;;) writev(2, vectors, 1000);
}
