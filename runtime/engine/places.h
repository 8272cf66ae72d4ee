// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace wasmrt {

/// The places for instances: `count` of them, taken for one run each. Who
/// finds none waits for a bounded time; a place that becomes free goes to one
/// who waits, not to one who comes later.
class Places {
 public:
  explicit Places(uint32_t count) : free_(count) {}

  /// @return false if none became free within `wait`.
  [[nodiscard]] bool take(std::chrono::milliseconds wait) {
    std::unique_lock lock(mutex_);
    if (free_ > 0) {
      --free_;
      return true;
    }
    ++waiting_;
    const bool got = granted_one_.wait_for(lock, wait, [this] { return granted_ > 0; });
    --waiting_;
    if (got) --granted_;
    return got;
  }

  void give_back() {
    {
      const std::scoped_lock lock(mutex_);
      if (waiting_ == granted_) {
        ++free_;
        return;
      }
      ++granted_;
    }
    granted_one_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable granted_one_;
  uint32_t free_;
  uint32_t waiting_ = 0;
  uint32_t granted_ = 0;  ///< given to those who wait, not yet taken
};

}  // namespace wasmrt
