// SPDX-License-Identifier: Apache-2.0
#include "engine/time_slice.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace wasmrt {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;

void add(UsualTime& time, int count, uint64_t ns) {
  for (int i = 0; i < count; ++i) time.add(ns);
}

TEST(UsualTime, IsWhatMostRunsTake) {
  UsualTime time;
  EXPECT_FALSE(time.is_long());
  add(time, 100, 1 * kMillisecond);
  EXPECT_FALSE(time.is_long());
  add(time, 100, 20 * kMillisecond);
  EXPECT_TRUE(time.is_long());
  add(time, 100, 0);
  EXPECT_FALSE(time.is_long());
}

TEST(UsualTime, IsNotWhatOneRunTakes) {
  UsualTime time;
  time.add(UINT64_MAX);
  EXPECT_FALSE(time.is_long());
  add(time, 1000, UINT64_MAX);
  EXPECT_TRUE(time.is_long());
  add(time, 20, 0);
  EXPECT_FALSE(time.is_long());
}

/// Computes for that long.
void compute(uint64_t ns) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1000 * kMillisecond +
           static_cast<uint64_t>(time.tv_nsec);
  };
  for (const uint64_t end = now() + ns; now() < end;) {
  }
}

class Slice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (time_slice_ns() == 0) GTEST_SKIP() << "this kernel gives threads no slices of their own";
    if (prctl(PR_GET_SECCOMP) != 0) GTEST_SKIP() << "a filter here may forbid it";
  }
};

TEST_F(Slice, IsLongerForRunsThatComputeForLong) {
  RunTimes times;
  const uint64_t before = time_slice_ns();
  for (int i = 0; i < 20; ++i) {
    const RunSlice slice(times);
    if (i == 0) {
      EXPECT_EQ(time_slice_ns(), before);
    }
    compute(10 * kMillisecond);
    times.wall.add(10 * kMillisecond);
  }
  EXPECT_EQ(time_slice_ns(), before);
  {
    const RunSlice slice(times);
    EXPECT_EQ(time_slice_ns(), 25 * kMillisecond);
  }
  EXPECT_EQ(time_slice_ns(), before);
}

TEST_F(Slice, IsTheUsualOneForRunsThatWait) {
  RunTimes times;
  const uint64_t before = time_slice_ns();
  for (int i = 0; i < 20; ++i) {
    const RunSlice slice(times);
    EXPECT_EQ(time_slice_ns(), before);
    const timespec pause{0, 10 * static_cast<long>(kMillisecond)};
    nanosleep(&pause, nullptr);
    times.wall.add(10 * kMillisecond);
  }
  EXPECT_TRUE(times.wall.is_long());
}

/// From now on sched_setattr() ends the process.
bool forbid_slices() {
  sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setattr, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{sizeof filter / sizeof filter[0], filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_F(Slice, IsLeftAloneWhereAFilterKillsWhoChangesIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [] {
    if (!forbid_slices()) std::exit(2);
    RunTimes times;
    for (int i = 0; i < 20; ++i) {
      const RunSlice slice(times);
      compute(10 * kMillisecond);
      times.wall.add(10 * kMillisecond);
    }
    std::exit(times.computing.is_long() ? 0 : 1);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace wasmrt
