// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "support/status.h"

namespace wasmrt {

/// A thread that calls `tick` every kPeriod while something runs. It sleeps
/// when nothing has run for a second, so an idle process never wakes up, and a
/// busy one pays no system call to keep it going.
class Ticker {
 public:
  static constexpr std::chrono::milliseconds kPeriod{20};

  /// Starts the thread; all signals are blocked in it, since they belong to
  /// the server. @param tick  tells whether something runs.
  static Result<std::unique_ptr<Ticker>> start(std::function<bool()> tick);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// To be called when something runs of which `tick` would tell.
  void run_begins() {
    if (asleep_.load(std::memory_order_seq_cst)) wake();
  }

  /// How often it has ticked so far, from time to time from 0 again.
  [[nodiscard]] const std::atomic<uint32_t>& ticks() const { return ticks_; }

 private:
  explicit Ticker(std::function<bool()> tick) : tick_(std::move(tick)) {}
  void loop();
  void wake();

  std::function<bool()> tick_;
  std::atomic<uint32_t> ticks_{0};
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace wasmrt
