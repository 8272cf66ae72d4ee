// SPDX-License-Identifier: Apache-2.0
// Leaves at once, with an error and without an answer.

#include <stdlib.h>

int main(void) { exit(1); }
