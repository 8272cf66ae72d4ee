// SPDX-License-Identifier: Apache-2.0
#include "engine/ticker.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <vector>

#include "engine/places.h"

namespace wasmrt {
namespace {

using namespace std::chrono_literals;

void wait_for_more(const std::atomic<int>& ticks, int than) {
  while (ticks <= than) std::this_thread::sleep_for(1ms);
}

TEST(Ticker, SleepsWhenNothingRunsAndWakesForTheNextRun) {
  std::atomic<int> ticks{0};
  std::atomic<bool> runs{true};
  auto ticker = Ticker::start([&] {
    ++ticks;
    return runs.load();
  });
  ASSERT_TRUE(ticker.is_ok());
  ticker.value()->run_begins();
  wait_for_more(ticks, 3);
  runs = false;
  // Idle: it stops within a second; wait until two looks agree.
  int before = -1;
  while (before != ticks) {
    before = ticks;
    std::this_thread::sleep_for(Ticker::kPeriod * 10);
  }
  runs = true;
  ticker.value()->run_begins();
  wait_for_more(ticks, before);
}

TEST(Ticker, StopsWhileRunning) {
  std::atomic<int> ticks{0};
  auto ticker = Ticker::start([&] {
    ++ticks;
    return true;
  });
  ASSERT_TRUE(ticker.is_ok());
  ticker.value()->run_begins();
  wait_for_more(ticks, 0);
}

bool take(Places& places, std::chrono::milliseconds wait) {
  return places.take_free() || places.wait(wait);
}

TEST(Places, CountThemAndWait) {
  Places places(2);
  EXPECT_FALSE(places.is_any_taken());
  EXPECT_TRUE(take(places, 0ms));
  EXPECT_TRUE(places.is_any_taken());
  EXPECT_TRUE(take(places, 0ms));
  EXPECT_FALSE(take(places, 1ms));
  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    places.give_back();
  });
  EXPECT_TRUE(take(places, 10s));
  other.join();
  EXPECT_FALSE(take(places, 0ms));
  places.give_back();
  places.give_back();
  EXPECT_FALSE(places.is_any_taken());
}

TEST(Places, GoToWhoeverWaits) {
  Places places(1);
  ASSERT_TRUE(take(places, 0ms));
  std::atomic<bool> got{false};
  std::thread waiting([&] { got = take(places, 10s); });
  // Who takes and gives back all the time must not keep the place to itself.
  while (!got) {
    places.give_back();
    if (!take(places, 0ms)) break;
    std::this_thread::sleep_for(1ms);
  }
  waiting.join();
  EXPECT_TRUE(got);
}

void stay_on(size_t processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  ASSERT_EQ(pthread_setaffinity_np(pthread_self(), sizeof set, &set), 0);
}

TEST(Places, ThatLieWithOneProcessorAreForAll) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  std::vector<size_t> processors;
  for (size_t i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &allowed)) processors.push_back(i);
  }
  if (processors.size() < 2) GTEST_SKIP() << "there is one processor only";
  Places places(3);
  std::thread first([&] {
    stay_on(processors[0]);
    EXPECT_TRUE(places.take_free());
    EXPECT_TRUE(places.take_free());
    places.give_back();
    places.give_back();
    EXPECT_FALSE(places.is_any_taken());
  });
  first.join();
  std::thread second([&] {
    stay_on(processors[1]);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(take(places, 0ms)) << i;
    EXPECT_FALSE(take(places, 0ms));
    EXPECT_TRUE(places.is_any_taken());
  });
  second.join();
}

// Some who give up do so at the moment when they are given one.
TEST(Places, AreNeitherLostNorGivenTwice) {
  constexpr int kPlaces = 2;
  Places places(kPlaces);
  std::atomic<int> taken{0};
  std::atomic<int> refused{0};
  std::atomic<bool> too_many{false};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; round < 2'000; ++round) {
          if (!take(places, std::chrono::milliseconds(i % 3))) {
            ++refused;
            continue;
          }
          if (++taken > kPlaces) too_many = true;
          std::this_thread::yield();
          --taken;
          places.give_back();
        }
      });
    }
  }
  EXPECT_FALSE(too_many);
  EXPECT_FALSE(places.is_any_taken());
  for (int i = 0; i < kPlaces; ++i) EXPECT_TRUE(take(places, 0ms));
  EXPECT_FALSE(take(places, 0ms));
}

}  // namespace
}  // namespace wasmrt
