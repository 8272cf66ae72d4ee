// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace wasmrt {

/// The places for instances: `count` of them, taken for one run each. Who
/// finds none waits for a bounded time.
class Places {
 public:
  explicit Places(uint32_t count) : free_(count) {}

  /// @return false if none became free within `wait`.
  [[nodiscard]] bool take(std::chrono::milliseconds wait) {
    std::unique_lock lock(mutex_);
    if (free_ == 0) {
      ++waiting_;
      const bool got = freed_.wait_for(lock, wait, [this] { return free_ > 0; });
      --waiting_;
      if (!got) return false;
    }
    --free_;
    return true;
  }

  void give_back() {
    bool wake = false;
    {
      const std::scoped_lock lock(mutex_);
      ++free_;
      wake = waiting_ > 0;
    }
    if (wake) freed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  uint32_t free_;
  uint32_t waiting_ = 0;
};

}  // namespace wasmrt
