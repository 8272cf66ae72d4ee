// SPDX-License-Identifier: Apache-2.0
//
// One run of a command: from a free place to how the guest ended.
#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "engine/command.h"
#include "engine/ending.h"
#include "engine/engine_parts.h"
#include "engine/instance.h"
#include "engine/module_parts.h"
#include "engine/settings.h"
#include "support/clock.h"
#include "support/text.h"
#include "wasi/context.h"

namespace wasmrt {
namespace {

using wasi::Stop;

constexpr int64_t kMillisecond = 1'000'000;
// Most of the output that is passed on at once.
constexpr size_t kWritePiece = size_t{64} << 10;
// After so many bytes of output it is looked whether the run may go on. Fewer mostly wait for more.
constexpr size_t kUncheckedBytes = size_t{8} << 10;
// How often the caller is asked whether anyone still waits for the result.
constexpr int64_t kAbortedPeriod = 100 * kMillisecond;

/// A limit for a message: "2.5 s".
std::string seconds_text(uint32_t ms) {
  std::string text = std::to_string(ms / 1000);
  if (ms % 1000 != 0) {
    std::string fraction = std::to_string(1000 + ms % 1000).substr(1);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    text += "." + fraction;
  }
  return text + " s";
}

/// The lowest address of the calling thread's stack, looked up once a thread.
uintptr_t stack_lowest() {
  thread_local const uintptr_t lowest = [] {
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return uintptr_t{0};
    void* address = nullptr;
    size_t size = 0;
    pthread_attr_getstack(&attributes, &address, &size);
    pthread_attr_destroy(&attributes);
    return reinterpret_cast<uintptr_t>(address);
  }();
  return lowest;
}

/// The caller's streams and variables, and the run's limits, as WASI sees them.
class RunHost final : public wasi::Host {
 public:
  RunHost(const CommandData& command, Instance& instance, const wasmrt_streams& streams,
          void* baton, int64_t start_ns)
      : command_(command),
        instance_(instance),
        environment_(instance.environment()),
        streams_(streams),
        baton_(baton),
        limits_(command.limits),
        deadline_ns_(start_ns + limits_.wall_ms * kMillisecond),
        next_aborted_ns_(start_ns + kAbortedPeriod),
        cpu_start_ns_(limits_.cpu_ms == 0 ? 0 : now_ns(CLOCK_THREAD_CPUTIME_ID)) {}

  const wasi::StringBlock& environment() override {
    if (has_environment_) return environment_;
    has_environment_ = true;
    environment_.bytes.assign(command_.environment.bytes);
    environment_.count = command_.environment.count;
    if (streams_.environment == nullptr) return environment_;
    const wasmrt_variable* variables = nullptr;
    const size_t count = streams_.environment(baton_, &variables);
    for (const auto& [name, value] : std::span(variables, count)) {
      if (command_.has_variable(name)) continue;
      environment_.bytes.append(name).push_back('=');
      environment_.append(value);
    }
    return environment_;
  }

  wasi::StreamResult read_stdin(std::span<uint8_t> buffer) override {
    const int64_t left_ms = (deadline_ns_ - now_ns(CLOCK_MONOTONIC)) / kMillisecond;
    if (left_ms <= 0) return {.stop = time_is_up()};
    lend_memory();
    const int64_t got =
        streams_.read(baton_, buffer.data(), buffer.size(), static_cast<uint32_t>(left_ms));
    if (got == -2) return {.stop = time_is_up()};
    if (got < 0) return {.stop = Stop::kAborted};
    input_bytes_ += static_cast<uint64_t>(got);
    return {.bytes = static_cast<uint64_t>(got)};
  }

  wasi::StreamResult write_stdout(std::span<const uint8_t> bytes) override {
    if (limits_.output_bytes != 0 && bytes.size() > limits_.output_bytes - output_bytes_) {
      return {.stop = Stop::kOutputLimit};
    }
    // In pieces, so that the time is looked at however slowly they are taken.
    for (std::span<const uint8_t> rest = bytes; !rest.empty();) {
      const auto piece = rest.first(std::min(rest.size(), kWritePiece));
      if (streams_.write(baton_, piece.data(), piece.size()) != 0) return {.stop = given_up()};
      output_bytes_ += piece.size();
      rest = rest.subspan(piece.size());
      unchecked_bytes_ += piece.size();
      if (unchecked_bytes_ < kUncheckedBytes) continue;
      unchecked_bytes_ = 0;
      if (const Stop stop = check(); stop != Stop::kNone) {
        return {.bytes = bytes.size() - rest.size(), .stop = stop};
      }
    }
    return {.bytes = bytes.size()};
  }

  wasi::StreamResult write_stderr(std::span<const uint8_t> bytes) override {
    streams_.write_error(baton_, bytes.data(), bytes.size());
    return {.bytes = bytes.size()};
  }

  wasi::StreamResult flush_stdout() override {
    return {.stop = streams_.flush(baton_) == 0 ? Stop::kNone : given_up()};
  }

  wasi::StreamInfo stream_info(int fd) const override { return {streams_.descriptors[fd]}; }

  Stop check() override {
    const int64_t now = now_ns(CLOCK_MONOTONIC);
    if (now >= deadline_ns_) return time_is_up();
    if (limits_.cpu_ms != 0 &&
        now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_start_ns_ >= limits_.cpu_ms * kMillisecond) {
      cpu_used_up_ = true;
      return Stop::kTimedOut;
    }
    if (now >= next_aborted_ns_) {
      next_aborted_ns_ = now + kAbortedPeriod;
      if (streams_.aborted(baton_) != 0) return given_up();
    }
    return Stop::kNone;
  }

  int64_t deadline_ns() const override { return deadline_ns_; }

  void lend_memory() override { instance_.lend_memory(); }

  [[nodiscard]] bool cpu_used_up() const { return cpu_used_up_; }
  [[nodiscard]] uint64_t input_bytes() const { return input_bytes_; }
  [[nodiscard]] uint64_t output_bytes() const { return output_bytes_; }

 private:
  Stop time_is_up() {
    cpu_used_up_ = false;
    return Stop::kTimedOut;
  }

  /// The caller takes no more: nobody wants it, or it has waited for the client
  /// to take it until the time was up.
  Stop given_up() {
    return now_ns(CLOCK_MONOTONIC) < deadline_ns_ ? Stop::kAborted : time_is_up();
  }

  const CommandData& command_;
  Instance& instance_;
  wasi::StringBlock& environment_;
  bool has_environment_ = false;
  const wasmrt_streams& streams_;
  void* baton_;
  const wasmrt_limits& limits_;
  int64_t deadline_ns_;
  int64_t next_aborted_ns_;
  int64_t cpu_start_ns_;
  bool cpu_used_up_ = false;
  uint64_t input_bytes_ = 0;
  uint64_t output_bytes_ = 0;
  uint64_t unchecked_bytes_ = 0;  ///< of output
};

/// Gives a place back, whatever way the run ends.
class PlaceUse {
 public:
  explicit PlaceUse(Places& places) : places_(places) {}
  ~PlaceUse() { places_.give_back(); }
  PlaceUse(const PlaceUse&) = delete;
  PlaceUse& operator=(const PlaceUse&) = delete;

 private:
  Places& places_;
};

// Cold: what leads here lies apart from the code of a run that ends well.
[[gnu::cold]] void explain(wasmrt_result& result, wasmrt_outcome outcome,
                           const std::string& message) {
  result.outcome = outcome;
  copy_text(message, result.message, sizeof result.message);
}

std::string bytes_text(uint64_t bytes) {
  if (bytes % (uint64_t{1} << 20) == 0) return std::to_string(bytes >> 20) + " MiB";
  return std::to_string(bytes) + " bytes";
}

/// Whether a guest that died had come so close to its memory limit that a
/// growth of the usual size (an eighth of it, or 1 MiB) was refused. Without a
/// memory it had not.
bool near_limit(uint64_t memory, uint64_t limit) {
  return memory > 0 && memory + std::max(limit / 8, uint64_t{1} << 20) > limit;
}

void report_stop(const RunHost& host, const wasi::Context& context, const wasmrt_limits& limits,
                 wasmrt_result& result) {
  switch (context.stop()) {
    case Stop::kExit:
      result.outcome = WASMRT_EXITED;
      result.exit_status = context.exit_status();
      return;
    case Stop::kTimedOut:
      if (host.cpu_used_up()) {
        result.limits_reached |= WASMRT_LIMIT_CPU;
        explain(result, WASMRT_TIMED_OUT,
                "processor time limit of " + seconds_text(limits.cpu_ms) + " reached");
      } else {
        result.limits_reached |= WASMRT_LIMIT_WALL;
        explain(result, WASMRT_TIMED_OUT,
                "time limit of " + seconds_text(limits.wall_ms) + " reached");
      }
      return;
    case Stop::kOutputLimit:
      result.limits_reached |= WASMRT_LIMIT_OUTPUT;
      explain(result, WASMRT_OUTPUT_LIMIT,
              "more output than the limit of " + bytes_text(limits.output_bytes));
      return;
    case Stop::kAborted:
    case Stop::kNone:
      explain(result, WASMRT_ABORTED, "nobody waits for the response any more");
      return;
  }
}

}  // namespace

wasmrt_status Command::run(const wasmrt_streams& streams, void* baton,
                           wasmrt_result& result) const {
  const Module::Parts& module = module_->parts();
  Engine::Parts& engine = module.engine->parts();
  result.outcome = WASMRT_FAILED;
  result.exit_status = 0;
  result.memory_bytes = result.input_bytes = result.output_bytes = 0;
  result.wait_ns = result.instantiate_ns = result.run_ns = 0;
  result.message[0] = result.backtrace[0] = '\0';
  result.limits_reached = 0;

  char here = 0;
  const auto stack_left = reinterpret_cast<uintptr_t>(&here) - stack_lowest();
  if (stack_left < engine.stack_bytes + kHostStackBytes) {
    explain(result, WASMRT_FAILED,
            "this thread has " + std::to_string(stack_left >> 10) +
                " KiB of stack left and a guest "
                "may use " +
                std::to_string(engine.stack_bytes >> 10) +
                " KiB: raise ThreadStackSize or "
                "lower WasmStackLimit");
    return WASMRT_RESOURCES;
  }

  int64_t start_ns = now_ns(CLOCK_MONOTONIC);
  if (!engine.places.take_free()) {
    const int64_t asked_ns = start_ns;
    const bool got = engine.places.wait(engine.wait);
    start_ns = now_ns(CLOCK_MONOTONIC);
    result.wait_ns = static_cast<uint64_t>(start_ns - asked_ns);
    if (!got) {
      explain(result, WASMRT_FAILED,
              "as many instances run as are allowed, and none ended within " +
                  seconds_text(static_cast<uint32_t>(engine.wait.count())));
      return WASMRT_BUSY;
    }
  }
  const PlaceUse place(engine.places);
  engine.ticker->run_begins();

  std::unique_ptr<Instance> instance = engine.idle.take(*module_, data_.limits.memory_bytes);
  const bool is_new = instance == nullptr;
  if (is_new) instance = Instance::create(*module_, data_.limits.memory_bytes);

  RunHost host(data_, *instance, streams, baton, start_ns);
  wasi::Context context({.arguments = &data_.arguments,
                         .preopens = data_.preopens,
                         .max_descriptors = data_.limits.max_descriptors,
                         .stack_bytes = engine.stack_bytes,
                         .stack_end = reinterpret_cast<uintptr_t>(&here) - engine.stack_bytes},
                        host);
  Ending end;
  instance->begin(context, streams, baton);
  const bool instantiated = instance->instantiate(end);
  const int64_t entered_ns = is_new ? now_ns(CLOCK_MONOTONIC) : start_ns;
  result.instantiate_ns = static_cast<uint64_t>(entered_ns - start_ns);

  int64_t ended_ns = entered_ns;
  if (instantiated) {
    const RunSlice slice(times_);
    if (module.is_reactor && entry_point_ != "_start") end = instance->call("_initialize");
    if (!end) end = instance->call(entry_point_);
    ended_ns = now_ns(CLOCK_MONOTONIC);
    result.run_ns = static_cast<uint64_t>(ended_ns - entered_ns);
    times_.wall.add(result.run_ns);
  }
  result.memory_bytes = instance->memory_bytes();
  result.input_bytes = host.input_bytes();
  result.output_bytes = host.output_bytes();
  if (context.fds().was_refused()) result.limits_reached |= WASMRT_LIMIT_DESCRIPTORS;
  // Whoever was interrupted may have left anything anywhere.
  if ((context.stop() == Stop::kExit || (!end && context.stop() == Stop::kNone)) &&
      instance->rewind()) {
    engine.idle.give(std::move(instance), ended_ns);
  }

  if (context.stop() != Stop::kNone) {
    report_stop(host, context, data_.limits, result);
    if (result.outcome == WASMRT_EXITED && result.exit_status != 0 &&
        near_limit(result.memory_bytes, data_.limits.memory_bytes)) {
      result.limits_reached |= WASMRT_LIMIT_MEMORY;
      explain(result, WASMRT_OUT_OF_MEMORY,
              "exited with status " + std::to_string(result.exit_status) + " at " +
                  bytes_text(result.memory_bytes) + " of memory, whose limit is " +
                  bytes_text(data_.limits.memory_bytes));
    }
    return WASMRT_OK;
  }
  if (!end) {
    result.outcome = WASMRT_EXITED;
    return WASMRT_OK;
  }
  if (!instantiated && !end.trap) {
    const std::string text = end.text();
    // The engine's words for a memory that starts above the store's limit.
    const bool memory = text.find("memory minimum size") != std::string::npos;
    if (memory) result.limits_reached |= WASMRT_LIMIT_MEMORY;
    explain(result, memory ? WASMRT_OUT_OF_MEMORY : WASMRT_FAILED,
            memory ? "it needs more memory to start than the limit of " +
                         bytes_text(data_.limits.memory_bytes) + ": " + text
                   : "it could not be instantiated: " + text);
    return WASMRT_RESOURCES;
  }
  copy_text(end.backtrace(), result.backtrace, sizeof result.backtrace);
  if (end.is_stack_overflow()) {
    result.limits_reached |= WASMRT_LIMIT_STACK;
    explain(result, WASMRT_TRAPPED,
            "stack overflow: more than the limit of " + std::to_string(engine.stack_bytes >> 10) +
                " KiB");
  } else if (end.text().find("GC heap out of memory") != std::string::npos) {
    // The engine's words for a heap of objects that may not grow any more.
    result.limits_reached |= WASMRT_LIMIT_MEMORY;
    explain(result, WASMRT_OUT_OF_MEMORY,
            "the GC heap has no more room within its limit of " +
                bytes_text(data_.limits.memory_bytes));
  } else if (near_limit(result.memory_bytes, data_.limits.memory_bytes)) {
    result.limits_reached |= WASMRT_LIMIT_MEMORY;
    explain(result, WASMRT_OUT_OF_MEMORY,
            end.text() + " at " + bytes_text(result.memory_bytes) + " of memory, whose limit is " +
                bytes_text(data_.limits.memory_bytes));
  } else {
    explain(result, WASMRT_TRAPPED, end.text());
  }
  return WASMRT_OK;
}

}  // namespace wasmrt
