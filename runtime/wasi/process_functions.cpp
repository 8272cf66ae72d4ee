// SPDX-License-Identifier: Apache-2.0
//
// Arguments, environment, clocks, exit, random numbers, sockets.
#include <sched.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "wasi/functions.h"
#include "wasi/wait.h"

namespace wasmrt::wasi {
namespace {

Errno store_strings(const StringBlock& strings, GuestMemory memory, GuestPtr pointers,
                    GuestPtr buffer) {
  const auto bytes = memory.bytes(buffer, strings.bytes.size());
  if (!bytes || !memory.contains(pointers, uint64_t{strings.count} * sizeof(GuestPtr))) {
    return Errno::kFault;
  }
  std::memcpy(bytes->data(), strings.bytes.data(), bytes->size());
  const char* begin = strings.bytes.data();
  const char* at = begin;
  for (uint32_t i = 0; i < strings.count; ++i) {
    (void)memory.store(pointers + i * static_cast<GuestPtr>(sizeof(GuestPtr)),
                       buffer + static_cast<GuestPtr>(at - begin));
    at += std::strlen(at) + 1;
  }
  return Errno::kSuccess;
}

Errno store_sizes(const StringBlock& strings, GuestMemory memory, GuestPtr count, GuestPtr size) {
  if (!memory.store(count, strings.count) ||
      !memory.store(size, static_cast<GuestSize>(strings.bytes.size()))) {
    return Errno::kFault;
  }
  return Errno::kSuccess;
}

Errno store_time(GuestMemory memory, GuestPtr ptr, const timespec& time) {
  if (time.tv_sec < 0) return Errno::kOverflow;
  const uint64_t nanoseconds =
      static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
  return memory.store(ptr, nanoseconds) ? Errno::kSuccess : Errno::kFault;
}

/// There is no socket among the descriptors.
Errno not_a_socket(Context& context, uint32_t fd) {
  return context.fds().find(fd) == nullptr ? Errno::kBadf : Errno::kNotsock;
}

}  // namespace

Errno args_get(Context& context, GuestMemory memory, GuestPtr argv, GuestPtr argv_buf) noexcept {
  return store_strings(context.arguments(), memory, argv, argv_buf);
}

Errno args_sizes_get(Context& context, GuestMemory memory, GuestPtr count, GuestPtr size) noexcept {
  return store_sizes(context.arguments(), memory, count, size);
}

Errno environ_get(Context& context, GuestMemory memory, GuestPtr environ,
                  GuestPtr environ_buf) noexcept {
  return store_strings(context.host().environment(), memory, environ, environ_buf);
}

Errno environ_sizes_get(Context& context, GuestMemory memory, GuestPtr count,
                        GuestPtr size) noexcept {
  return store_sizes(context.host().environment(), memory, count, size);
}

Errno clock_res_get(Context& /*context*/, GuestMemory memory, uint32_t id,
                    GuestPtr resolution) noexcept {
  clockid_t clock;
  switch (static_cast<ClockId>(id)) {
    case ClockId::kRealtime:
      clock = CLOCK_REALTIME;
      break;
    case ClockId::kMonotonic:
      clock = CLOCK_MONOTONIC;
      break;
    case ClockId::kProcessCpu:
    case ClockId::kThreadCpu:
      clock = CLOCK_THREAD_CPUTIME_ID;
      break;
    default:
      return Errno::kInval;
  }
  timespec time;
  if (clock_getres(clock, &time) != 0) return errno_from_host(errno);
  return store_time(memory, resolution, time);
}

Errno clock_time_get(Context& context, GuestMemory memory, uint32_t id, uint64_t /*precision*/,
                     GuestPtr time) noexcept {
  timespec now;
  switch (static_cast<ClockId>(id)) {
    case ClockId::kRealtime:
      clock_gettime(CLOCK_REALTIME, &now);
      break;
    case ClockId::kMonotonic:
      clock_gettime(CLOCK_MONOTONIC, &now);
      break;
    case ClockId::kProcessCpu:
    case ClockId::kThreadCpu:
      // A guest is one thread; the process around it is none of its business.
      return memory.store(time, context.cpu_time_ns()) ? Errno::kSuccess : Errno::kFault;
    default:
      return Errno::kInval;
  }
  return store_time(memory, time, now);
}

void proc_exit(Context& context, GuestMemory /*memory*/, uint32_t status) noexcept {
  context.exit_with(static_cast<int32_t>(status));
}

Errno proc_raise(Context& /*context*/, GuestMemory /*memory*/, uint32_t signal) noexcept {
  return signal > kSignalLast ? Errno::kInval : Errno::kNotsup;
}

Errno sched_yield(Context& /*context*/, GuestMemory /*memory*/) noexcept {
  ::sched_yield();
  return Errno::kSuccess;
}

Errno random_get(Context& context, GuestMemory memory, GuestPtr buf, GuestSize buf_len) noexcept {
  const auto bytes = memory.bytes(buf, buf_len);
  if (!bytes) return Errno::kFault;
  // A few milliseconds each.
  constexpr size_t kChunk = size_t{1} << 20;
  std::span<uint8_t> rest = *bytes;
  context.host().lend_memory();
  while (!rest.empty()) {
    const ssize_t got = getrandom(rest.data(), std::min(rest.size(), kChunk), 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return errno_from_host(errno);
    }
    rest = rest.subspan(static_cast<size_t>(got));
    if (!rest.empty() && !may_go_on(context)) return Errno::kCanceled;
  }
  return Errno::kSuccess;
}

Errno sock_accept(Context& context, GuestMemory /*memory*/, uint32_t fd, uint32_t /*flags*/,
                  GuestPtr /*accepted_fd*/) noexcept {
  return not_a_socket(context, fd);
}

Errno sock_recv(Context& context, GuestMemory /*memory*/, uint32_t fd, GuestPtr /*iovs*/,
                GuestSize /*count*/, uint32_t /*flags*/, GuestPtr /*received*/,
                GuestPtr /*out_flags*/) noexcept {
  return not_a_socket(context, fd);
}

Errno sock_send(Context& context, GuestMemory /*memory*/, uint32_t fd, GuestPtr /*iovs*/,
                GuestSize /*count*/, uint32_t /*flags*/, GuestPtr /*sent*/) noexcept {
  return not_a_socket(context, fd);
}

Errno sock_shutdown(Context& context, GuestMemory /*memory*/, uint32_t fd,
                    uint32_t /*how*/) noexcept {
  return not_a_socket(context, fd);
}

Errno stack_space(Context& context, GuestMemory memory, GuestPtr space) noexcept {
  if (context.stack_bytes() == 0) return Errno::kNosys;
  // The host's functions run on the guest's stack.
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const StackSpace result = {
      .size = context.stack_bytes(),
      .left = here > context.stack_end() ? here - context.stack_end() : 0};
  return memory.store(space, result) ? Errno::kSuccess : Errno::kFault;
}

}  // namespace wasmrt::wasi
