// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace wasmrt {

/// The places for instances: `count` of them, taken for one run each. Who
/// finds none waits for a bounded time; a place that becomes free goes to one
/// who waits, not to one who comes later. Nobody who finds one takes a lock.
class Places {
 public:
  explicit Places(uint32_t count) : count_(static_cast<int32_t>(count)), free_(count_) {}

  /// @return whether a place was free, which is taken now.
  /// Else wait() must be called: others count on it.
  [[nodiscard]] bool take_free() { return free_.fetch_sub(1, std::memory_order_seq_cst) > 0; }

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
    if (free_.fetch_add(1, std::memory_order_seq_cst) >= 0) return;
    {
      const std::scoped_lock lock(mutex_);
      ++granted_;
    }
    granted_one_.notify_one();
  }

  [[nodiscard]] bool is_any_taken() const {
    return free_.load(std::memory_order_seq_cst) < count_;
  }

 private:
  const int32_t count_;
  /// Less than 0: so many wait for a place that is not about to be granted. Apart from what is
  /// not written by each run.
  alignas(64) std::atomic<int32_t> free_;
  alignas(64) std::mutex mutex_;
  std::condition_variable granted_one_;
  uint32_t granted_ = 0;  ///< given to those who wait, not yet taken
};

}  // namespace wasmrt
