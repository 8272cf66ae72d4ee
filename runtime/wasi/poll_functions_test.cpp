// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <ctime>
#include <limits>

#include "support/unique_fd.h"
#include "wasi/test_support.h"

namespace wasmrt::wasi {
namespace {

constexpr uint32_t kRoot = TestGuest::kRoot;
constexpr uint32_t kBad = TestGuest::kBadPointer;
constexpr uint64_t kHour = 3'600'000'000'000;

uint64_t now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

Subscription clock_subscription(uint64_t userdata, ClockId clock, uint64_t timeout,
                                uint16_t flags = 0) {
  Subscription subscription = {};
  subscription.userdata = userdata;
  subscription.tag = static_cast<uint8_t>(EventType::kClock);
  subscription.clock = {.id = static_cast<uint32_t>(clock),
                        .pad0 = 0,
                        .timeout = timeout,
                        .precision = 0,
                        .flags = flags,
                        .pad1 = {}};
  return subscription;
}

Subscription fd_subscription(uint64_t userdata, EventType type, uint32_t fd) {
  Subscription subscription = {};
  subscription.userdata = userdata;
  subscription.tag = static_cast<uint8_t>(type);
  subscription.fd_readwrite.fd = fd;
  return subscription;
}

class PollTest : public testing::Test {
 protected:
  PollTest() : guest_({{"/", directory_.path()}}) {}

  Errno poll(const std::vector<Subscription>& subscriptions, std::vector<Event>& events) {
    const auto count = static_cast<uint32_t>(subscriptions.size());
    const uint32_t in = guest_.store(
        {reinterpret_cast<const char*>(subscriptions.data()), count * sizeof(Subscription)});
    const uint32_t out = guest_.allocate(count * static_cast<uint32_t>(sizeof(Event)));
    const uint32_t event_count = guest_.allocate(4);
    const Errno error = guest_.call("poll_oneoff", {in, out, count, event_count});
    events.clear();
    for (uint32_t i = 0; i < guest_.load<uint32_t>(event_count); ++i) {
      events.push_back(guest_.load<Event>(out + i * static_cast<uint32_t>(sizeof(Event))));
    }
    return error;
  }

  TemporaryDirectory directory_;
  TestGuest guest_;
  std::vector<Event> events_;
};

TEST_F(PollTest, AClockThatIsDue) {
  ASSERT_EQ(poll({clock_subscription(77, ClockId::kMonotonic, 0)}, events_), Errno::kSuccess);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].userdata, 77u);
  EXPECT_EQ(events_[0].error, Errno::kSuccess);
  EXPECT_EQ(events_[0].type, EventType::kClock);
}

TEST_F(PollTest, ClocksAreWaitedFor) {
  constexpr uint64_t kTimeout = 3'000'000;
  for (ClockId clock : {ClockId::kRealtime, ClockId::kMonotonic}) {
    const clockid_t host = clock == ClockId::kRealtime ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    uint64_t before = now(CLOCK_MONOTONIC);
    ASSERT_EQ(poll({clock_subscription(1, clock, kTimeout)}, events_), Errno::kSuccess);
    EXPECT_EQ(events_.size(), 1u);
    EXPECT_GE(now(CLOCK_MONOTONIC), before + kTimeout);
    const uint64_t due = now(host) + kTimeout;
    ASSERT_EQ(poll({clock_subscription(1, clock, due, kClockAbsolute)}, events_), Errno::kSuccess);
    EXPECT_EQ(events_.size(), 1u);
    EXPECT_GE(now(host), due);
    // Long past.
    ASSERT_EQ(poll({clock_subscription(1, clock, 1, kClockAbsolute)}, events_), Errno::kSuccess);
    EXPECT_EQ(events_.size(), 1u);
  }
  EXPECT_GT(guest_.host.flushes, 0);
}

TEST_F(PollTest, OnlyTheClocksThatAreDue) {
  ASSERT_EQ(poll({clock_subscription(1, ClockId::kMonotonic, kHour),
                  clock_subscription(2, ClockId::kMonotonic, 1),
                  clock_subscription(3, ClockId::kRealtime, kHour),
                  clock_subscription(4, ClockId::kMonotonic, std::numeric_limits<uint64_t>::max())},
                 events_),
            Errno::kSuccess);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].userdata, 2u);
}

TEST_F(PollTest, SleepingCanBeStopped) {
  guest_.host.stop_at_check = 2;
  EXPECT_NE(poll({clock_subscription(1, ClockId::kMonotonic, kHour)}, events_), Errno::kSuccess);
  EXPECT_EQ(guest_.context.stop(), Stop::kTimedOut);
  EXPECT_EQ(guest_.host.checks, 2);
}

TEST_F(PollTest, SleepingEndsWhenNobodyTakesTheOutput) {
  guest_.host.failure = {.stop = Stop::kAborted};
  EXPECT_NE(poll({clock_subscription(1, ClockId::kMonotonic, kHour)}, events_), Errno::kSuccess);
  EXPECT_EQ(guest_.context.stop(), Stop::kAborted);
}

TEST_F(PollTest, FilesAreAlwaysReady) {
  directory_.write("file", "0123456789");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, rights::kFdRead | rights::kFdWrite);
  const uint32_t position = guest_.allocate(8);
  ASSERT_EQ(guest_.call("fd_seek", {file, 4, 0, position}), Errno::kSuccess);
  ASSERT_EQ(poll({fd_subscription(1, EventType::kFdRead, file),
                  fd_subscription(2, EventType::kFdWrite, file),
                  clock_subscription(3, ClockId::kMonotonic, kHour)},
                 events_),
            Errno::kSuccess);
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_EQ(events_[0].type, EventType::kFdRead);
  EXPECT_EQ(events_[0].nbytes, 6u);
  EXPECT_EQ(events_[0].flags, 0);
  EXPECT_EQ(events_[1].userdata, 2u);
  ASSERT_EQ(guest_.call("fd_seek", {file, 0, 2, position}), Errno::kSuccess);
  ASSERT_EQ(poll({fd_subscription(1, EventType::kFdRead, file)}, events_), Errno::kSuccess);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].nbytes, 0u);
  EXPECT_EQ(events_[0].flags, kEventHangup);
}

TEST_F(PollTest, StreamsOfAServerAreAlwaysReady) {
  ASSERT_EQ(
      poll({fd_subscription(1, EventType::kFdRead, 0), fd_subscription(2, EventType::kFdWrite, 1),
            fd_subscription(3, EventType::kFdWrite, 2)},
           events_),
      Errno::kSuccess);
  EXPECT_EQ(events_.size(), 3u);
}

TEST_F(PollTest, StreamsOfAProcessAreWaitedFor) {
  int pipe[2];
  ASSERT_EQ(pipe2(pipe, O_CLOEXEC), 0);
  guest_.host.descriptors[0] = pipe[0];
  ASSERT_EQ(poll({fd_subscription(1, EventType::kFdRead, 0),
                  clock_subscription(2, ClockId::kMonotonic, 1)},
                 events_),
            Errno::kSuccess);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].userdata, 2u);
  guest_.host.on_check = [&] { EXPECT_EQ(::write(pipe[1], "abc", 3), 3); };
  ASSERT_EQ(poll({fd_subscription(1, EventType::kFdRead, 0)}, events_), Errno::kSuccess);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_GE(events_[0].nbytes, 3u);
  guest_.host.on_check = nullptr;
  ::close(pipe[1]);
  ASSERT_EQ(poll({fd_subscription(1, EventType::kFdRead, 0)}, events_), Errno::kSuccess);
  EXPECT_EQ(events_[0].flags & kEventHangup, kEventHangup);
  ::close(pipe[0]);
}

TEST_F(PollTest, FifosAreWaitedForAndCanBeStopped) {
  directory_.make_fifo("fifo");
  const UniqueFd host(::open(directory_.path("fifo").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  const uint32_t fifo = guest_.must_open(kRoot, "fifo");
  guest_.host.stop_at_check = 1;
  EXPECT_NE(poll({fd_subscription(1, EventType::kFdRead, fifo)}, events_), Errno::kSuccess);
  EXPECT_EQ(guest_.context.stop(), Stop::kTimedOut);
  ASSERT_EQ(::write(host.get(), "abc", 3), 3);
  ASSERT_EQ(poll({fd_subscription(1, EventType::kFdRead, fifo)}, events_), Errno::kSuccess);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].nbytes, 3u);
}

TEST_F(PollTest, BadDescriptorsFailTheCall) {
  const Subscription good = clock_subscription(1, ClockId::kMonotonic, 0);
  for (uint32_t fd : {kRoot, 99u, 0xFFFFFFFFu}) {
    EXPECT_EQ(poll({good, fd_subscription(1, EventType::kFdRead, fd)}, events_), Errno::kBadf);
    EXPECT_EQ(poll({good, fd_subscription(1, EventType::kFdWrite, fd)}, events_), Errno::kBadf);
  }
  EXPECT_EQ(poll({fd_subscription(1, EventType::kFdRead, 1)}, events_), Errno::kBadf);
  EXPECT_EQ(poll({fd_subscription(1, EventType::kFdWrite, 0)}, events_), Errno::kBadf);
}

TEST_F(PollTest, InvalidSubscriptions) {
  EXPECT_EQ(poll({}, events_), Errno::kInval);
  EXPECT_EQ(poll({clock_subscription(1, ClockId::kProcessCpu, 0)}, events_), Errno::kInval);
  EXPECT_EQ(poll({clock_subscription(1, ClockId::kThreadCpu, 0)}, events_), Errno::kInval);
  EXPECT_EQ(poll({clock_subscription(1, static_cast<ClockId>(9), 0)}, events_), Errno::kInval);
  EXPECT_EQ(poll({clock_subscription(1, ClockId::kMonotonic, 0, 2)}, events_), Errno::kInval);
  EXPECT_EQ(poll({fd_subscription(1, static_cast<EventType>(3), 0)}, events_), Errno::kInval);
}

TEST_F(PollTest, PointersAndCounts) {
  const uint32_t good = guest_.allocate(100'000);
  EXPECT_EQ(guest_.call("poll_oneoff", {kBad, good, 1, good}), Errno::kFault);
  EXPECT_EQ(guest_.call("poll_oneoff", {good, kBad, 1, good}), Errno::kFault);
  EXPECT_EQ(guest_.call("poll_oneoff", {good, good, 1, kBad}), Errno::kFault);
  EXPECT_EQ(guest_.call("poll_oneoff", {good, good, 0xFFFFFFFF, good}), Errno::kFault);
  EXPECT_EQ(guest_.call("poll_oneoff", {good, good, 1025, good}), Errno::kNomem);
  // A zeroed subscription: the real-time clock, now.
  EXPECT_EQ(guest_.call("poll_oneoff", {good, good, 1024, good}), Errno::kSuccess);
  EXPECT_EQ(guest_.load<uint32_t>(good), 1024u);
}

}  // namespace
}  // namespace wasmrt::wasi
