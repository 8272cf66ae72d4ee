// SPDX-License-Identifier: Apache-2.0
#include "engine/ticker.h"

#include <gtest/gtest.h>

#include "engine/places.h"

namespace wasmrt {
namespace {

using namespace std::chrono_literals;

void wait_for_more(const std::atomic<int>& ticks, int than) {
  while (ticks <= than) std::this_thread::sleep_for(1ms);
}

TEST(Ticker, SleepsWhenNothingRunsAndWakesForTheNextRun) {
  std::atomic<int> ticks{0};
  auto ticker = Ticker::start([&] { ++ticks; });
  ASSERT_TRUE(ticker.is_ok());
  {
    const TickerUse use(*ticker.value());
    wait_for_more(ticks, 3);
  }
  // Idle: it stops within a second; wait until two looks agree.
  int before = -1;
  while (before != ticks) {
    before = ticks;
    std::this_thread::sleep_for(Ticker::kPeriod * 10);
  }
  const TickerUse use(*ticker.value());
  wait_for_more(ticks, before);
}

TEST(Ticker, StopsWhileRunning) {
  std::atomic<int> ticks{0};
  auto ticker = Ticker::start([&] { ++ticks; });
  ASSERT_TRUE(ticker.is_ok());
  ticker.value()->run_begins();
  wait_for_more(ticks, 0);
}

TEST(Places, CountThemAndWait) {
  Places places(2);
  EXPECT_TRUE(places.take(0ms));
  EXPECT_TRUE(places.take(0ms));
  EXPECT_FALSE(places.take(1ms));
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    places.give_back();
  });
  EXPECT_TRUE(places.take(10s));
  other.join();
  EXPECT_FALSE(places.take(0ms));
}

TEST(Places, GoToWhoeverWaits) {
  Places places(1);
  ASSERT_TRUE(places.take(0ms));
  std::atomic<bool> got{false};
  std::thread waiting([&] { got = places.take(10s); });
  // Who takes and gives back all the time must not keep the place to itself.
  while (!got) {
    places.give_back();
    if (!places.take(0ms)) break;
    std::this_thread::sleep_for(1ms);
  }
  waiting.join();
  EXPECT_TRUE(got);
}

}  // namespace
}  // namespace wasmrt
