// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "engine/per_processor.h"

namespace wasmrt {

/// The places for instances: `count` of them, taken for one run each. Who
/// finds none waits for a bounded time; a place that becomes free goes to one
/// who waits, not to one who comes later. Nobody who finds one at hand takes a lock.
class Places {
 public:
  explicit Places(uint32_t count) : count_(static_cast<int32_t>(count)), free_(count_) {}

  /// @return whether a place was at hand, which is taken now. Else wait() must be called:
  ///         others count on it, and it may return at once.
  [[nodiscard]] bool take_free() {
    if (aside_.here().is_free.exchange(false)) return true;
    if (free_.fetch_sub(1) > 0) return true;
    // What lies aside is for whoever waits. What is put there from now on is taken back by who
    // put it.
    for (Aside& aside : aside_) {
      if (aside.is_free.load() && aside.is_free.exchange(false)) give_to_all();
    }
    return false;
  }

  /// After a take_free() that found none. @return false if none became free within `limit`.
  [[nodiscard]] bool wait(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    while (!granted_one_.wait_for(lock, limit, [this] { return granted_ > 0; })) {
      for (int32_t free = free_.load(); free < 0;) {
        if (free_.compare_exchange_weak(free, free + 1)) return false;
      }
      // Each who waits is about to be granted a place, if none who came later is faster.
      limit = std::chrono::milliseconds(1);
    }
    --granted_;
    return true;
  }

  void give_back() {
    Aside& aside = aside_.here();
    if (free_.load() >= 0 && !aside.is_free.exchange(true)) {
      // Whoever began to wait before that did not see it.
      if (free_.load() >= 0 || !aside.is_free.exchange(false)) return;
    }
    give_to_all();
  }

  /// Places that are taken and given back meanwhile may count as two that are free.
  [[nodiscard]] bool is_any_taken() const {
    return free_.load() + std::count_if(aside_.begin(), aside_.end(), [](const Aside& aside) {
             return aside.is_free.load();
           }) < count_;
  }

 private:
  /// A place that is free and lies with a processor, for the next run on it: a count of all
  /// would be taken by each run from another processor's cache.
  struct Aside {
    std::atomic<bool> is_free{false};
  };

  void give_to_all() {
    if (free_.fetch_add(1) >= 0) return;
    {
      const std::scoped_lock lock(mutex_);
      ++granted_;
    }
    granted_one_.notify_one();
  }

  const int32_t count_;
  PerProcessor<Aside> aside_;
  /// That do not lie aside. Less than 0: so many wait for a place that is not about to be granted.
  /// Apart from what is not written by runs.
  alignas(64) std::atomic<int32_t> free_;
  alignas(64) std::mutex mutex_;
  std::condition_variable granted_one_;
  uint32_t granted_ = 0;  ///< given to those who wait, not yet taken
};

}  // namespace wasmrt
