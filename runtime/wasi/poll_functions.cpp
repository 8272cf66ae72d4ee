// SPDX-License-Identifier: Apache-2.0
//
// poll_oneoff: clocks, files and streams.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <limits>

#include "wasi/functions.h"
#include "wasi/wait.h"

namespace wasmrt::wasi {
namespace {

/// What one call can make the host keep; past it kNomem.
constexpr uint32_t kMaxSubscriptions = 1024;
constexpr uint64_t kForever = std::numeric_limits<int64_t>::max();

uint64_t now_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

/// A subscription, read and checked.
struct Wanted {
  uint64_t userdata;
  EventType type;
  clockid_t clock;   ///< of clocks
  int poll;          ///< of the others: index into the pollfds, -1: always ready
  uint64_t time;     ///< of clocks: when it is due on that clock
  Descriptor* file;  ///< of the others
};

struct PollSet {
  std::array<Wanted, kMaxSubscriptions> wanted;
  std::array<pollfd, kMaxSubscriptions> fds;
  uint32_t count = 0;
  uint32_t fd_count = 0;

  template <typename AnySubscription>
  Errno add(Context& context, const AnySubscription& subscription);
  /// Nanoseconds until the first clock is due; kForever without clocks.
  [[nodiscard]] uint64_t until_first_clock() const;
  [[nodiscard]] bool any_always_ready() const;
  /// @return whether there is an event.
  bool event(const Wanted& subscription, Event& event) const;

 private:
  Errno add_clock(Wanted& subscription, uint32_t id, uint64_t timeout, uint16_t flags);
  Errno add_fd(Context& context, Wanted& subscription, uint32_t fd);
};

Errno PollSet::add_clock(Wanted& subscription, uint32_t id, uint64_t timeout, uint16_t flags) {
  if ((flags & ~kClockAbsolute) != 0) return Errno::kInval;
  switch (static_cast<ClockId>(id)) {
    case ClockId::kMonotonic:
      subscription.clock = CLOCK_MONOTONIC;
      break;
    case ClockId::kRealtime:
      // Only a point in time follows the clock when that is set.
      subscription.clock = (flags & kClockAbsolute) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
      break;
    default:
      return Errno::kInval;
  }
  subscription.time = timeout;
  if ((flags & kClockAbsolute) == 0 &&
      __builtin_add_overflow(timeout, now_ns(subscription.clock), &subscription.time)) {
    subscription.time = std::numeric_limits<uint64_t>::max();
  }
  return Errno::kSuccess;
}

Errno PollSet::add_fd(Context& context, Wanted& subscription, uint32_t fd) {
  Descriptor* descriptor = context.fds().find(fd);
  if (descriptor == nullptr || descriptor->is_directory()) return Errno::kBadf;
  const bool reads = subscription.type == EventType::kFdRead;
  int host_fd = -1;
  if (descriptor->is_stream()) {
    if (reads != (descriptor->stream == 0)) return Errno::kBadf;
    host_fd = context.host().stream_info(descriptor->stream).descriptor;
  } else if (descriptor->type != FileType::kRegularFile) {
    host_fd = descriptor->fd.get();
  }
  subscription.file = descriptor;
  if (host_fd >= 0) {
    subscription.poll = static_cast<int>(fd_count);
    fds[fd_count++] = {
        .fd = host_fd, .events = static_cast<short>(reads ? POLLIN : POLLOUT), .revents = 0};
  }
  return Errno::kSuccess;
}

template <typename AnySubscription>
Errno PollSet::add(Context& context, const AnySubscription& subscription) {
  Wanted& next = wanted[count++];
  next = {.userdata = subscription.userdata,
          .type = static_cast<EventType>(subscription.tag),
          .clock = 0,
          .poll = -1,
          .time = 0,
          .file = nullptr};
  switch (next.type) {
    case EventType::kClock:
      return add_clock(next, subscription.clock.id, subscription.clock.timeout,
                       subscription.clock.flags);
    case EventType::kFdRead:
    case EventType::kFdWrite:
      return add_fd(context, next, subscription.fd_readwrite.fd);
    default:
      return Errno::kInval;
  }
}

uint64_t PollSet::until_first_clock() const {
  uint64_t first = kForever;
  for (const Wanted& subscription : std::span(wanted).first(count)) {
    if (subscription.type != EventType::kClock) continue;
    const uint64_t now = now_ns(subscription.clock);
    first = std::min(first, subscription.time > now ? subscription.time - now : 0);
  }
  return first;
}

bool PollSet::any_always_ready() const {
  return std::ranges::any_of(std::span(wanted).first(count), [](const Wanted& subscription) {
    return subscription.type != EventType::kClock && subscription.poll < 0;
  });
}

/// Bytes that can be read without waiting, as far as that is known: at least 1,
/// 0 at the end of a regular file.
uint64_t readable_bytes(const Descriptor& file, int host_fd) {
  if (file.is_file() && file.type == FileType::kRegularFile) {
    struct stat status;
    const off_t position = lseek(file.fd.get(), 0, SEEK_CUR);
    if (fstat(file.fd.get(), &status) != 0 || position >= status.st_size) return 0;
    return static_cast<uint64_t>(status.st_size - position);
  }
  int available = 0;
  if (host_fd >= 0 && ioctl(host_fd, FIONREAD, &available) == 0 && available > 0) {
    return static_cast<uint64_t>(available);
  }
  return 1;
}

bool PollSet::event(const Wanted& subscription, Event& event) const {
  event = {.userdata = subscription.userdata,
           .error = Errno::kSuccess,
           .type = subscription.type,
           .nbytes = 0,
           .flags = 0};
  if (subscription.type == EventType::kClock) {
    return now_ns(subscription.clock) >= subscription.time;
  }
  short ready = 0;
  int host_fd = -1;
  if (subscription.poll >= 0) {
    const pollfd& poll = fds[static_cast<size_t>(subscription.poll)];
    ready = poll.revents;
    host_fd = poll.fd;
    if (ready == 0) return false;
  }
  if ((ready & POLLHUP) != 0) event.flags |= kEventHangup;
  if (subscription.type == EventType::kFdWrite) {
    event.nbytes = 1;
  } else {
    event.nbytes = readable_bytes(*subscription.file, host_fd);
    if (event.nbytes == 0) event.flags |= kEventHangup;
  }
  return true;
}

/// Waits until one of the subscriptions has an event.
Errno wait(Context& context, PollSet& set) {
  bool first = true;
  while (true) {
    const uint64_t left = set.any_always_ready() ? 0 : set.until_first_clock();
    if (left > 0 && first) {
      if (const Errno flushed = accept(context, context.host().flush_stdout());
          flushed != Errno::kSuccess) {
        return flushed;
      }
    }
    const int ready = wait_slice(context, std::span(set.fds).first(set.fd_count),
                                 static_cast<int64_t>(std::min(left, kForever)));
    if (ready > 0 || left == 0 || set.until_first_clock() == 0) return Errno::kSuccess;
    if (!may_go_on(context)) return Errno::kCanceled;
    first = false;
  }
}

template <typename AnySubscription>
Errno poll(Context& context, GuestMemory memory, GuestPtr in, GuestPtr out, GuestSize count,
           GuestPtr event_count) {
  if (count == 0) return Errno::kInval;
  if (!memory.contains(in, uint64_t{count} * sizeof(AnySubscription)) ||
      !memory.contains(out, uint64_t{count} * sizeof(Event)) ||
      !memory.contains(event_count, sizeof(GuestSize))) {
    return Errno::kFault;
  }
  if (count > kMaxSubscriptions) return Errno::kNomem;
  // All is read before anything is stored: the two arrays may overlap.
  PollSet set;
  for (GuestSize i = 0; i < count; ++i) {
    AnySubscription subscription = {};
    (void)memory.load(in + i * static_cast<GuestPtr>(sizeof(subscription)), subscription);
    if (const Errno result = set.add(context, subscription); result != Errno::kSuccess) {
      return result;
    }
  }
  if (const Errno result = wait(context, set); result != Errno::kSuccess) return result;
  GuestSize events = 0;
  for (const Wanted& subscription : std::span(set.wanted).first(set.count)) {
    Event event;
    if (!set.event(subscription, event)) continue;
    (void)memory.store(out + events * static_cast<GuestPtr>(sizeof(event)), event);
    ++events;
  }
  (void)memory.store(event_count, events);
  return Errno::kSuccess;
}

}  // namespace

Errno poll_oneoff(Context& context, GuestMemory memory, GuestPtr in, GuestPtr out, GuestSize count,
                  GuestPtr event_count) noexcept {
  return poll<Subscription>(context, memory, in, out, count, event_count);
}

Errno unstable::poll_oneoff(Context& context, GuestMemory memory, GuestPtr in, GuestPtr out,
                            GuestSize count, GuestPtr event_count) noexcept {
  return poll<UnstableSubscription>(context, memory, in, out, count, event_count);
}

}  // namespace wasmrt::wasi
