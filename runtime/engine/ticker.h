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
  /// the server.
  static Result<std::unique_ptr<Ticker>> start(std::function<void()> tick);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  void run_begins() {
    running_.fetch_add(1, std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_seq_cst)) wake();
  }
  void run_ends() { running_.fetch_sub(1, std::memory_order_release); }

  /// How often it has ticked so far, from time to time from 0 again.
  [[nodiscard]] const std::atomic<uint32_t>& ticks() const { return ticks_; }

 private:
  explicit Ticker(std::function<void()> tick) : tick_(std::move(tick)) {}
  void loop();
  void wake();

  std::function<void()> tick_;
  std::atomic<uint32_t> ticks_{0};
  std::atomic<uint32_t> running_{0};
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::thread thread_;
};

/// Keeps the ticker going for as long as it lives.
class TickerUse {
 public:
  explicit TickerUse(Ticker& ticker) : ticker_(ticker) { ticker_.run_begins(); }
  ~TickerUse() { ticker_.run_ends(); }
  TickerUse(const TickerUse&) = delete;
  TickerUse& operator=(const TickerUse&) = delete;

 private:
  Ticker& ticker_;
};

}  // namespace wasmrt
