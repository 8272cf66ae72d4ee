// SPDX-License-Identifier: Apache-2.0
#include "engine/interrupts.h"

#include <sched.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

#include "engine/settings.h"

namespace wasmrt {
namespace {

// Below the stack pointer code may keep what no signal handler overwrites (System V ABI,
// AMD64 supplement, 3.2.2).
[[maybe_unused]] constexpr uintptr_t kRedZoneBytes = 128;

/// Of the guest that this thread runs.
thread_local Interrupt* current = nullptr;

struct sigaction previous_action;

size_t page_bytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

#if WASMRT_HAS_CHECKS

uintptr_t stack_pointer(const ucontext_t& context) {
#if defined(__x86_64__)
  return static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RSP]);
#else
  return context.uc_mcontext.sp;
#endif
}

/// A question to a guest's host, to be asked on the guest's own stack.
struct Question {
  const GuestState* guest;
  ucontext_t asker;
  ucontext_t answerer;
  bool may_go_on;
};
thread_local Question* asked = nullptr;

/// On the guest's stack. A signal handler that runs meanwhile must not begin at the top of the
/// alternate stack, where the asker's frames are.
void answer() {
  Question* question = asked;
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  stack_t alternate{};
  if (sigaltstack(&none, &alternate) != 0) return;
  question->may_go_on = question->guest->may_go_on();
  alternate.ss_flags = 0;
  sigaltstack(&alternate, nullptr);
}

/// Asks whether a guest may go on that has faulted, from the signal handler, but in no other
/// state than a host call would find: what is asked may run filters of the server, and these
/// another guest.
bool ask(const GuestState& guest, const ucontext_t& interrupted) {
  stack_t alternate{};
  sigaltstack(nullptr, &alternate);
  if ((alternate.ss_flags & SS_ONSTACK) == 0) return guest.may_go_on();
  Question question{.guest = &guest, .asker = {}, .answerer = {}, .may_go_on = true};
  if (getcontext(&question.answerer) != 0) return true;
  const uintptr_t top = stack_pointer(interrupted) - kRedZoneBytes;
  question.answerer.uc_stack.ss_sp = reinterpret_cast<void*>(top - kHostStackBytes / 2);
  question.answerer.uc_stack.ss_size = kHostStackBytes / 2;
  question.answerer.uc_link = &question.asker;
  makecontext(&question.answerer, answer, 0);
  asked = &question;
  swapcontext(&question.asker, &question.answerer);
  return question.may_go_on;
}

#else

bool ask(const GuestState& /*guest*/, const ucontext_t& /*interrupted*/) { return true; }

#endif

}  // namespace

Interrupts::Interrupts() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action{};
    action.sa_sigaction = Interrupt::on_fault;
    // As Wasmtime's: a fault in here is no other than one elsewhere.
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &previous_action);
  });
}

void Interrupts::raise() {
  const std::scoped_lock lock(mutex_);
  for (Interrupt* interrupt : all_) interrupt->raise();
}

Interrupt::Interrupt(Interrupts& interrupts, void* page)
    : interrupts_(interrupts), page_(static_cast<std::byte*>(page)) {
  const std::scoped_lock lock(interrupts_.mutex_);
  interrupts_.all_.push_back(this);
}

Interrupt::~Interrupt() {
  const std::scoped_lock lock(interrupts_.mutex_);
  std::erase(interrupts_.all_, this);
}

void Interrupt::raise() {
  State expected = State::kRunning;
  if (!state_.compare_exchange_strong(expected, State::kRaising)) return;
  const bool is_away = mprotect(page_, page_bytes(), PROT_NONE) == 0;
  // Where it fails, the next tick tries again.
  state_.store(is_away ? State::kRaised : State::kRunning);
}

bool Interrupt::lower(State next) {
  State expected = State::kRunning;
  while (!state_.compare_exchange_strong(expected, next)) {
    if (expected == State::kRaised) {
      if (mprotect(page_, page_bytes(), PROT_READ | PROT_WRITE) != 0) return false;
      state_.store(next);
      return true;
    }
    // Whoever takes the page away is about to have done it.
    sched_yield();
    expected = State::kRunning;
  }
  return true;
}

void Interrupt::on_fault(int signal, siginfo_t* info, void* context) {
  Interrupt* interrupt = current;
  const auto* address = static_cast<const std::byte*>(info->si_addr);
  // Whoever writes there first, the guest's code or its host's.
  if (interrupt != nullptr && interrupt->guest_->written.unseal_for(address)) return;
  if (interrupt != nullptr && address >= interrupt->page_ &&
      address < interrupt->page_ + page_bytes()) {
    // The signal comes from the guest's own code, which holds no lock: anything may be called.
    if (interrupt->lower(State::kRunning) &&
        ask(*interrupt->guest_, *static_cast<ucontext_t*>(context))) return;
  }
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal, info, context);
  } else {
    // What has faulted does so again.
    sigaction(signal, &previous_action, nullptr);
  }
}

Interruptible::Interruptible(Interrupt& interrupt, GuestState& guest)
    : interrupt_(interrupt), current_(current), outer_(current_) {
  interrupt_.guest_ = &guest;
  current_ = &interrupt_;
  // Where the page could not be brought back by the run before, this one meets it as it is.
  if (interrupt_.state_.load(std::memory_order_relaxed) == Interrupt::State::kIdle) {
    interrupt_.state_.store(Interrupt::State::kRunning, std::memory_order_release);
  }
}

Interruptible::~Interruptible() {
  current_ = outer_;
  interrupt_.lower(Interrupt::State::kIdle);
  interrupt_.guest_ = nullptr;
}

}  // namespace wasmrt
