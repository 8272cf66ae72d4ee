// SPDX-License-Identifier: Apache-2.0
#include "engine/time_slice.h"

#include <gtest/gtest.h>

#include <cstdint>
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

}  // namespace
}  // namespace wasmrt
