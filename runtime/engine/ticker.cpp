// SPDX-License-Identifier: Apache-2.0
#include "engine/ticker.h"

#include <csignal>
#include <system_error>

namespace wasmrt {

Result<std::unique_ptr<Ticker>> Ticker::start(std::function<bool()> tick) {
  std::unique_ptr<Ticker> ticker(new Ticker(std::move(tick)));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Status status = Status::ok();
  try {
    ticker->thread_ = std::thread([t = ticker.get()] { t->loop(); });
  } catch (const std::system_error& error) {
    status = Status::resources(std::string("no thread for the time limits: ") + error.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!status.is_ok()) return status;
  return ticker;
}

Ticker::~Ticker() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Ticker::wake() {
  // Of all that find it asleep, one wakes it. The run may well be over before
  // the thread looks, so what it waits for is this word and not that something runs.
  {
    const std::scoped_lock lock(mutex_);
    if (!asleep_.exchange(false, std::memory_order_seq_cst)) return;
  }
  changed_.notify_one();
}

void Ticker::loop() {
  constexpr int kIdlePeriods = std::chrono::seconds(1) / kPeriod;
  int idle = 0;
  std::unique_lock lock(mutex_);
  while (!stop_) {
    changed_.wait_for(lock, kPeriod, [this] { return stop_; });
    if (stop_) return;
    ticks_.fetch_add(1, std::memory_order_relaxed);
    idle = tick_() ? 0 : idle + 1;
    if (idle < kIdlePeriods) continue;
    asleep_.store(true, std::memory_order_seq_cst);
    // A run that began before that did not see it.
    if (tick_()) {
      asleep_.store(false, std::memory_order_seq_cst);
    } else {
      changed_.wait(lock, [this] { return stop_ || !asleep_.load(std::memory_order_seq_cst); });
    }
    idle = 0;
  }
}

}  // namespace wasmrt
