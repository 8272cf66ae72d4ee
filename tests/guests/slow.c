// SPDX-License-Identifier: Apache-2.0
// Reads the body, begins an answer, takes its time, and ends it; "silent" in the query: it says
// nothing before that; "compute": it computes instead of sleeping; "busy": it answers
// at once and then takes 20 ms of processor time, however long that is.

#include <time.h>
#include <unistd.h>

#include "query.h"

static double seconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(void) {
  const char *query = decoded_query(NULL);
  char buffer[4096];
  while (read(0, buffer, sizeof buffer) > 0) continue;
  if (strstr(query, "busy") != NULL) {
    puts("Content-Type: text/plain\n\nbusy");
    fflush(stdout);
    const double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (seconds(CLOCK_PROCESS_CPUTIME_ID) < begin + 0.02) continue;
    return 0;
  }
  const double end = seconds(CLOCK_MONOTONIC) + 0.8;
  if (strstr(query, "silent") == NULL) {
    fputs("Content-Type: text/plain\n\nbegun\n", stdout);
    fflush(stdout);
    fsync(1);
  }
  if (strstr(query, "compute") != NULL) {
    while (seconds(CLOCK_MONOTONIC) < end) continue;
  } else {
    const struct timespec pause = {0, 10 * 1000 * 1000};
    while (seconds(CLOCK_MONOTONIC) < end) nanosleep(&pause, NULL);
  }
  if (strstr(query, "silent") != NULL) fputs("Content-Type: text/plain\n\n", stdout);
  fputs("ended\n", stdout);
  return 0;
}
