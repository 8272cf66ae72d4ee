// SPDX-License-Identifier: Apache-2.0
#include "wasi/wait.h"

#include <poll.h>

#include <algorithm>
#include <ctime>

#include "support/clock.h"

namespace wasmrt::wasi {

namespace {
constexpr int64_t kSecond = 1'000'000'000;
}

bool may_go_on(Context& context) {
  const Stop stop = context.host().check();
  if (stop == Stop::kNone) return true;
  context.stop_with(stop);
  return false;
}

int wait_slice(Context& context, std::span<pollfd> fds, int64_t timeout_ns) {
  const int64_t left = context.host().deadline_ns() - now_ns(CLOCK_MONOTONIC);
  const int64_t slice =
      std::max<int64_t>(0, std::min({timeout_ns, kWaitSliceNs, std::max<int64_t>(left, 0)}));
  const timespec timeout = {.tv_sec = slice / kSecond, .tv_nsec = slice % kSecond};
  return std::max(0, ppoll(fds.data(), fds.size(), &timeout, nullptr));
}

Errno wait_until_ready(Context& context, int fd, short events) {
  if (const Errno flushed = accept(context, context.host().flush_stdout());
      flushed != Errno::kSuccess) {
    return flushed;
  }
  pollfd poll = {.fd = fd, .events = events, .revents = 0};
  while (wait_slice(context, {&poll, 1}, kWaitSliceNs) == 0) {
    if (!may_go_on(context)) return Errno::kCanceled;
  }
  return Errno::kSuccess;
}

}  // namespace wasmrt::wasi
