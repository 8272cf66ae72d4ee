// SPDX-License-Identifier: Apache-2.0
#include <ctime>

#include "wasi/test_support.h"

namespace wasmrt::wasi {
namespace {

constexpr uint32_t kBad = TestGuest::kBadPointer;

uint64_t now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

class StringsTest : public testing::TestWithParam<const char*> {
 protected:
  StringsTest()
      : get_(std::string(GetParam()) + "_get"), sizes_(std::string(GetParam()) + "_sizes_get") {}
  StringBlock& block() {
    return GetParam() == std::string_view("args") ? guest_.arguments : guest_.host.variables;
  }

  TestGuest guest_;
  std::string get_;
  std::string sizes_;
};

INSTANTIATE_TEST_SUITE_P(Functions, StringsTest, testing::Values("args", "environ"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(StringsTest, GiveTheStrings) {
  block().append("first");
  block().append("");
  block().append("A=\xFF=b");
  const uint32_t count = guest_.allocate(4);
  const uint32_t size = guest_.allocate(4);
  ASSERT_EQ(guest_.call(sizes_, {count, size}), Errno::kSuccess);
  EXPECT_EQ(guest_.load<uint32_t>(count), 3u);
  EXPECT_EQ(guest_.load<uint32_t>(size), 13u);
  const uint32_t pointers = guest_.allocate(16);
  const uint32_t buffer = guest_.allocate(16);
  ASSERT_EQ(guest_.call(get_, {pointers, buffer}), Errno::kSuccess);
  EXPECT_EQ(guest_.text(buffer, 13), std::string("first\0\0A=\xFF=b\0", 13));
  EXPECT_EQ(guest_.load<uint32_t>(pointers), buffer);
  EXPECT_EQ(guest_.load<uint32_t>(pointers + 4), buffer + 6);
  EXPECT_EQ(guest_.load<uint32_t>(pointers + 8), buffer + 7);
  EXPECT_EQ(guest_.load<uint32_t>(pointers + 12), 0u);
}

TEST_P(StringsTest, GiveNothingOfNothing) {
  const uint32_t count = guest_.store("xxxxyyyy");
  ASSERT_EQ(guest_.call(sizes_, {count, count + 4}), Errno::kSuccess);
  EXPECT_EQ(guest_.load<uint64_t>(count), 0u);
  EXPECT_EQ(guest_.call(get_, {0, 0}), Errno::kSuccess);
}

TEST_P(StringsTest, RefuseBadPointers) {
  block().append("first");
  const uint32_t good = guest_.allocate(16);
  EXPECT_EQ(guest_.call(sizes_, {kBad, good}), Errno::kFault);
  EXPECT_EQ(guest_.call(sizes_, {good, kBad}), Errno::kFault);
  EXPECT_EQ(guest_.call(get_, {kBad, good}), Errno::kFault);
  EXPECT_EQ(guest_.call(get_, {good, kBad}), Errno::kFault);
  EXPECT_EQ(guest_.call(get_, {good, 0xFFFFFFFF}), Errno::kFault);
}

TEST(ClockTest, TellTheTime) {
  TestGuest guest;
  const uint32_t out = guest.allocate(8);
  const uint64_t before = now(CLOCK_REALTIME);
  ASSERT_EQ(guest.call("clock_time_get", {0, 0, out}), Errno::kSuccess);
  EXPECT_GE(guest.load<uint64_t>(out), before);
  EXPECT_LE(guest.load<uint64_t>(out), now(CLOCK_REALTIME));
  const uint64_t monotonic = now(CLOCK_MONOTONIC);
  ASSERT_EQ(guest.call("clock_time_get", {1, 1000, out}), Errno::kSuccess);
  EXPECT_GE(guest.load<uint64_t>(out), monotonic);
  EXPECT_LE(guest.load<uint64_t>(out), now(CLOCK_MONOTONIC));
}

TEST(ClockTest, ProcessorTimeIsTheGuestsOwn) {
  volatile uint64_t work = 0;
  for (uint64_t i = 0; i < 1'000'000; ++i) work = work + i;
  TestGuest guest;
  const uint32_t out = guest.allocate(8);
  ASSERT_EQ(guest.call("clock_time_get", {2, 0, out}), Errno::kSuccess);
  EXPECT_EQ(guest.load<uint64_t>(out), 0u);  // nothing of what the thread did before
  const uint64_t first = now(CLOCK_THREAD_CPUTIME_ID);
  while (now(CLOCK_THREAD_CPUTIME_ID) == first) {
  }
  ASSERT_EQ(guest.call("clock_time_get", {3, 0, out}), Errno::kSuccess);
  EXPECT_GT(guest.load<uint64_t>(out), 0u);
}

TEST(ClockTest, HaveAResolution) {
  TestGuest guest;
  const uint32_t out = guest.allocate(8);
  for (uint32_t id = 0; id < 4; ++id) {
    ASSERT_EQ(guest.call("clock_res_get", {id, out}), Errno::kSuccess) << id;
    EXPECT_GT(guest.load<uint64_t>(out), 0u) << id;
  }
}

TEST(ClockTest, RefuseUnknownClocksAndBadPointers) {
  TestGuest guest;
  const uint32_t out = guest.allocate(8);
  for (uint32_t id : {4u, 0xFFFFFFFFu}) {
    EXPECT_EQ(guest.call("clock_time_get", {id, 0, out}), Errno::kInval);
    EXPECT_EQ(guest.call("clock_res_get", {id, out}), Errno::kInval);
  }
  for (uint32_t id = 0; id < 4; ++id) {
    EXPECT_EQ(guest.call("clock_time_get", {id, 0, kBad}), Errno::kFault);
    EXPECT_EQ(guest.call("clock_res_get", {id, kBad}), Errno::kFault);
  }
}

TEST(ProcessTest, ExitSetsTheStatus) {
  TestGuest guest;
  EXPECT_EQ(guest.context.stop(), Stop::kNone);
  guest.call("proc_exit", {33});
  EXPECT_EQ(guest.context.stop(), Stop::kExit);
  EXPECT_EQ(guest.context.exit_status(), 33);
  guest.call("proc_exit", {0xFFFFFFFF});
  EXPECT_EQ(guest.context.exit_status(), -1);
}

TEST(ProcessTest, RaiseIsNotSupported) {
  TestGuest guest;
  EXPECT_EQ(guest.call("proc_raise", {6}), Errno::kNotsup);
  EXPECT_EQ(guest.call("proc_raise", {30}), Errno::kNotsup);
  EXPECT_EQ(guest.call("proc_raise", {31}), Errno::kInval);
  EXPECT_EQ(guest.context.stop(), Stop::kNone);
}

TEST(ProcessTest, YieldDoesNothing) {
  TestGuest guest;
  EXPECT_EQ(guest.call("sched_yield", {}), Errno::kSuccess);
}

TEST(RandomTest, FillsTheBufferAndNothingElse) {
  TestGuest guest;
  const uint32_t buffer = guest.allocate(48);
  ASSERT_EQ(guest.call("random_get", {buffer, 40}), Errno::kSuccess);
  EXPECT_NE(guest.text(buffer, 20), guest.text(buffer + 20, 20));
  EXPECT_EQ(guest.load<uint64_t>(buffer + 40), 0u);
  EXPECT_EQ(guest.call("random_get", {0, 0}), Errno::kSuccess);
}

TEST(RandomTest, RefusesBadPointers) {
  TestGuest guest;
  EXPECT_EQ(guest.call("random_get", {kBad, 2}), Errno::kFault);
  EXPECT_EQ(guest.call("random_get", {0, TestGuest::kMemorySize + 1}), Errno::kFault);
  EXPECT_EQ(guest.call("random_get", {8, 0xFFFFFFFF}), Errno::kFault);
}

TEST(RandomTest, AsksWhetherToGoOn) {
  FakeHost host;
  StringBlock none;
  Context context({.arguments = &none, .preopens = {}}, host);
  std::vector<uint8_t> memory(8 << 20);
  host.stop_at_check = 2;
  RawValue values[2] = {};
  values[1].i32 = 8 << 20;
  find_host_function("wasi_snapshot_preview1", "random_get")
      ->call(context, {memory.data(), memory.size()}, values);
  EXPECT_EQ(context.stop(), Stop::kTimedOut);
  EXPECT_EQ(host.checks, 2);
}

TEST(StackTest, TellsWhatIsLeft) {
  TestGuest without;
  EXPECT_EQ(without.call_own("stack_space", {without.allocate(16)}), Errno::kNosys);

  FakeHost host;
  StringBlock none;
  char here = 0;
  const auto space_in = [&](uint64_t bytes, uint64_t used, uint32_t ptr, StackSpace& space) {
    Context context({.arguments = &none,
                     .preopens = {},
                     .stack_bytes = bytes,
                     .stack_end = reinterpret_cast<uintptr_t>(&here) + used - bytes},
                    host);
    std::vector<uint8_t> memory(1 << 10);
    const GuestMemory guest_memory{memory.data(), memory.size()};
    RawValue values[1] = {};
    values[0].i32 = static_cast<int32_t>(ptr);
    find_host_function("mod_wasm", "stack_space")->call(context, guest_memory, values);
    (void)guest_memory.load(ptr, space);
    return static_cast<Errno>(values[0].i32);
  };
  StackSpace space{};
  ASSERT_EQ(space_in(1 << 20, 0, 8, space), Errno::kSuccess);
  EXPECT_EQ(space.size, 1u << 20);
  EXPECT_LE(space.left, 1u << 20);
  EXPECT_GT(space.left, (1u << 20) - (64u << 10));
  ASSERT_EQ(space_in(1 << 20, 2 << 20, 8, space), Errno::kSuccess);
  EXPECT_EQ(space.left, 0u);
  for (const uint32_t ptr : {1009u, 1024u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    EXPECT_EQ(space_in(1 << 20, 0, ptr, space), Errno::kFault) << ptr;
  }
}

TEST(SocketTest, ThereAreNone) {
  TestGuest guest;
  EXPECT_EQ(guest.call("sock_accept", {1, 0, 0}), Errno::kNotsock);
  EXPECT_EQ(guest.call("sock_recv", {0, 0, 0, 0, 0, 0}), Errno::kNotsock);
  EXPECT_EQ(guest.call("sock_send", {1, 0, 0, 0, 0}), Errno::kNotsock);
  EXPECT_EQ(guest.call("sock_shutdown", {1, 1}), Errno::kNotsock);
  EXPECT_EQ(guest.call("sock_accept", {3, 0, 0}), Errno::kBadf);
  EXPECT_EQ(guest.call("sock_recv", {3, 0, 0, 0, 0, 0}), Errno::kBadf);
  EXPECT_EQ(guest.call("sock_send", {3, 0, 0, 0, 0}), Errno::kBadf);
  EXPECT_EQ(guest.call("sock_shutdown", {3, 1}), Errno::kBadf);
}

}  // namespace
}  // namespace wasmrt::wasi
