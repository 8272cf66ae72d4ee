// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "wasi/context.h"
#include "wasi/types.h"

struct pollfd;

namespace wasmrt::wasi {

/// Longest time a host function waits before it asks whether the run may go on.
inline constexpr int64_t kWaitSliceNs = 100'000'000;

/// Asks whether the run may go on; if not, sets context.stop().
/// @return whether it may.
bool may_go_on(Context& context);

/// Takes up what a stream answered. @return kSuccess only if it moved bytes or
/// ended; kCanceled if context.stop() is set now.
inline Errno accept(Context& context, const StreamResult& result) {
  if (result.stop != Stop::kNone) {
    context.stop_with(result.stop);
    return Errno::kCanceled;
  }
  return result.error == 0 ? Errno::kSuccess : errno_from_host(result.error);
}

/// poll(2) for at most `timeout_ns` and no longer than a slice, nor than the
/// run may last.
/// @return the number of ready descriptors.
int wait_slice(Context& context, std::span<pollfd> fds, int64_t timeout_ns);

/// Waits until a descriptor is ready for `events` (of poll), sending standard
/// output first. @return kSuccess, or kCanceled if context.stop() is set now.
Errno wait_until_ready(Context& context, int fd, short events);

}  // namespace wasmrt::wasi
