// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/. How guests are interrupted whose code has checks
// (deps/wasmtime/src/interruptible.rs).
#pragma once

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "engine/host_call.h"

namespace wasmrt {

class Interrupt;

/// The interrupts of an engine's instances. Shared by all threads. Made after the engine,
/// whose signal handler must come behind this one's.
class Interrupts {
 public:
  Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  /// Asks each guest that runs whether it may go on, on its own thread: soon, or when
  /// the host call returns that it waits for.
  void raise();

 private:
  friend class Interrupt;

  std::mutex mutex_;
  std::vector<Interrupt*> all_;
};

/// The page that the code of one instance reads at the head of each loop and function. When
/// it is taken away, the code faults there, and goes on from there if it may.
class Interrupt {
 public:
  /// @param page what checks read; it outlives this.
  Interrupt(Interrupts& interrupts, void* page);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

 private:
  friend class Interrupts;
  friend class Interruptible;

  enum class State : uint8_t {
    kIdle,     ///< nobody runs
    kRunning,
    kRaising,  ///< the page is being taken away
    kRaised,   ///< it is gone
  };

  static void on_fault(int signal, siginfo_t* info, void* context);
  void raise();
  /// On the thread that runs. Brings the page back, if it is gone, and goes on as `next`.
  /// @return false if the page stays away.
  bool lower(State next);

  Interrupts& interrupts_;
  std::byte* const page_;
  GuestState* guest_ = nullptr;  ///< not null while it runs; of the thread that runs it
  // No mutex: most runs begin and end without meeting anybody, and a fault may ask for it.
  std::atomic<State> state_{State::kIdle};
};

/// Lets a guest be interrupted for as long as it lives, on the thread that made it.
class Interruptible {
 public:
  Interruptible(Interrupt& interrupt, GuestState& guest);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  Interrupt& interrupt_;
  Interrupt*& current_;     ///< of this thread
  Interrupt* const outer_;  ///< of the guest in whose host call this one runs
};

}  // namespace wasmrt
